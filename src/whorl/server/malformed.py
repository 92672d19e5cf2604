"""Reports proxies that send what cannot be read, or drop what they should forward (`whorl.proxy.malformed_counts`).

Only trusted peers are counted: so a proxy is misconfigured, or `forwarded_allow_ips` admits peers that are not proxies.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from time import monotonic

from whorl.proxy.malformed_counts import MalformedCounts

__all__ = ["MalformedReporter"]

PAUSE_SECONDS = 60.0

UPGRADE_HINT = (
    "a WebSocket handshake came without Upgrade and is served as plain HTTP: a proxy in front drops it; nginx passes "
    'it on with "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;" '
    "(this is said once)"
)


class MalformedReporter:
    """Tells what a tally comes to.

    Args:
        tally: which.
        logger: where to.
        serves_websocket: whether a lost Upgrade is worth a hint.
    """

    __slots__ = ("_hints", "_logger", "_silent_until", "_tally", "_told")

    def __init__(self, tally: MalformedCounts, logger: logging.Logger, serves_websocket: bool) -> None:
        self._tally = tally
        self._logger = logger
        self._told = MalformedCounts()
        self._silent_until = 0.0
        self._hints = serves_websocket

    def look(self) -> None:
        """Tell, if there is more than was told, and that is not a moment ago."""
        self._hint()
        if self._tally != self._told and monotonic() >= self._silent_until:
            self._silent_until = monotonic() + PAUSE_SECONDS
            self.tell()

    def tell(self) -> None:
        """Tell what came so far, if anything did."""
        self._hint()
        tally = self._told = replace(self._tally)
        if tally != MalformedCounts():
            self._logger.warning(
                "malformed so far: %d values of proxies' fields, ignored; %d preambles of the PROXY protocol, their "
                "connections closed (process %d)",
                tally.values,
                tally.preambles,
                os.getpid(),
            )

    def _hint(self) -> None:
        """Say once what to do about handshakes that lost their Upgrade."""
        if self._hints and self._tally.handshakes:
            self._hints = False
            self._logger.warning(UPGRADE_HINT)
