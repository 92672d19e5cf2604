"""The seam below a WebSocket: the few verbs that a session needs of what carries it.

Until the handshake is accepted a session is an exchange, and its carrier a `Stream`; from then on the carrier passes
bytes on, both ways. HTTP/1.1 implements it with the upgraded connection (RFC 6455), HTTP/2 would with a stream of
extended CONNECT (RFC 8441).
"""

from __future__ import annotations

from typing import Protocol

from whorl.asgi.stream import Stream
from whorl.wire.websocket.deflate import Deflate

__all__ = ["WebSocketTransport"]


class WebSocketTransport(Stream, Protocol):
    """What a WebSocket session asks of its carrier. No verb raises because of the peer; none blocks."""

    def accept_websocket(
        self, subprotocol: str | None, deflate: Deflate | None, lines: list[bytes], flags: int
    ) -> None:
        """Answer the handshake with yes. What the peer sends from here on goes to `WebSocketSession.receive_octets`.

        Args:
            subprotocol: the one that was chosen of it.
            deflate: what was agreed about compression.
            lines: the application's own fields, encoded.
            flags: what they say, see `fields`.

        Raises:
            ValueError: the client did not offer the subprotocol; nothing was sent.
        """

    def write(self, data: bytes) -> None:
        """Send bytes, at the latest when the turn of the loop ends."""

    def write_header_and_payload(self, header: bytes, payload: bytes) -> None:
        """Send bytes of which the second piece is so long that it should not be copied, and does not wait."""

    def pause_reading(self) -> None:
        """Take nothing more from the peer until `resume_reading`."""

    def restart_deadline(self) -> None:
        """The wait that was under way is over, and another begins."""

    def websocket_ended(self, broken: bool) -> None:
        """Both sides have said all they will; the session asks for nothing more.

        Args:
            broken: whether the peer did not keep to the protocol: it may still be sending.
        """
