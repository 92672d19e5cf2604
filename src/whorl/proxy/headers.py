"""Which fields of a trusted peer are believed: the setting `proxy_headers`.

A proxy that sets one field passes on what a client wrote into another. So `auto`, the default, believes no more than
nearly every proxy sets: who the client is, and by which scheme it came. Host, port and prefix are believed by whoever
says `x-forwarded` or `forwarded`, and so that the proxy sets or drops all of them.
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
    """Which fields are believed. The values are the words of the setting."""

    AUTO = "auto"
    """X-Forwarded-For and -Proto; where there is no X-Forwarded-* at all, `for` and `proto` of Forwarded."""
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
        believed: which fields.
        trust: whose.
        tally: where values are counted that nobody can read.
    """

    __slots__ = ("_believed", "_tally", "_trust")

    def __init__(self, believed: ProxyHeadersMode, trust: TrustedPeers, tally: MalformedCounts) -> None:
        self._believed = believed
        self._trust = trust
        self._tally = tally

    def read(self, fields: Sequence[Field]) -> ForwardedInfo:
        """What a trusted peer says with these fields."""
        believed = self._believed
        if believed is ProxyHeadersMode.OFF:
            return ForwardedInfo()
        if believed is ProxyHeadersMode.X_FORWARDED:
            facts = read_x_forwarded(fields, self._trust, ALL)
        elif believed is ProxyHeadersMode.FORWARDED:
            facts = read_forwarded(fields, self._trust, with_host=True)
        elif any(name in ALL for name, _ in fields):
            facts = read_x_forwarded(fields, self._trust, FOR_AND_PROTO)
        else:
            facts = read_forwarded(fields, self._trust, with_host=False)
        self._tally.values += facts.malformed
        return facts
