"""RFC 6455 section 5.5: pings and pongs. Close frames stand under section 7."""

from __future__ import annotations

import pytest

from tests.websocket.vectors import (
    CLOSE,
    LIMIT_BYTES,
    PING,
    PONG,
    TEXT,
    ServerFrame,
    accepted,
    failed,
    frame,
    octets_until_failed,
    outcome,
    server_frames,
    text,
)
from whorl.wire.websocket.events import Ping, Pong
from whorl.wire.websocket.protocol import Connection, State


@pytest.mark.parametrize("payload", [b"", b"x", b"\0\xff\xfe", b"x" * 125])
def test_5_5_2_a_ping_is_answered_with_its_payload(payload: bytes) -> None:
    end = outcome(frame(PING, payload))

    assert end.events == (Ping(payload),)
    assert server_frames(end.pongs) == [ServerFrame(0x8A, payload)]


def test_5_5_2_every_ping_is_answered_in_turn() -> None:
    end = outcome(b"".join(frame(PING, b"%d" % number) for number in range(12)))

    assert [pong.payload for pong in server_frames(end.pongs)] == [b"%d" % number for number in range(12)]


def test_5_5_2_pongs_are_given_once() -> None:
    connection = Connection(LIMIT_BYTES)
    connection.receive_data(frame(PING, b"x"))

    assert connection.pongs
    assert connection.take_pongs() == b"\x8a\x01x"
    assert not connection.pongs
    assert connection.take_pongs() == b""


def test_5_5_2_a_ping_is_answered_while_their_close_is_due() -> None:
    connection = Connection(LIMIT_BYTES)
    connection.close()
    connection.receive_data(frame(PING, b"x"))

    assert connection.take_pongs() == b"\x8a\x01x"


def test_5_5_3_a_pong_needs_no_ping_and_no_answer() -> None:
    end = outcome(frame(PONG, b"x") + text("y"))

    assert end.events == (Pong(b"x"), "y")
    assert end.pongs == b""


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("length", [126, 127, 65536])
def test_5_5_a_control_frame_holds_125_octets(opcode: int, length: int) -> None:
    octets = frame(opcode, bytes(length))

    assert failed(octets) == 1002
    assert octets_until_failed(octets) == 2


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_5_5_a_control_frame_is_not_fragmented(opcode: int) -> None:
    octets = frame(opcode, b"", final=False)

    assert failed(octets) == 1002
    assert octets_until_failed(octets) == 2


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("length_octets", [2, 8])
def test_5_5_nor_is_its_length_extended(opcode: int, length_octets: int) -> None:
    assert failed(frame(opcode, b"", length_octets=length_octets)) == 1002


def test_5_5_a_control_frame_between_fragments_is_held_to_the_same() -> None:
    assert failed(frame(TEXT, b"x", final=False) + frame(PING, bytes(126))) == 1002


@pytest.mark.parametrize("payload", [b"", b"x" * 125])
def test_5_5_2_our_pings_and_pongs(payload: bytes) -> None:
    connection = Connection(LIMIT_BYTES)

    assert server_frames(connection.ping(payload)) == [ServerFrame(0x89, payload)]
    assert server_frames(connection.pong(payload)) == [ServerFrame(0x8A, payload)]
    assert accepted(frame(PONG, payload)) == [Pong(payload)]
    assert connection.state is State.OPEN


def test_5_5_ours_hold_125_octets_too() -> None:
    connection = Connection(LIMIT_BYTES)

    with pytest.raises(ValueError, match="126"):
        connection.ping(bytes(126))
    with pytest.raises(ValueError, match="126"):
        connection.pong(bytes(126))
