"""The phases of an HTTP/1 connection, and how long each may last."""

from __future__ import annotations

from enum import IntEnum
from math import inf
from typing import Final

from whorl.connection.limits import Limits

__all__ = [
    "AWAITING_REQUEST",
    "CLOSED",
    "CLOSING",
    "DISCARDING_BODY",
    "ENDING",
    "IDLE",
    "IN_EXCHANGE",
    "LINGERING",
    "NEW",
    "READING_HEAD",
    "TLS_HANDSHAKE",
    "TRANSITIONS",
    "UPGRADED",
    "Phase",
    "phase_timeouts",
]

LINGER_SILENCE_SECONDS: Final = 5.0


class Phase(IntEnum):
    """What the connection waits for."""

    TLS_HANDSHAKE = 0
    """The end of the TLS handshake."""
    NEW = 1
    """The first byte of a request."""
    READING_HEAD = 2
    """The rest of a request head."""
    IN_EXCHANGE = 3
    """The application, the rest of the request body, or the client to read the response."""
    DISCARDING_BODY = 4
    """The rest of a request body that the application did not read."""
    IDLE = 5
    """The next request."""
    UPGRADED = 6
    """WebSocket messages: the connection no longer speaks HTTP (RFC 9110 section 7.8)."""
    LINGERING = 7
    """The client to read the last response; what it sends is discarded (RFC 9112 section 9.6)."""
    CLOSING = 8
    """The transport to send what is left."""
    CLOSED = 9
    """Nothing."""


TLS_HANDSHAKE: Final = Phase.TLS_HANDSHAKE
NEW: Final = Phase.NEW
READING_HEAD: Final = Phase.READING_HEAD
IN_EXCHANGE: Final = Phase.IN_EXCHANGE
DISCARDING_BODY: Final = Phase.DISCARDING_BODY
IDLE: Final = Phase.IDLE
UPGRADED: Final = Phase.UPGRADED
LINGERING: Final = Phase.LINGERING
CLOSING: Final = Phase.CLOSING
CLOSED: Final = Phase.CLOSED

AWAITING_REQUEST: Final = (IDLE, NEW, READING_HEAD)
ENDING: Final = (LINGERING, CLOSING, CLOSED)

# `tests/connection/test_http1_state.py` holds every connection of the suite to this table.
TRANSITIONS: Final[dict[Phase, tuple[Phase, ...]]] = {
    TLS_HANDSHAKE: (NEW, *ENDING),
    NEW: (READING_HEAD, IN_EXCHANGE, *ENDING),
    READING_HEAD: (IN_EXCHANGE, IDLE, *ENDING),
    IN_EXCHANGE: (IDLE, DISCARDING_BODY, UPGRADED, *ENDING),
    DISCARDING_BODY: (IDLE, *ENDING),
    IDLE: (READING_HEAD, IN_EXCHANGE, *ENDING),
    UPGRADED: ENDING,
    LINGERING: (CLOSING, CLOSED),
    CLOSING: (CLOSED,),
    CLOSED: (),
}


def phase_timeouts(limits: Limits) -> tuple[float, ...]:
    """Return how long each phase may last, in seconds."""
    timeouts = {
        TLS_HANDSHAKE: limits.timeout_tls_handshake,
        NEW: limits.timeout_first_byte,
        READING_HEAD: limits.timeout_request_head,
        IN_EXCHANGE: limits.timeout_request_body,
        DISCARDING_BODY: limits.timeout_request_body,
        IDLE: limits.timeout_keep_alive,
        UPGRADED: inf,  # `whorl.connection.websocket_deadlines`
        LINGERING: min(limits.timeout_linger, LINGER_SILENCE_SECONDS),
        CLOSING: limits.timeout_response,
        CLOSED: inf,
    }
    return tuple(timeouts[phase] for phase in Phase)
