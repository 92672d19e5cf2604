"""The one timer of a server: now and then it looks at every connection and asks whether its client took too long.

A timer per request would cost more than parsing it. A deadline is never early, and late by two periods
at most: one until the sweep sees the wait begin, one until it sees it end. Called by `server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from whorl.observe.failures import bug
from whorl.transport.patience import check
from whorl.transport.shared import Shared

__all__ = ["Sweep"]

SHORTEST_PERIOD_SECONDS = 0.05


class Sweep:
    """Enforces the deadlines of a server's connections.

    Args:
        shared: what the connections have in common, and the set of them.
        look: what else wants to be looked at now and then.
    """

    __slots__ = ("_handle", "_look_at_more", "_period_seconds", "_shared")

    def __init__(self, shared: Shared, look: Callable[[], None] | None = None) -> None:
        self._shared = shared
        self._look_at_more = look
        self._handle: asyncio.TimerHandle | None = None
        wanted = shared.deadlines.shortest / 4
        self._period_seconds = max(SHORTEST_PERIOD_SECONDS, wanted)

    def start(self) -> None:
        """Begin, and go on until `stop`."""
        service = self._shared.service
        self._handle = service.loop.call_later(self._period_seconds, self._look, context=service.context)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        now = monotonic()
        for connection in tuple(self._shared.connections):
            try:
                check(connection, now)
            except Exception as error:
                bug(self._shared.service.logger, error)
        if self._look_at_more is not None:
            try:
                self._look_at_more()
            except Exception as error:
                bug(self._shared.service.logger, error)
        self.start()
