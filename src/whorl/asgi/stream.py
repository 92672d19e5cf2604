"""The seam between what HTTP means (RFC 9110) and how a version of it writes.

An `Exchange` talks to a `Stream` and to nothing below. HTTP/1.1 implements it once per connection; a version that
multiplexes implements it once per stream. Which fields may be sent, whether there is content, and how long it is, is
decided above; how bytes are framed, below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from whorl.asgi.scope import ConnectionInfo
from whorl.http.encoder import ResponseFieldEncoder
from whorl.http.framing import Framing

__all__ = ["ClientDisconnected", "Stream"]


class ClientDisconnected(ConnectionError):
    """`send()` after the client disconnected (ASGI HTTP 2.4: a subclass of OSError)."""

    def __init__(self) -> None:
        super().__init__("the client left before the response was complete")


class Stream(Protocol):
    """What an exchange asks of what carries it. No method raises because of the client; none blocks."""

    field_encoder: ResponseFieldEncoder
    """Checks and encodes response fields for this version of HTTP."""

    client: ConnectionInfo
    """The client of the present request: the peer, or the one that a proxy names."""

    writing_blocked: bool
    """Whether more than the high-water mark is unsent: the exchange then waits for `Exchange.resume_writing`."""

    def client_ended(self) -> bool:
        """Return whether the client has ended its side (FIN, END_STREAM after a reset). It counts as disconnected; what
        is sent is still written."""

    def send_head(
        self, status: int, lines: list[bytes], flags: int, framing: Framing, content: bytes, ends: bool
    ) -> None:
        """Begin the final response, and with it its first content.

        Args:
            status: the status code.
            lines: the encoded fields.
            flags: what the fields decide, see `whorl.http.encoder`.
            framing: how the end of the content is told.
            content: the first piece of content; counted but not sent if the response has none.
            ends: whether the response is complete. The exchange then sends nothing more.
        """

    def send_data(self, data: bytes, ends: bool) -> None:
        """Send a piece of content, which may be empty.

        Args:
            data: the piece.
            ends: whether the response is complete.
        """

    def send_trailers(self, lines: Sequence[bytes]) -> None:
        """Complete the response with encoded trailer fields, if there are any."""

    def send_interim(self, status: int, lines: Sequence[bytes]) -> None:
        """Send a 1xx response (RFC 9110 section 15.2)."""

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send `count` bytes of an open file as content, by the cheapest way there is.

        Raises:
            ClientDisconnected: the client disconnected.
            RuntimeError: the file became shorter meanwhile.
        """

    def resume_reading(self) -> None:
        """Read on: the application took what was buffered of the request body."""

    def abort(self) -> None:
        """Cut the response short so that the client notices."""
