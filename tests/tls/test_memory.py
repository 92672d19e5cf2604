"""The way of bytes through `transport.tls`, without a socket: cut anywhere, joined where they came together."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tls.client import Authority
from whorl.asgi.app_context import AppContext
from whorl.asgi.scope import ConnectionInfo
from whorl.config import Config
from whorl.connection.context import Http1Caches, ServerContext
from whorl.connection.http1_state import NEW, TLS_HANDSHAKE
from whorl.connection.limits import Limits
from whorl.connection.tls_transport import ENCRYPT_CHUNK_BYTES, MAX_WRITE_BYTES, TlsTransport
from whorl.net.tls_records import RECORD_BYTES, split_records
from whorl.tls.contexts import Contexts


class EpollTransport(asyncio.Transport):
    """The loop's transport: what is written stays here."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.reading = True
        self.when_written: Callable[[], None] = lambda: None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        self.when_written()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def close(self) -> None:
        self.closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def take(self) -> bytes:
        written = b"".join(self.written)
        self.written.clear()
        return written


class Memory:
    """What OpenSSL reads from and writes to, for all connections of a server."""

    def __init__(self) -> None:
        self.to_openssl, self.from_openssl = ssl.MemoryBIO(), ssl.MemoryBIO()

    def is_empty(self) -> bool:
        return not self.to_openssl.pending and not self.from_openssl.pending


class Above:
    """The connection: what it is told stays here, and it answers what it is asked to. Whoever calls it has left nothing
    in the memory, where another connection would take it for its own."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.phase = TLS_HANDSHAKE
        self.waiting_since = 0.0
        self.peer = ConnectionInfo(("127.0.0.1", 1), ("127.0.0.1", 2), "https")
        self.planned: list[Callable[[], None]] = []
        loop: Any = SimpleNamespace(
            create_future=lambda: SimpleNamespace(set_result=lambda result: None),
            call_soon=lambda callback, context: self.planned.append(callback),
        )
        app: Any = None
        app_context = AppContext(app, loop, copy_context(), logging.getLogger("test"))
        limits = Limits.of(Config("main:app"))
        self.context = ServerContext(app_context, limits, Http1Caches(b"", False, []), None)
        self.context.tls_in, self.context.tls_out = memory.to_openssl, memory.from_openssl
        self.told: list[bytes | None] = []
        self.answer = b""
        self.their_eof = False
        self.left = False
        self.held = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.memory.is_empty()
        self.told.append(data)
        if self.answer:
            self.transport.write(self.answer)

    def eof_received(self) -> bool:
        assert self.memory.is_empty()
        self.told.append(None)
        self.their_eof = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.left = True

    def hold_reading(self, held: bool) -> None:
        self.held = held

    def iterate(self) -> None:
        """The next iteration of the loop."""
        planned, self.planned = self.planned, []
        for callback in planned:
            callback()

    def disconnect_exchange(self) -> None:
        assert self.memory.is_empty()
        self.left = True

    def close(self) -> None:
        self.transport.close()

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass


class Pair:
    """A client in memory, and a server's TLS above a wire."""

    def __init__(
        self, authority: Authority, version: str = "TLSv1_3", memory: Memory | None = None, **client: object
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("localhost", to="memory").values())
        self.memory = memory or Memory()
        self.wire = EpollTransport()
        self.above: Any = Above(self.memory)
        certificates: Any = SimpleNamespace(contexts=Contexts(context))
        self.tls = TlsTransport(self.above, certificates)
        self.tls.connection_made(self.wire)
        self._to_client, self._to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusting = authority.context(maximum_version=getattr(ssl.TLSVersion, version), **client)
        self.client = trusting.wrap_bio(self._to_client, self._to_server, server_hostname="localhost")

    def receive(self, data: bytes) -> None:
        """The server's side gets bytes."""
        self.tls.data_received(data)
        assert self.memory.is_empty()

    def handshake_in_memory(self) -> bytes:
        """Go as far as the client can; returns the last words of its side, which the server has not heard."""
        while True:
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.receive(self._to_server.read())
                self._to_client.write(self.wire.take())
            else:
                return self._to_server.read()

    def open(self) -> None:
        last = self.handshake_in_memory()
        if last:
            self.receive(last)
            self._to_client.write(self.wire.take())
        assert self.above.phase is NEW

    def unsent(self) -> bytes:
        """What the client has ready for the wire."""
        return self._to_server.read()

    def say(self, data: bytes) -> bytes:
        """What a client sends, as it is on the wire."""
        view = memoryview(data)
        while view:
            view = view[self.client.write(view) :]
        return self.unsent()

    def hear(self, size: int) -> bytes:
        """What the server has written, deciphered."""
        self._to_client.write(self.wire.take())
        heard = b""
        while len(heard) < size:
            heard += self.client.read(size - len(heard))
        return heard


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def pair(authority: Authority, request: pytest.FixtureRequest) -> Pair:
    opened = Pair(authority, request.param)
    opened.open()
    return opened


@pytest.mark.parametrize("size", [1, 100, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 300_000])
def test_what_comes_in_pieces_arrives_whole(pair: Pair, size: int) -> None:
    said = os.urandom(size)
    for piece_bytes in (1, 4, 5, 100, RECORD_BYTES, RECORD_BYTES + 22, 4 * RECORD_BYTES, 1_000_000):
        wire = pair.say(said)
        step = max(piece_bytes, len(wire) // 1000)
        for start in range(0, len(wire), step):
            pair.receive(wire[start : start + step])
        assert None not in pair.above.told
        assert b"".join(piece for piece in pair.above.told if piece) == said
        pair.above.told.clear()


@pytest.mark.parametrize("size", range(1, 30))
def test_a_record_may_be_cut_anywhere_and_another_comes_with_its_end(pair: Pair, size: int) -> None:
    first, second, third = pair.say(b"first"), pair.say(b"second"), pair.say(b"third")
    wire = first + second + third
    at = len(first) + size
    pair.receive(wire[:at])
    pair.receive(wire[at:])
    assert b"".join(piece for piece in pair.above.told if piece) == b"firstsecondthird"
    pair.receive(pair.say(b"fourth"))
    assert pair.above.told[-1] == b"fourth"


def test_an_upload_leaves_no_large_buffer(pair: Pair) -> None:
    """OpenSSL's never shrink."""
    wire = pair.say(os.urandom(500_000))
    sizes = [len(record) for record in split_records(b"", wire, 1000)[0]]
    assert sum(sizes) == len(wire)
    assert max(sizes) <= RECORD_BYTES + 64


@pytest.mark.parametrize("header", [b"\x80\x2e\x01\0\xff", b"GET /", b"\x17\x03\x03\xff\xff", b"\x17\x02\0\x01\0"])
def test_what_is_no_record_is_not_waited_for(pair: Pair, header: bytes) -> None:
    pair.receive(header + b"x")
    assert pair.above.left
    assert pair.wire.closing


def test_a_record_in_two_pieces_with_a_small_second_one(pair: Pair) -> None:
    """The second piece is shorter than what the record then turns out to hold."""
    said = os.urandom(1000)
    wire = pair.say(said)
    pair.receive(wire[:-3])
    assert pair.above.told == []
    pair.receive(wire[-3:])
    assert pair.above.told == [said]


def test_what_came_together_is_handed_on_together(pair: Pair) -> None:
    pair.receive(b"".join(pair.say(b"%d" % number) for number in range(50)))
    assert pair.above.told == [b"".join(b"%d" % number for number in range(50))]


def test_an_end_with_the_last_words(pair: Pair) -> None:
    wire = pair.say(b"good night")
    try:
        pair.client.unwrap()
    except ssl.SSLWantReadError:
        pass
    pair.receive(wire + pair.unsent())
    assert pair.above.told == [b"good night", None]


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(authority: Authority) -> None:
    pair = Pair(authority)
    pair.above.answer = b"answer"
    last = pair.handshake_in_memory()
    pair.receive(last + pair.say(b"question"))
    assert pair.above.told == [b"question"]
    assert len(pair.wire.written) == 2  # the tickets before it: they leave before anybody else is called
    assert pair.hear(6) == b"answer"
    assert pair.client.session is not None
    assert pair.client.session.has_ticket


def test_a_handshake_without_a_request_ends_with_tickets(authority: Authority) -> None:
    pair = Pair(authority)
    pair.receive(pair.handshake_in_memory())
    assert len(pair.wire.written) == 1


def test_a_record_that_is_not_in_order_ends_it(pair: Pair) -> None:
    wire = bytearray(pair.say(b"x" * 100))
    wire[-1] ^= 1
    pair.receive(bytes(wire))
    assert pair.above.told == []
    assert pair.above.left
    assert pair.wire.closing
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):  # our alert
        pair.hear(1)


def test_a_large_write_waits_for_the_client(pair: Pair) -> None:
    answer = os.urandom(5 * MAX_WRITE_BYTES + 17)
    pair.tls.pause_writing()
    pair.tls.writelines((b"head", b"", answer))
    assert pair.wire.written == []
    assert pair.tls.get_write_buffer_size() == 4 + len(answer)
    pair.tls.resume_writing()
    assert pair.tls.get_write_buffer_size() == 0
    assert len(pair.wire.written) == 6
    assert pair.hear(4 + len(answer)) == b"head" + answer


def test_no_more_than_a_portion_is_enciphered_before_the_client_takes_it(pair: Pair) -> None:
    answer = os.urandom(3 * MAX_WRITE_BYTES)
    pair.wire.when_written = pair.tls.pause_writing
    pair.tls.write(answer)
    assert MAX_WRITE_BYTES < sum(map(len, pair.wire.written)) < MAX_WRITE_BYTES + ENCRYPT_CHUNK_BYTES
    assert pair.tls.get_write_buffer_size() == 2 * MAX_WRITE_BYTES
    pair.tls.resume_writing()
    assert pair.tls.get_write_buffer_size() == MAX_WRITE_BYTES
    pair.tls.resume_writing()
    assert pair.hear(len(answer)) == answer


def test_writes_keep_their_order_behind_a_large_one(pair: Pair) -> None:
    large = os.urandom(2 * MAX_WRITE_BYTES)
    pair.tls.pause_writing()
    pair.tls.write(large)
    pair.tls.write(b"after")
    pair.tls.close()
    assert not pair.wire.closing
    pair.tls.resume_writing()
    assert pair.wire.closing
    assert pair.hear(len(large) + 5) == large + b"after"
    assert pair.client.read(1) == b""  # our close_notify


def test_nothing_is_written_for_nothing(pair: Pair) -> None:
    pair.tls.write(b"")
    pair.tls.writelines((b"", b""))
    assert pair.wire.written == []


def together(authority: Authority) -> tuple[Pair, Pair]:
    """Two connections of one server."""
    memory = Memory()
    return Pair(authority, memory=memory), Pair(authority, memory=memory)


def test_connections_of_a_server_do_not_meet(authority: Authority) -> None:
    """Their handshakes and records come in turns, and each hears its own."""
    pairs = together(authority)
    lasts = [pair.handshake_in_memory() for pair in pairs]
    for pair, last in zip(pairs, lasts, strict=True):
        pair.receive(last)
        pair.hear(0)
    wires = [pair.say(b"%d" % number * 20_000) for number, pair in enumerate(pairs)]
    for start in range(0, 30_000, 777):
        for pair, wire in zip(pairs, wires, strict=True):
            pair.receive(wire[start : start + 777])
    for number, pair in enumerate(pairs):
        assert b"".join(piece for piece in pair.above.told if piece) == b"%d" % number * 20_000
        pair.tls.write(b"to %d" % number)
    for number, pair in enumerate(pairs):
        assert pair.hear(4) == b"to %d" % number


@pytest.mark.parametrize("stage", ["hello", "end of handshake", "record", "after our end"])
def test_one_that_fails_leaves_nothing_to_the_others(authority: Authority, stage: str) -> None:
    """Whatever one sends, and whether its transport still takes what OpenSSL says to it."""
    for number, closing in enumerate((False, True) * 30):
        damaged, sound = together(authority)
        sound.open()
        if stage == "hello":
            with pytest.raises(ssl.SSLWantReadError):
                damaged.client.do_handshake()
            wire = damaged.unsent()
        elif stage == "end of handshake":
            wire = damaged.handshake_in_memory() + damaged.say(b"question")
        else:
            damaged.open()
            wire = damaged.say(b"a" * 100) + damaged.say(b"b" * 100)
        if stage == "after our end":
            damaged.tls.write_eof()
        damaged.wire.closing = closing
        octets = bytearray(wire)
        octets[number * len(octets) // 60] ^= 1 << number % 8
        damaged.receive(bytes(octets))
        damaged.receive(os.urandom(50))
        sound.receive(sound.say(b"question"))
        assert sound.above.told == [b"question"]
        sound.tls.write(b"answer")
        assert sound.hear(6) == b"answer"
