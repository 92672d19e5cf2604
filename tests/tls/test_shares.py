"""What a TLS client may cost: records that are all work and no content, and answers of OpenSSL that it does not
read."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.conftest import Pool
from tests.server.peer import CONTINUATION, TEXT, Peer, frame, upgrade
from tests.tls.client import Authority, TlsClient
from tests.tls.records import Records
from tests.tls.test_memory import Pair
from whorl.connection.tls_transport import MAX_RECORDS

QUICK_SECONDS = 0.4
MOST_SECONDS = 6
PUSHES = [{"type": "websocket.accept"}, ("push", 10_000, 10_000)]


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> Pair:
    opened = Pair(authority, keylog_filename=str(tmp_path / "keys"))
    opened.open()
    return opened


@pytest.fixture
def records(pair: Pair, tmp_path: Path) -> Records:
    return Records(tmp_path / "keys")


class TestTinyRecords:
    def test_so_many_in_an_iteration(self, pair: Pair) -> None:
        count = 5 * MAX_RECORDS + 7
        wire = b"".join(pair.say(b"x") for _ in range(count))
        pair.receive(wire[:-5])
        told = [len(piece) for piece in pair.above.told]
        while pair.above.planned:
            assert not pair.wire.reading
            pair.above.iterate()
            told = [len(piece) for piece in pair.above.told]
        assert pair.wire.reading
        assert not pair.above.held
        assert told == [MAX_RECORDS] * 5 + [6]
        pair.receive(wire[-5:])
        assert len(b"".join(pair.above.told)) == count

    def test_none_while_the_connection_reads_no_more(self, pair: Pair) -> None:
        pair.receive(b"".join(pair.say(b"x") for _ in range(3 * MAX_RECORDS)))
        pair.tls.pause_reading()
        pair.above.iterate()
        assert len(pair.above.told) == 1
        assert not pair.above.planned
        pair.tls.resume_reading()
        pair.tls.pause_reading()
        pair.tls.resume_reading()
        pair.above.iterate()
        assert len(pair.above.told) == 2, "one share, however often it was asked"
        for _ in range(3):
            pair.above.iterate()
        assert len(b"".join(pair.above.told)) == 3 * MAX_RECORDS
        assert pair.wire.reading

    def test_an_end_behind_them(self, pair: Pair) -> None:
        wire = b"".join(pair.say(b"x") for _ in range(2 * MAX_RECORDS))
        with pytest.raises(ssl.SSLWantReadError):
            pair.client.unwrap()  # which waits for the answer
        pair.receive(wire + pair.unsent())
        while pair.above.planned:
            pair.above.iterate()
        assert pair.above.told[-1] is None
        assert len(b"".join(pair.above.told[:-1])) == 2 * MAX_RECORDS

    def test_what_is_left_of_one_that_ended_is_thrown_away(self, pair: Pair) -> None:
        pair.receive(b"".join(pair.say(b"x") for _ in range(3 * MAX_RECORDS)))
        pair.tls.write_eof()
        pair.above.iterate()
        assert pair.wire.reading, "to linger is to read what still comes"
        pair.tls.connection_lost(None)
        assert len(pair.above.told) == 1


class TestKeyUpdates:
    def test_so_many_in_an_iteration(self, pair: Pair, records: Records) -> None:
        pair.receive(b"".join(records.key_update() for _ in range(2 * MAX_RECORDS)) + records.record(b"at last"))
        assert pair.above.told == []
        for _ in range(3):
            pair.above.iterate()
        assert pair.above.told == [b"at last"]

    def test_none_is_read_while_the_answers_are_not(self, pair: Pair, records: Records) -> None:
        pair.tls.pause_writing()
        pair.receive(records.key_update() + records.key_update())  # OpenSSL answers one when the next one comes
        assert not pair.wire.reading
        assert pair.above.held
        pair.above.iterate()
        assert not pair.wire.reading
        pair.tls.resume_writing()
        pair.above.iterate()
        assert pair.wire.reading
        pair.receive(records.record(b"at last"))
        assert pair.above.told == [b"at last"]


class TestProgress:
    """Of a response that the client does not read: only what it takes."""

    def reset_in_time(self, drip: Callable[[], object]) -> None:
        ends = time.monotonic() + MOST_SECONDS
        with pytest.raises(ConnectionError):
            while time.monotonic() < ends:
                drip()
                time.sleep(QUICK_SECONDS / 10)

    def test_answers_to_key_updates_are_none(
        self,
        pool: Pool,
        loop_name: str,
        certificate: dict[str, object],
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        server = pool.server(loop=loop_name, timeout_response=QUICK_SECONDS, **certificate)
        context = authority.context(keylog_filename=str(tmp_path / "keys"))
        with TlsClient(server, context) as client:
            records = Records(tmp_path / "keys")
            with socket.socket(fileno=client.socket.detach()) as raw:
                raw.settimeout(MOST_SECONDS)
                raw.sendall(records.record(upgrade("/", script=PUSHES)))
                assert raw.recv(1)
                self.reset_in_time(lambda: raw.sendall(records.key_update()))

    def test_nor_is_what_it_sends(self, pool: Pool, loop_name: str, name: str) -> None:
        server = pool.server(loop=loop_name, timeout_response=QUICK_SECONDS)
        with Peer(server, "/", script=PUSHES, name=name, receive_bytes=4096) as peer:
            peer.send(frame(TEXT, b"x", flags=0))
            self.reset_in_time(lambda: peer.send(frame(CONTINUATION, b"x", flags=0)))
