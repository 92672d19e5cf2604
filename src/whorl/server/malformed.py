"""Telling the operator that a proxy says what nobody can read, or drops what it should pass on (`whorl.proxy.tally`).

Only peers that are believed are counted, so it is a proxy that is set up wrongly, or `forwarded_allow_ips` admits those
that it should not. It is one line at first, one a minute at most while it goes on, and one at the end. A WebSocket's
handshake without Upgrade can come from anybody, so there is one hint and no more. The server's sweep calls `look`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from time import monotonic

from whorl.proxy.tally import Tally

__all__ = ["Malformed"]

PAUSE_SECONDS = 60.0

UPGRADE_HINT = (
    "a WebSocket handshake came without Upgrade and is served as plain HTTP: a proxy in front drops it; nginx passes "
    'it on with "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;" '
    "(this is said once)"
)


class Malformed:
    """Tells what a tally comes to.

    Args:
        tally: which.
        logger: where to.
        serves_websocket: whether a lost Upgrade is worth a hint.
    """

    __slots__ = ("_hints", "_logger", "_silent_until", "_tally", "_told")

    def __init__(self, tally: Tally, logger: logging.Logger, serves_websocket: bool) -> None:
        self._tally = tally
        self._logger = logger
        self._told = Tally()
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
        if tally != Tally():
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
