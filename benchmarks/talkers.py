"""WebSocket clients of one server, in one process, on the load's core: each sends, and looks at every byte that comes.

The clients are sockets on one selector. What they send is masked and, where the row is about it, compressed beforehand;
what comes back is unmasked, inflated and compared with what was sent (RFC 6455 section 5.2, RFC 7692 section 7.2).
"""

from __future__ import annotations

import base64
import hashlib
import os
import selectors
import socket
import time
import zlib
from types import TracebackType

from benchmarks.fault import Fault
from benchmarks.process import Server
from benchmarks.rows import Row

__all__ = ["Talker", "Talkers", "check_talk"]

TIMEOUT_SECONDS = 20.0
READ_BYTES = 256 * 1024
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FIN, COMPRESSED, MASKED = 0x80, 0x40, 0x80
FLUSH_TAIL = b"\x00\x00\xff\xff"


class Talker:
    """One client, connected and past its handshake.

    Args:
        server: whose.
        row: what it says, and whether compressed.
        patience_seconds: how long it waits for anything.

    Raises:
        Fault: there is no connection, or the handshake went wrong.
    """

    __slots__ = ("_inflater", "_quick", "_received", "_server", "_told", "_utterance", "socket")

    def __init__(self, server: Server, row: Row, patience_seconds: float = TIMEOUT_SECONDS) -> None:
        self._server = server
        self._told = row.request.content
        self._received = bytearray()
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if row.deflate else None
        self._utterance = frame(TEXT, self._told, row.deflate)
        self._quick = b"" if row.deflate else unmasked_head(TEXT, len(self._told)) + self._told
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=patience_seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._shake_hands(row)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Talker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def talk(self, times: int) -> None:
        """Say something and wait until it comes back, again and again.

        Raises:
            Fault: what came is not what was said.
        """
        try:
            for _ in range(times):
                self.say()
                while not self.hear():
                    pass
        except OSError as error:
            raise Fault(f"{self._server.contender}: {error!r}") from None

    def _shake_hands(self, row: Row) -> None:
        key = base64.b64encode(os.urandom(16))
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if row.deflate else b""
        self.socket.sendall(
            b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n%b\r\n" % (row.request.path.encode(), key, offer)
        )
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(READ_BYTES)
            if not data:
                break
            head += data
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        lines = head.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
        if not head.startswith(b"HTTP/1.1 101") or b"sec-websocket-accept: " + accept.lower() not in lines:
            raise Fault(f"{self._server.contender}: no handshake, {head[:60]!r}")
        agreed = any(line.startswith(b"sec-websocket-extensions: permessage-deflate") for line in lines)
        if agreed is not row.deflate:
            raise Fault(f"{self._server.contender}: permessage-deflate was {'' if agreed else 'not '}agreed on")

    def say(self) -> None:
        self.socket.sendall(self._utterance)

    def hear(self) -> int:
        """Read what is there.

        Returns:
            how many whole messages it completed.

        Raises:
            Fault: one was not what was said, or the connection ended.
        """
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise Fault(f"{self._server.contender} closed a connection")
        if data == self._quick and not self._received:
            return 1
        received = self._received
        received += data
        messages = 0
        while (found := first_frame(received)) is not None:
            head, content, length = found
            del received[:length]
            messages += self._heard(head, content)
        return messages

    def _heard(self, head: int, content: bytes) -> int:
        if head & 0x0F == PING:
            self.socket.sendall(frame(PONG, content, False))
            return 0
        if head & 0x0F == CLOSE or head & ~COMPRESSED != FIN | TEXT:
            raise Fault(f"{self._server.contender}: a frame that begins with {head:#x}: {content[:60]!r}")
        if head & COMPRESSED and self._inflater is not None:
            content = self._inflater.decompress(content + FLUSH_TAIL)
        if content != self._told:
            raise Fault(f"{self._server.contender}: a wrong message of {len(content)} bytes, {content[:60]!r}")
        return 1


def unmasked_head(opcode: int, length: int) -> bytes:
    if length < 126:
        return bytes((FIN | opcode, length))
    if length < 65536:
        return bytes((FIN | opcode, 126)) + length.to_bytes(2, "big")
    return bytes((FIN | opcode, 127)) + length.to_bytes(8, "big")


def frame(opcode: int, content: bytes, deflate: bool) -> bytes:
    """A whole message, masked. Each is compressed by itself, as a client always may (RFC 7692 section 7.1.1)."""
    if deflate:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = (deflater.compress(content) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(FLUSH_TAIL)
    head = bytearray(unmasked_head(opcode, len(content)))
    head[0] |= COMPRESSED if deflate else 0
    head[1] |= MASKED
    mask = b"\x37\xfa\x21\x3d"
    return bytes(head) + mask + bytes(octet ^ mask[at & 3] for at, octet in enumerate(content))


def first_frame(received: bytearray) -> tuple[int, bytes, int] | None:
    """The first byte, the content and the length in all of the frame at the beginning; None if it is not all here."""
    if len(received) < 2:
        return None
    start, length = 2, received[1]
    if length >= 126:
        start = 4 if length == 126 else 10
        if len(received) < start:
            return None
        length = int.from_bytes(received[2:start], "big")
    if len(received) < start + length:
        return None
    return received[0], bytes(received[start : start + length]), start + length


class Talkers:
    """Many clients; leaving the context closes their connections.

    Args:
        server: theirs.
        row: how many, and what they say.
    """

    def __init__(self, server: Server, row: Row) -> None:
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._talkers: list[Talker] = []
        try:
            for _ in range(row.connections):
                talker = Talker(server, row)
                self._talkers.append(talker)
                self._selector.register(talker.socket, selectors.EVENT_READ, talker)
        except OSError as error:
            self.close()
            raise Fault(f"{server.contender}: client {len(self._talkers)}: {error}") from None
        except Fault:
            self.close()
            raise

    def __enter__(self) -> Talkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for talker in self._talkers:
            talker.socket.close()
        self._selector.close()

    def echo(self, seconds: float) -> int:
        """Each says something, and again when it has heard it, until the time is over and all have heard their last.

        Returns:
            how many messages came back.
        """
        begun = time.monotonic()
        for talker in self._talkers:
            talker.say()
        waiting, heard = len(self._talkers), 0
        while waiting:
            over = time.monotonic() - begun >= seconds
            for talker in self._ready():
                for _ in range(talker.hear()):
                    heard += 1
                    if over:
                        waiting -= 1
                    else:
                        talker.say()
        return heard

    def broadcast(self, seconds: float) -> int:
        """One says something, all hear it, and so on, until the time is over.

        Returns:
            how many messages came.
        """
        begun = time.monotonic()
        heard = 0
        while time.monotonic() - begun < seconds:
            self._talkers[0].say()
            wanted = heard + len(self._talkers)
            while heard < wanted:
                heard += sum(talker.hear() for talker in self._ready())
        return heard

    def _ready(self) -> list[Talker]:
        """Who has something to read. This never sleeps: to wake a client costs whoever sends to it several
        microseconds, so the faster of two servers would pay for its speed, with every message."""
        late = time.monotonic() + TIMEOUT_SECONDS
        while not (found := self._selector.select(0)):
            if time.monotonic() > late:
                raise Fault(f"{self._server.contender}: nothing came for {TIMEOUT_SECONDS:.0f} s")
        return [key.data for key, _ in found]


def check_talk(server: Server, row: Row, times: int = 1) -> int:
    """One client, and messages one after the other.

    Returns:
        how many bytes each has.

    Raises:
        Fault: what came is not what was said.
    """
    try:
        talker = Talker(server, row)
    except OSError as error:
        raise Fault(f"{server.contender}: {error!r}") from None
    with talker:
        talker.talk(times)
    return len(row.request.content)
