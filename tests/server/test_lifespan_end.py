"""How the process ends when the application's shutdown fails: what is said, in which order, and the exit status."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.harness import serve

WAYS = ("says_so", "raises", "raises_generator_exit", "died_before")


def application(way: str) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if way == "died_before":
            await asyncio.sleep(0)
            raise ZeroDivisionError("no disk")
        await receive()
        if way == "raises":
            raise ZeroDivisionError("no disk")
        if way == "raises_generator_exit":
            raise GeneratorExit("no disk")
        await send({"type": "lifespan.shutdown.failed", "message": "no disk"})

    return app


says_so, raises, raises_generator_exit, died_before = map(application, WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_one_process(loop_name: str, way: str) -> None:
    with serve(f"tests.server.test_lifespan_end:{way}", loop=loop_name) as process:
        assert process.stop() == 1
        said = "\n".join(process.stderr)
        assert said.count(" ERROR   the application") == said.count(" ERROR ") == 1
        assert "no disk" in said
        assert process.stderr[-1].endswith("INFO    Whorl has stopped")
        assert "never retrieved" not in said


@pytest.mark.parametrize("preload", [False, True])
def test_workers(preload: bool) -> None:
    options = {"preload": True} if preload else {}
    with serve("tests.server.test_lifespan_end:says_so", workers=2, **options) as process:
        assert process.stop() == 1
        assert process.stderr[-1].endswith("INFO    Whorl has stopped")


def test_an_application_whose_shutdown_goes_well(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name) as process:
        assert process.stop() == 0
        assert process.stderr[-1].endswith("INFO    Whorl has stopped")
