"""The seam between what HTTP means and how a version of it writes: the few verbs an exchange needs of its carrier.

An `Exchange` talks to a `Stream` and to nothing below it. HTTP/1.1 implements it once per connection (one request at
a time, RFC 9112 section 9.3.2); a version that multiplexes implements it once per stream. What HTTP means (RFC 9110)
lives above: which fields may be sent, whether there is content, how long it is. How octets go (chunks, frames) lives
below. Nothing here knows a socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import BinaryIO, Protocol

from whorl.asgi.fields import FieldTable

__all__ = [
    "LENGTH_COUNTED",
    "LENGTH_DECLARED",
    "LENGTH_UNKNOWN",
    "NO_CONTENT",
    "NO_CONTENT_COUNTED",
    "ClientLeft",
    "Framing",
    "Stream",
    "frame_nothing",
]


class ClientLeft(ConnectionError):
    """`send()` after the client left (ASGI HTTP 2.4: a subclass of OSError)."""

    def __init__(self) -> None:
        super().__init__("the client left before the response was complete")


class Framing(IntEnum):
    """How the end of a response's content is told (RFC 9110 sections 6.4.1 and 8.6)."""

    NO_CONTENT = 0
    """No content follows, and the carrier tells no length; the application's own may stand among the fields."""
    NO_CONTENT_COUNTED = 1
    """No content follows, and the carrier tells how long it would have been."""
    LENGTH_DECLARED = 2
    """The application's own Content-Length stands among the fields."""
    LENGTH_COUNTED = 3
    """The content is all here: the carrier tells its length."""
    LENGTH_UNKNOWN = 4
    """The carrier marks the end in its own way."""


NO_CONTENT, NO_CONTENT_COUNTED, LENGTH_DECLARED, LENGTH_COUNTED, LENGTH_UNKNOWN = Framing


def frame_nothing(status: int, declared_bytes: int, ends: bool) -> Framing:
    """How a response without content is framed: one to HEAD, or with status 204, 205 or 304 (RFC 9110 sections 6.4.1,
    8.6, 9.3.2 and 15.3.6).

    Args:
        status: the final status code.
        declared_bytes: the application's Content-Length, -1 without one.
        ends: whether the first piece of content is the only one, and no trailers follow.
    """
    # 204 and 304 tell no length of their own; 205 tells 0; HEAD tells what GET would have told, if that is known.
    if status in (204, 304) or declared_bytes >= 0:
        return NO_CONTENT
    return NO_CONTENT_COUNTED if ends or status == 205 else NO_CONTENT


class Stream(Protocol):
    """What an exchange asks of its carrier. No verb raises because of the peer; none blocks."""

    fields: FieldTable
    """Checks and encodes response fields for this version of HTTP."""

    writing_blocked: bool
    """Whether more than the high-water mark is unsent: the exchange then waits for `Exchange.resume_writing`."""

    @property
    def client_text(self) -> str:
        """The client, for a log line."""

    def send_head(
        self, status: int, lines: list[bytes], flags: int, framing: Framing, content: bytes, ends: bool
    ) -> None:
        """Begin the final response, and with it its first content.

        Args:
            status: the status code.
            lines: the encoded fields.
            flags: what they say, see `fields`.
            framing: how the content is framed.
            content: its first piece; counted but not sent where there is no content.
            ends: whether the response is complete with it. The exchange sends nothing more then.
        """

    def send_data(self, data: bytes) -> None:
        """Send a piece of content."""

    def send_end(self, trailers: Sequence[bytes]) -> None:
        """Complete a response that `send_head` began, with encoded trailer fields if there are any."""

    def send_interim(self, status: int, lines: Sequence[bytes]) -> None:
        """Send a 1xx response (RFC 9110 section 15.2)."""

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send `count` octets of an open file as content, by the cheapest way there is. Raises ClientLeft."""

    def resume_reading(self) -> None:
        """The application took what was buffered of the request body."""

    def abort(self) -> None:
        """Cut the response short in such a way that the client can tell."""
