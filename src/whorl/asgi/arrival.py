"""What an application awaits in `receive()` of a WebSocket: the next message, handed over without a trip through the
loop's queue.

A message that wakes its task through `asyncio.Future` costs a callback and another turn of the loop, and the answer
another callback to have it written. An `Arrival` can run its task at once instead, inside the callback that read the
message, as a task is started at once when a request comes; what the application then sends leaves with the same turn.
To the task it is a future like any other (`_asyncio_future_blocking` is how asyncio knows one, in C and in Python).
Made by `websocket`, awaited by one task, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

__all__ = ["Arrival"]


class Arrival:
    """One wait for a message.

    Args:
        loop: the loop of the task that waits.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_event", "_is_cancelled", "_is_done", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Arrival], object] | None = None
        self._context: Context | None = None
        self._event: str | bytes | None = None
        self._is_done = False
        self._is_cancelled = False

    def hand_over(self, event: str | bytes) -> None:
        """End the wait, and run who waits until it waits again. No task may be running."""
        self._event = event
        self._is_done = True
        callback, context = self._callback, self._context
        if callback is not None and context is not None:
            self._callback = None
            context.run(callback, self)

    def set_result(self, event: str | bytes | None) -> None:
        """End the wait; who waits goes on in the next turn of the loop. None is for looking again."""
        self._event = event
        self._is_done = True
        self._schedule()

    # What a task asks of a future

    def __await__(self) -> Generator[Arrival, None, str | bytes | None]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Callable[[Arrival], object], *, context: Context) -> None:
        self._callback = callback
        self._context = context
        if self._is_done:
            self._schedule()

    def done(self) -> bool:
        return self._is_done

    def cancelled(self) -> bool:
        return self._is_cancelled

    def result(self) -> str | bytes | None:
        if self._is_cancelled:
            raise asyncio.CancelledError
        return self._event

    def cancel(self, msg: Any | None = None) -> bool:
        """The task was cancelled. Returns False where a message was quicker."""
        if self._is_done:
            return False
        self._is_done = self._is_cancelled = True
        self._schedule()
        return True

    def _schedule(self) -> None:
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)
