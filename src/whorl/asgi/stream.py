"""The seam between what HTTP means and how a version of it writes: the few verbs an exchange needs of its carrier.

An `Exchange` talks to a `Stream` and to nothing below it. HTTP/1.1 implements it once per connection (one request at
a time, RFC 9112 section 9.3.2); a version that multiplexes implements it once per stream. What HTTP means (RFC 9110)
lives above: which fields may be sent, whether there is content, how long it is. How octets go (chunks, frames) lives
below. Nothing here knows a socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from whorl.http.encoder import FieldTable
from whorl.http.framing import Framing

__all__ = ["ClientLeft", "Stream"]


class ClientLeft(ConnectionError):
    """`send()` after the client left (ASGI HTTP 2.4: a subclass of OSError)."""

    def __init__(self) -> None:
        super().__init__("the client left before the response was complete")


class Stream(Protocol):
    """What an exchange asks of its carrier. No verb raises because of the peer; none blocks."""

    fields: FieldTable
    """Checks and encodes response fields for this version of HTTP."""

    writing_blocked: bool
    """Whether more than the high-water mark is unsent: the exchange then waits for `Exchange.resume_writing`."""

    def client_ended(self) -> bool:
        """Whether the client has ended its side, and sends nothing more. That counts as its leaving, and what is sent
        is written all the same."""

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
