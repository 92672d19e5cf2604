"""What comes out of a connection besides messages: control frames (RFC 6455 section 5.5) and the end.

A text message is a `str`, a binary message is `bytes`: nothing is wrapped around them.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from whorl.wire.websocket.failure import Failure

__all__ = ["Close", "Event", "Ping", "Pong"]


class Ping(NamedTuple):
    """A ping of the peer; the pong that answers it is in `Connection.pongs`."""

    payload: bytes


class Pong(NamedTuple):
    """A pong of the peer, to a ping of ours or to none."""

    payload: bytes


class Close(NamedTuple):
    """The peer ended the connection.

    Attributes:
        code: the peer's status code; 1005 where its Close frame has none, 1006 where none came (section 7.1.5).
        reason: the peer's words.
    """

    code: int
    reason: str


Event: TypeAlias = str | bytes | Ping | Pong | Close | Failure
