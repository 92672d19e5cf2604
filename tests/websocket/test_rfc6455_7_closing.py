"""RFC 6455 section 7 and 5.5.1: the closing handshake, status codes and reasons, and failing the connection."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.websocket.faults import FAULTS
from tests.websocket.vectors import (
    CLOSE,
    CONTINUATION,
    LIMIT_BYTES,
    PING,
    TEXT,
    ServerFrame,
    accepted,
    close,
    failed,
    frame,
    octets_until_failed,
    outcome,
    server_frames,
    text,
)
from whorl.wire import websocket
from whorl.wire.websocket.deflate import DeflateSettings, negotiate
from whorl.wire.websocket.events import Close
from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.failure import Failure, NotOpen
from whorl.wire.websocket.protocol import NEXT_STATE, Connection, State, Step

GOOD_CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.fixture
def connection() -> Connection:
    return Connection(LIMIT_BYTES)


@pytest.mark.parametrize("code", GOOD_CODES)
@pytest.mark.parametrize("reason", ["", "bye", "κόσμε", "x" * 123])
def test_7_1_5_a_close_frame_says_code_and_reason(code: int, reason: str) -> None:
    end = outcome(close(code, reason.encode()))

    assert end.events == (Close(code, reason),)
    assert end.state is State.CLOSING_THEIRS


def test_7_1_5_an_empty_close_frame_says_1005() -> None:
    assert outcome(close(None)).events == (Close(1005, ""),)


@pytest.mark.parametrize("code", BAD_CODES)
def test_7_4_some_codes_stand_in_no_frame(code: int) -> None:
    assert failed(close(code)) == 1002


def test_5_5_1_half_a_code_is_none() -> None:
    assert failed(close(None, b"\x03")) == 1002


@pytest.mark.parametrize("reason", [b"\xff", b"x\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_7_1_6_a_reason_is_utf8(reason: bytes) -> None:
    assert failed(close(1000, reason)) == 1007


@pytest.mark.parametrize("code", GOOD_CODES)
def test_5_5_1_the_answer_to_a_close_is_its_code(connection: Connection, code: int) -> None:
    connection.receive_data(close(code, b"bye"))

    assert server_frames(connection.close(1011, "mine")) == [ServerFrame(0x88, code.to_bytes(2))]
    assert connection.state is State.CLOSED


def test_5_5_1_the_answer_to_an_empty_close_is_empty(connection: Connection) -> None:
    connection.receive_data(close(None))

    assert connection.close() == b"\x88\x00"


def test_5_5_1_what_came_before_a_close_can_be_answered_before_it(connection: Connection) -> None:
    assert connection.receive_data(text("one") + close()) == ["one", Close(1000, "")]
    assert connection.send_text("one") == b"\x81\x03one"
    assert connection.send_binary(b"two") == b"\x82\x03two"
    assert connection.ping() == b"\x89\x00"
    assert connection.close() == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize("more", [text("more"), frame(PING), close(1001), b"\xff\xff\xff", frame(TEXT, key=None)])
def test_1_4_what_follows_a_close_does_not_count(more: bytes) -> None:
    end = outcome(text("one") + close() + more)

    assert end.events == ("one", Close(1000, ""))
    assert end.pongs == b""
    assert end.waiting_bytes == 0


def test_5_5_1_a_close_between_fragments_ends_the_connection() -> None:
    end = outcome(frame(TEXT, b"one", final=False) + close(1001) + frame(CONTINUATION, b"two"))

    assert end.events == (Close(1001, ""),)


def test_7_1_1_our_close_and_then_theirs(connection: Connection) -> None:
    assert connection.close(1001, "bye") == b"\x88\x05\x03\xe9bye"
    assert connection.state is State.CLOSING_OURS
    assert connection.receive_data(text("under way") + close(1001)) == ["under way", Close(1001, "")]
    assert connection.state is State.CLOSED
    assert connection.close() == b""


def test_7_1_7_a_failure_after_our_close_is_not_told(connection: Connection) -> None:
    connection.close()

    (event,) = connection.receive_data(frame(TEXT, b"\xff"))

    assert isinstance(event, Failure)
    assert connection.state is State.CLOSED
    assert connection.close() == b""


@pytest.mark.parametrize("code", GOOD_CODES)
@pytest.mark.parametrize("reason", ["", "x" * 123, "é" * 61])
def test_7_4_our_codes_and_reasons(code: int, reason: str) -> None:
    octets = Connection(LIMIT_BYTES).close(code, reason)

    assert server_frames(octets) == [ServerFrame(0x88, code.to_bytes(2) + reason.encode())]


def test_7_4_1_1005_is_a_frame_without_a_code(connection: Connection) -> None:
    assert connection.close(1005) == b"\x88\x00"


@pytest.mark.parametrize("code", [*BAD_CODES, -1, 70000])
def test_7_4_codes_that_are_not_sent(connection: Connection, code: int) -> None:
    with pytest.raises(ValueError, match=r"7\.4"):
        connection.close(code, "reason")

    assert connection.state is State.OPEN


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
def test_5_5_our_reason_has_123_octets(connection: Connection, reason: str) -> None:
    with pytest.raises(ValueError, match="124"):
        connection.close(1000, reason)


SENDS: list[Callable[[Connection], bytes]] = [
    lambda connection: connection.send_text("x"),
    lambda connection: connection.send_text("x" * 200),
    lambda connection: connection.send_binary(b"x"),
    lambda connection: connection.send_binary(b"x" * 200),
    lambda connection: connection.ping(),
    lambda connection: connection.pong(),
]


@pytest.mark.parametrize("send", SENDS)
def test_5_5_1_nothing_follows_our_close(connection: Connection, send: Callable[[Connection], bytes]) -> None:
    connection.close()

    with pytest.raises(NotOpen):
        send(connection)

    connection.receive_data(close())

    with pytest.raises(NotOpen):
        send(connection)


def test_5_5_1_our_close_is_sent_once(connection: Connection) -> None:
    assert connection.close()
    assert connection.close() == b""


@pytest.mark.parametrize("name", FAULTS)
def test_7_1_7_a_failure_is_told_by_code_and_reason(name: str) -> None:
    fault = FAULTS[name]
    connection = Connection(LIMIT_BYTES, negotiate([Extension("permessage-deflate")], DeflateSettings()))
    if not fault.compressed:
        connection = Connection(LIMIT_BYTES)

    one, failure = connection.receive_data(text("one") + fault.octets + text("not read"))

    assert one == "one"
    assert isinstance(failure, Failure)
    assert (failure.code, failure.reason) == (fault.code, fault.reason)
    assert connection.state is State.CLOSING_THEIRS
    assert connection.receive_data(text("not read either")) == []
    assert connection.buffered_bytes == 0
    assert connection.send_text("one") == b"\x81\x03one"
    assert server_frames(connection.close(1000, "mine")) == [
        ServerFrame(0x88, fault.code.to_bytes(2) + fault.reason.encode())
    ]
    assert connection.state is State.CLOSED


def test_7_1_7_every_failure_that_the_source_knows_has_its_row() -> None:
    told = set()
    for path in Path(websocket.__path__[0]).glob("*.py"):
        module = import_module(f"whorl.wire.websocket.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Failure":
                reason = node.args[1]
                told.add(getattr(module, reason.id) if isinstance(reason, ast.Name) else ast.literal_eval(reason))
    assert told == {fault.reason for fault in FAULTS.values()}


def test_7_1_5_a_carrier_that_ends_is_1006(connection: Connection) -> None:
    connection.receive_data(text("one")[:-1])

    assert connection.receive_eof() == [Close(1006, "")]
    assert connection.state is State.CLOSED
    assert connection.receive_eof() == []
    assert connection.close() == b""
    assert connection.receive_data(text("late")) == []


def test_7_1_5_a_carrier_that_ends_while_their_close_is_due_is_1006(connection: Connection) -> None:
    connection.close()

    assert connection.receive_eof() == [Close(1006, "")]


@pytest.mark.parametrize("octets", [close(1001), b"\xff\xff"])
def test_7_1_5_a_carrier_that_ends_after_the_end_says_nothing_more(connection: Connection, octets: bytes) -> None:
    connection.receive_data(octets)

    assert connection.receive_eof() == []
    assert connection.state is State.CLOSED


def test_7_1_every_state_ends_closed_by_every_way() -> None:
    for (state, step), after in NEXT_STATE.items():
        assert after > state or (state, step) == (State.CLOSED, Step.CARRIER_ENDS)
    for state in State:
        assert NEXT_STATE[state, Step.CARRIER_ENDS] is State.CLOSED


def test_7_1_2_a_close_frame_is_waited_for() -> None:
    octets = close(1000, b"bye")

    assert octets_until_failed(octets) is None
    assert all(accepted(octets[:end]) == [] for end in [0])
    assert outcome(octets[:-1]).events == ()
    assert outcome(frame(CLOSE)).events == (Close(1005, ""),)
