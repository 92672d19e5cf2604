"""A WebSocket client that says exactly what it is told to, well-formed or not. No tests in this file.

with Peer(server, "/echo") as peer:
    peer.send(frame(TEXT, b"hello"))
    assert peer.frame() == (FIN | TEXT, b"hello")
"""

from __future__ import annotations

import struct
from typing import Any, Self

from tests.harness import Process
from tests.server.client import Client, Response, get

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3 has this pair
OFFER = ("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")


def upgrade(target: str = "/echo", *lines: str, **more: Any) -> bytes:
    """A request for WebSocket."""
    return get(target, *OFFER, *lines, **more)


def frame(opcode: int, payload: bytes = b"", flags: int = FIN, mask: bytes | None = b"\x01\x02\x03\x04") -> bytes:
    """A client's frame; without a mask it is none."""
    bit = 0 if mask is None else 0x80
    size = len(payload)
    if size < 126:
        head = bytes((flags | opcode, bit | size))
    elif size < 0x10000:
        head = struct.pack("!BBH", flags | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", flags | opcode, bit | 127, size)
    if mask is None:
        return head + payload
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def close(code: int = 1000, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class Peer(Client):
    """A WebSocket that is open.

    Attributes:
        response: what accepted it.
    """

    def __init__(
        self, server: Process, target: str = "/echo", *lines: str, receive_bytes: int | None = None, **more: Any
    ) -> None:
        super().__init__(server, receive_bytes)
        self.send(upgrade(target, *lines, **more))
        self.response: Response = self.head()
        assert self.response.status == 101, self.response

    def __enter__(self) -> Self:
        return self

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte, and its payload. A server's frames are not masked."""
        first, length = self.exactly(2)
        assert length < 0x80
        if length >= 126:
            length = int.from_bytes(self.exactly(2 if length == 126 else 8))
        return first, self.exactly(length)

    def text(self) -> str:
        """The next message, which is text in one frame."""
        first, payload = self.frame()
        assert first == FIN | TEXT, (first, payload)
        return payload.decode()

    def closing(self) -> tuple[int, str]:
        """The next frame, which is Close: its code and reason."""
        first, payload = self.frame()
        assert first == FIN | CLOSE, (first, payload)
        return int.from_bytes(payload[:2]), payload[2:].decode()

    def ended(self) -> tuple[int, str]:
        """The same, and after it nothing but the end."""
        found = self.closing()
        assert self.rest() == b""
        return found
