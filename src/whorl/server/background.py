"""A server beside other code: in a task of the running loop, or in a thread with a loop of its own.

Both wait until it is ready, and raise why it is not. `Server` uses them for `async with` and `with`; they know nothing
of it but its `serve` and its `ready`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from whorl.loops import LoopInfo

__all__ = ["InTask", "InThread"]


class InTask:
    """A server in a task of the running loop.

    Args:
        serving: its `serve`, called.
    """

    __slots__ = ("_task",)

    def __init__(self, serving: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(serving)

    async def start(self, ready: Future[None]) -> None:
        """Return when the server is ready. Raises why it is not."""
        try:
            await asyncio.wrap_future(ready)
        except BaseException:
            await self._cancel()
            raise

    async def end(self) -> None:
        """Wait until the server has left. Raises what it failed of. Whoever is cancelled meanwhile leaves no server
        behind."""
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def _cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # it has been raised already, where it is a failed start


class InThread:
    """A server in a thread.

    Args:
        made: the loop that it runs on, which nobody uses yet.
        serve: its `serve`.
    """

    __slots__ = ("_error", "_made", "_serve", "_thread")

    def __init__(self, made: LoopInfo, serve: Callable[[LoopInfo], Coroutine[Any, Any, None]]) -> None:
        self._made = made
        self._serve = serve
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="whorl", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait until the server has left. Raises what it failed of."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with self._made.runner() as runner:
                runner.run(self._serve(self._made))
        except BaseException as error:
            self._error = error
