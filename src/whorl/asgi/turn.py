"""Whose turn it is in an open WebSocket: who has to act before our Close frame can go (ASGI WebSocket 2.5).

A peer that closes, breaks the protocol, or is left by the server gets our Close frame once the application has dealt
with what came before. So the application can answer the last message.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BUSY", "DUE", "FREE", "NEXT_TURN", "OVER", "Passing", "Turn"]


class Turn(IntEnum):
    """Who has to act."""

    FREE = 0
    """Nobody: the application has dealt with all that came."""
    BUSY = 1
    """The application: it has a message, or one waits for it, and it has not come back for more."""
    DUE = 2
    """The application still, but our Close frame is due: it goes as soon as the application comes back for more."""
    OVER = 3
    """Nobody any more: our Close frame has left, or never will."""


FREE, BUSY, DUE, OVER = Turn


class Passing(IntEnum):
    """What passes the turn on."""

    MESSAGE = 0
    """A message of the peer has come for the application."""
    BACK = 1
    """The application has come back for more, and there is none."""
    ENDED = 2
    """The peer has closed or broken the protocol, or the server leaves."""


# Where this leads to OVER, our Close frame is sent. Any turn becomes OVER when the application closes, when the peer
# has waited for our Close frame long enough, or when the carrier is gone. MESSAGE and BACK happen with every message:
# for FREE and BUSY the session has them written out instead of looked up.
NEXT_TURN: dict[Turn, dict[Passing, Turn]] = {
    FREE: {Passing.MESSAGE: BUSY, Passing.BACK: FREE, Passing.ENDED: OVER},
    BUSY: {Passing.MESSAGE: BUSY, Passing.BACK: FREE, Passing.ENDED: DUE},
    DUE: {Passing.MESSAGE: DUE, Passing.BACK: OVER, Passing.ENDED: DUE},
    OVER: {Passing.MESSAGE: OVER, Passing.BACK: OVER, Passing.ENDED: OVER},
}
