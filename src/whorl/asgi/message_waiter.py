"""Wakes the task that waits for a message, inside the callback that has read it.

`asyncio.Future` costs a callback and another iteration of the loop, and the answer another callback to be written. A
`MessageWaiter` can run its task at once; what the application then sends leaves in the same write. To the task it is a
future like any other: `_asyncio_future_blocking` is how asyncio recognizes one, in C and in Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from enum import Enum
from typing import Any, Final

__all__ = ["MessageWaiter"]


class WaitState(Enum):
    """What an arrival has instead of a message."""

    PENDING = 0
    CANCELLED = 1


PENDING: Final = WaitState.PENDING
CANCELLED: Final = WaitState.CANCELLED


class MessageWaiter:
    """The wait for a message.

    Args:
        loop: the loop of the task that waits.
        done: a future with a result. The task that is woken asks what woke it, and this one answers in C.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_done", "_event", "_loop")

    _context: Context

    def __init__(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop  # where there is no `get_loop`, asyncio looks here
        self._done = done
        self._callback: Callable[[Any], object] | None = None
        self._event: str | bytes | WaitState | None = PENDING

    def hand_over(self, event: str | bytes) -> bool:
        """End the wait, and run who waits until it waits again. No task may be running.

        Returns:
            False where the wait had ended before.
        """
        if self._event is not PENDING:
            return False
        self._event = event
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._context.run(callback, self._done)
        return True

    def set_result(self, event: str | bytes | None) -> None:
        """End the wait; who waits goes on in the next turn of the loop. None is for looking again."""
        self._event = event
        self._schedule()

    # What a task asks of a future

    def __await__(self) -> Generator[MessageWaiter, None, str | bytes | None]:
        self._asyncio_future_blocking = True
        yield self
        event = self._event
        self._event = PENDING
        if event is PENDING or event is CANCELLED:  # not by any task of asyncio's, which throws
            raise asyncio.CancelledError
        return event

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context) -> None:
        self._callback = callback
        self._context = context
        if self._event is not PENDING:
            self._schedule()

    def done(self) -> bool:
        return self._event is not PENDING

    def cancelled(self) -> bool:
        return self._event is CANCELLED

    def result(self) -> str | bytes | None:
        event = self._event
        if isinstance(event, WaitState):
            raise asyncio.CancelledError
        return event

    def cancel(self, msg: Any | None = None) -> bool:
        """The task was cancelled. Returns False where a message was quicker."""
        if self._event is not PENDING:
            return False
        self._event = CANCELLED
        self._schedule()
        return True

    def _schedule(self) -> None:
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._loop.call_soon(callback, self, context=self._context)
