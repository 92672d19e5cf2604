"""The one timer of a server: now and then it looks at every connection and asks whether its client took too long.

A timer per request would cost more than parsing it. A deadline is never early, and late by two periods
at most: one until the sweep sees the wait begin, one until it sees it end. Called by `server`.

An application may hold up the loop for longer than a deadline. What clients sent meanwhile waits in the kernel, and
some loops run a timer that is due before they read it. So a sweep has two parts: it notes the time, lets the loop poll,
and judges then by the time that it noted, up to which everything has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from whorl.connection.context import Shared
from whorl.connection.deadlines import check
from whorl.observe.failures import bug

__all__ = ["Sweep"]

SHORTEST_PERIOD_SECONDS = 0.05
LONGEST_PERIOD_SECONDS = 0.5
"""Clients that left where the loop does not say so are found by the sweep, too."""
POLL_SECONDS = 0.001
"""A timer of no length at all is run by some loops without a poll before it."""


class Sweep:
    """Enforces the deadlines of a server's connections.

    Args:
        shared: what the connections have in common, and the set of them.
        looks: what else wants to look at something now and then.
    """

    __slots__ = ("_handle", "_looks", "_period_seconds", "_shared")

    def __init__(self, shared: Shared, looks: Sequence[Callable[[], None]] = ()) -> None:
        self._shared = shared
        self._looks = looks
        self._handle: asyncio.TimerHandle | None = None
        wanted = shared.deadlines.shortest / 4
        self._period_seconds = min(max(SHORTEST_PERIOD_SECONDS, wanted), LONGEST_PERIOD_SECONDS)

    def start(self) -> None:
        """Begin, and go on until `stop`."""
        service = self._shared.service
        self._handle = service.loop.call_later(self._period_seconds, self._note, context=service.context)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _note(self) -> None:
        service = self._shared.service
        self._handle = service.loop.call_later(POLL_SECONDS, self._look, monotonic(), context=service.context)

    def _look(self, noted: float) -> None:
        now = monotonic()
        for connection in tuple(self._shared.connections):
            try:
                check(connection, noted, now)
            except Exception as error:
                bug(self._shared.service.logger, error)
        for look in self._looks:
            try:
                look()
            except Exception as error:
                bug(self._shared.service.logger, error)
        self.start()
