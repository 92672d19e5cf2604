"""What a connection waits for: its state, and the only one it has.

    [HANDSHAKE] -> FRESH -> HEAD -> EXCHANGE -> [DRAINING] -> IDLE -> HEAD ...
    EXCHANGE -> UPGRADED
    any   -> LINGERING -> CLOSING -> CLOSED

A head that comes whole goes from FRESH or IDLE straight to EXCHANGE. Used by `connection`, which changes it, and by
`patience`, which knows how long each may last.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "CLOSED",
    "CLOSING",
    "DRAINING",
    "EXCHANGE",
    "FRESH",
    "HANDSHAKE",
    "HEAD",
    "IDLE",
    "LINGERING",
    "UPGRADED",
    "Phase",
]


class Phase(IntEnum):
    """What a connection waits for."""

    HANDSHAKE = 0
    """The end of the TLS handshake."""
    FRESH = 1
    """The first octet of a request."""
    HEAD = 2
    """The rest of a request head."""
    EXCHANGE = 3
    """The exchange: the application, the rest of the request body, or the client to read the response."""
    DRAINING = 4
    """The rest of a request body that nobody will read."""
    IDLE = 5
    """The next request."""
    UPGRADED = 6
    """A WebSocket's messages: what comes is HTTP no more (RFC 9110 section 7.8)."""
    LINGERING = 7
    """The client to read our last words; whatever it sends is thrown away (RFC 9112 section 9.6)."""
    CLOSING = 8
    """The transport to send what is left."""
    CLOSED = 9
    """Nothing."""


HANDSHAKE: Final = Phase.HANDSHAKE
FRESH: Final = Phase.FRESH
HEAD: Final = Phase.HEAD
EXCHANGE: Final = Phase.EXCHANGE
DRAINING: Final = Phase.DRAINING
IDLE: Final = Phase.IDLE
UPGRADED: Final = Phase.UPGRADED
LINGERING: Final = Phase.LINGERING
CLOSING: Final = Phase.CLOSING
CLOSED: Final = Phase.CLOSED
