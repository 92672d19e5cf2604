"""What `receive()` of a WebSocket awaits: the next message.

`asyncio.Future` wakes its task in the next iteration of the loop. A `MessageWaiter` can run the task at once, inside
the callback that read the message, so the reply leaves in the same iteration (benchmarks/BUDGET.md: 0.85 µs a message
against 1.04). A task takes it for a future by `_asyncio_future_blocking`, in C and in Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from enum import Enum
from typing import Any, Final

__all__ = ["MessageWaiter"]


class WaitState(Enum):
    """What a waiter has instead of a message."""

    PENDING = 0
    CANCELLED = 1


PENDING: Final = WaitState.PENDING
CANCELLED: Final = WaitState.CANCELLED


class MessageWaiter:
    """Waits for a message. One task at a time awaits it; it can be awaited again unless it was cancelled.

    Args:
        loop: the loop of the task that waits.
        completed_future: a future with a result. A task asks what has woken it for its result, and asyncio's future
            answers in C.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_completed_future", "_context", "_event", "_loop")

    _context: Context

    def __init__(self, loop: asyncio.AbstractEventLoop, completed_future: asyncio.Future[None]) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop  # asyncio reads this name if there is no `get_loop`
        self._completed_future = completed_future
        self._callback: Callable[[Any], object] | None = None
        self._event: str | bytes | WaitState | None = PENDING

    def wake_inline(self, event: str | bytes) -> bool:
        """Run the waiting task inside this call until it waits again. No task may be running.

        Returns:
            False if the wait had ended before.
        """
        if self._event is not PENDING:
            return False
        self._event = event
        callback = self._callback
        if callback is not None:
            self._callback = None
            self._context.run(callback, self._completed_future)
        return True

    def set_result(self, event: str | bytes | None) -> None:
        """Wake the waiting task in the next iteration of the loop. None: the state of the WebSocket has changed."""
        self._event = event
        self._schedule()

    # What a task asks of a future

    def __await__(self) -> Generator[MessageWaiter, None, str | bytes | None]:
        self._asyncio_future_blocking = True
        yield self
        event = self._event
        self._event = PENDING
        if event is PENDING or event is CANCELLED:  # never by a task of asyncio, which throws
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
        """Cancel the wait with its task. Return False if it has ended."""
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
