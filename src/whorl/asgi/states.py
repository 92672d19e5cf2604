"""How far an exchange has come: our response, and their request (ARCHITECTURE.md section 5 has the tables).

Used by `exchange`, which changes them, by its coroutines (`call`), and by `websocket`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "COMING",
    "COMPLETE",
    "CUT",
    "ENDED",
    "EXPECTING",
    "LEFT",
    "OPEN",
    "SENDING",
    "STARTED",
    "TOLD",
    "TRAILERS",
    "WAITING",
    "Our",
    "Their",
]


class Our(IntEnum):
    """How far our response has come. `Exchange.steps` tells which messages each state takes."""

    WAITING = 0
    """The application has said nothing."""
    STARTED = 1
    """It has sent http.response.start; the head waits for the first content, so that both leave in one write."""
    SENDING = 2
    """The head has left."""
    TRAILERS = 3
    """The content is complete, the trailers are not."""
    OPEN = 4
    """It was the acceptance of a WebSocket, which is open (`whorl.asgi.websocket`)."""
    COMPLETE = 5
    """The response is complete."""
    CUT = 6
    """It never will be: the client left, or the response was cut."""


WAITING: Final = Our.WAITING
STARTED: Final = Our.STARTED
SENDING: Final = Our.SENDING
TRAILERS: Final = Our.TRAILERS
OPEN: Final = Our.OPEN
COMPLETE: Final = Our.COMPLETE
CUT: Final = Our.CUT


class Their(IntEnum):
    """How far their request has come to the application."""

    EXPECTING = 0
    """The client waits for 100 before it sends the body."""
    COMING = 1
    """The body is not all here."""
    ENDED = 2
    """It is all here, but the application has not been told so."""
    TOLD = 3
    """The application has seen the end; what it waits for now is the disconnect."""
    LEFT = 4
    """It has been told that the client left, which may still read."""


EXPECTING: Final = Their.EXPECTING
COMING: Final = Their.COMING
ENDED: Final = Their.ENDED
TOLD: Final = Their.TOLD
LEFT: Final = Their.LEFT
