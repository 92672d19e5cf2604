"""How tests run a lifespan. No tests in this file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import pytest

from whorl.asgi.lifespan import Lifespan
from whorl.errors import StartError
from whorl.loops import resolve

Channel = Callable[..., Awaitable[Any]]
Scope = dict[str, Any]
Mode = Literal["auto", "on", "off"]

COMPLETE = {"type": "lifespan.startup.complete"}


def run(loop_name: str, test: Coroutine[Any, Any, Any]) -> Any:
    """Run a test on a loop, and see that it leaves no task behind."""

    async def alone() -> Any:
        result = await test
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with resolve(loop_name).make().runner() as runner:
        return runner.run(alone())


def start(app: Any, mode: Mode = "auto") -> Lifespan:
    """Start an application on asyncio, and stop it."""

    async def both() -> Lifespan:
        lifespan = Lifespan(app, mode)
        await lifespan.startup()
        await lifespan.shutdown()
        return lifespan

    return run("asyncio", both())


def fail(app: Any, mode: Mode = "auto") -> str:
    """Start an application that must fail to start. Return the error, one line."""

    async def startup() -> str:
        with pytest.raises(StartError) as caught:
            await Lifespan(app, mode).startup()
        return str(caught.value)

    error: str = run("asyncio", startup())
    assert "\n" not in error
    return error
