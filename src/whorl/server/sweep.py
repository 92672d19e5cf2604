"""The one timer of a server: it checks the deadlines of all connections now and then.

A timer per request would cost more than parsing it. A deadline is never early, and late by two periods at most: one
until the sweep sees the wait begin, one until it sees it end.

An application may hold up the loop for longer than a deadline. What clients sent meanwhile waits in the kernel, and
some loops run a timer that is due before they read it. So a sweep has two parts: it notes the time, lets the loop poll,
and then checks against the noted time, up to which everything has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from whorl.connection.context import ServerContext
from whorl.observe.failures import log_internal_error

__all__ = ["Sweep"]

MIN_PERIOD_SECONDS = 0.05
# The sweep also finds clients that have gone if the loop does not tell.
MAX_PERIOD_SECONDS = 0.5
# Some loops run a timer of zero length without a poll before it.
POLL_SECONDS = 0.001


class Sweep:
    """Checks the deadlines of a server's connections.

    Args:
        context: the server's connections.
        periodic: called after each sweep.
    """

    __slots__ = ("_context", "_handle", "_period_seconds", "_periodic")

    def __init__(self, context: ServerContext, periodic: Sequence[Callable[[], None]] = ()) -> None:
        self._context = context
        self._periodic = periodic
        self._handle: asyncio.TimerHandle | None = None
        limits = context.limits
        shortest = min(*context.phase_timeouts, limits.ws_ping_interval, limits.ws_ping_timeout)
        self._period_seconds = min(max(MIN_PERIOD_SECONDS, shortest / 4), MAX_PERIOD_SECONDS)

    def start(self) -> None:
        """Sweep until `stop`."""
        app_context = self._context.app_context
        self._handle = app_context.loop.call_later(self._period_seconds, self._mark, context=app_context.context)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _mark(self) -> None:
        app_context = self._context.app_context
        self._handle = app_context.loop.call_later(
            POLL_SECONDS, self._check_all, monotonic(), context=app_context.context
        )

    def _check_all(self, read_up_to: float) -> None:
        now = monotonic()
        logger = self._context.app_context.logger
        for connection in tuple(self._context.connections):
            try:
                connection.check_deadlines(read_up_to, now)
            except Exception as error:
                log_internal_error(logger, error)
        for check in self._periodic:
            try:
                check()
            except Exception as error:
                log_internal_error(logger, error)
        self.start()
