"""The states of an exchange: its response and its request. Only the exchange changes them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "ABORTED",
    "AWAITING_CONTINUE",
    "COMPLETE",
    "DELIVERED",
    "DISCONNECTED",
    "NOT_STARTED",
    "RECEIVED",
    "RECEIVING",
    "SENDING",
    "STARTED",
    "TRAILERS",
    "WEBSOCKET_OPEN",
    "RequestState",
    "ResponseState",
]


class ResponseState(IntEnum):
    """How much of the response has been sent. `Exchange.handlers` lists the messages that each state takes."""

    NOT_STARTED = 0
    """The application has sent nothing."""
    STARTED = 1
    """The application has sent http.response.start. The head waits for the first content: both leave in one write."""
    SENDING = 2
    """The head has been sent."""
    TRAILERS = 3
    """The content is complete, the trailers are not."""
    WEBSOCKET_OPEN = 4
    """The application has accepted a WebSocket, which is open (`whorl.asgi.websocket`)."""
    COMPLETE = 5
    """The response is complete."""
    ABORTED = 6
    """The response will never be complete: the client disconnected, or the server cut it short."""


NOT_STARTED: Final = ResponseState.NOT_STARTED
STARTED: Final = ResponseState.STARTED
SENDING: Final = ResponseState.SENDING
TRAILERS: Final = ResponseState.TRAILERS
WEBSOCKET_OPEN: Final = ResponseState.WEBSOCKET_OPEN
COMPLETE: Final = ResponseState.COMPLETE
ABORTED: Final = ResponseState.ABORTED


class RequestState(IntEnum):
    """How much of the request has reached the application."""

    AWAITING_CONTINUE = 0
    """The client waits for 100 before it sends the body."""
    RECEIVING = 1
    """The body is not complete."""
    RECEIVED = 2
    """The body is complete; the application has not been told."""
    DELIVERED = 3
    """The application has the whole body. What it can wait for is http.disconnect."""
    DISCONNECTED = 4
    """The application has got http.disconnect from a client that may still read."""


AWAITING_CONTINUE: Final = RequestState.AWAITING_CONTINUE
RECEIVING: Final = RequestState.RECEIVING
RECEIVED: Final = RequestState.RECEIVED
DELIVERED: Final = RequestState.DELIVERED
DISCONNECTED: Final = RequestState.DISCONNECTED
