"""Counts what proxies send malformed, and what they drop: nothing else shows that a proxy is misconfigured."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["MalformedCounts"]


@dataclass(slots=True)
class MalformedCounts:
    """What has come so far.

    Attributes:
        values: of X-Forwarded-* and Forwarded; they were ignored.
        preambles: of the PROXY protocol; their connections were closed.
        handshakes: of WebSocket, that lack Upgrade and so were served as plain HTTP.
    """

    values: int = 0
    preambles: int = 0
    handshakes: int = field(default=0, compare=False)
