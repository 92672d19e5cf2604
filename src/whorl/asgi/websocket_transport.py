"""What a WebSocket session asks of the connection, or the HTTP/2 stream, that carries it.

HTTP/1.1 implements it by an upgraded connection (RFC 6455). HTTP/2 would by a stream of extended CONNECT (RFC 8441).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from whorl.asgi.stream import Stream
from whorl.wire.websocket.deflate import Deflate

__all__ = ["WebSocketTransport"]


class WebSocketTransport(Stream, Protocol):
    """Carries a WebSocket: a `Stream` until the handshake is accepted, bytes both ways after. No method raises because
    of the peer; none blocks."""

    def accept_websocket(
        self, subprotocol: str | None, deflate: Deflate | None, fields: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Accept the handshake, and call `WebSocketSession.accepted` with the status. What the peer sends from then on
        goes to `WebSocketSession.receive_data`.

        Args:
            subprotocol: the one that the application chose.
            deflate: the compression that was agreed.
            fields: the application's own.

        Raises:
            ValueError: the client did not offer the subprotocol, or a field is malformed; nothing was sent.
        """

    def write(self, data: bytes) -> None:
        """Send bytes, at the latest when the iteration of the loop ends."""

    def write_header_and_payload(self, header: bytes, payload: bytes) -> None:
        """Send a header and a payload that is too long to copy, at once."""

    def pause_reading(self) -> None:
        """Read nothing more from the peer until `resume_reading`."""

    def websocket_ended(self, protocol_error: bool) -> None:
        """End the connection: both sides have closed. The session asks for nothing more.

        Args:
            protocol_error: whether the peer may still be sending, because it broke the protocol.
        """
