"""Which fields of a trusted peer are used: the setting `proxy_headers`.

A proxy that sets one field forwards what a client wrote into another. So `auto`, the default, uses only what nearly
every proxy sets: the client's address and the scheme. `x-forwarded` and `forwarded` use host, port and prefix too, and
promise that the proxy sets or drops all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from whorl.http.request import Field
from whorl.proxy.forwarded import read_forwarded
from whorl.proxy.forwarded_info import ForwardedInfo
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers
from whorl.proxy.x_forwarded import FOR, HOST, PORT, PREFIX, PROTO, read_x_forwarded

__all__ = ["ProxyHeaders", "ProxyHeadersMode"]


class ProxyHeadersMode(Enum):
    """Which fields are used. The values are those of the setting."""

    AUTO = "auto"
    """X-Forwarded-For and -Proto; without any X-Forwarded-*, `for` and `proto` of Forwarded."""
    X_FORWARDED = "x-forwarded"
    """All five X-Forwarded-* fields."""
    FORWARDED = "forwarded"
    """Forwarded: `for`, `proto` and `host`."""
    OFF = "off"
    """None."""


FOR_AND_PROTO = frozenset((FOR, PROTO))
ALL = frozenset((FOR, PROTO, HOST, PORT, PREFIX))


class ProxyHeaders:
    """Reads the fields of trusted peers for one server.

    Args:
        mode: which fields.
        trust: the trusted peers.
        malformed_counts: counts malformed values.
    """

    __slots__ = ("_malformed_counts", "_mode", "_trust")

    def __init__(self, mode: ProxyHeadersMode, trust: TrustedPeers, malformed_counts: MalformedCounts) -> None:
        self._mode = mode
        self._trust = trust
        self._malformed_counts = malformed_counts

    def read(self, fields: Sequence[Field]) -> ForwardedInfo:
        """Parse the fields of a trusted peer."""
        mode = self._mode
        if mode is ProxyHeadersMode.OFF:
            return ForwardedInfo()
        if mode is ProxyHeadersMode.X_FORWARDED:
            facts = read_x_forwarded(fields, self._trust, ALL)
        elif mode is ProxyHeadersMode.FORWARDED:
            facts = read_forwarded(fields, self._trust, with_host=True)
        elif any(name in ALL for name, _ in fields):
            facts = read_x_forwarded(fields, self._trust, FOR_AND_PROTO)
        else:
            facts = read_forwarded(fields, self._trust, with_host=False)
        self._malformed_counts.values += facts.malformed
        return facts
