"""RFC 6455 sections 5.1, 5.2 and 5.7: the frame and its header."""

from __future__ import annotations

import pytest

from tests.websocket.vectors import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    LIMIT_BYTES,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    ServerFrame,
    accepted,
    failed,
    frame,
    octets_until_failed,
    outcome,
    said,
    server_frames,
    text,
)
from whorl.wire.websocket.events import Ping, Pong
from whorl.wire.websocket.protocol import Connection

LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537]


def test_5_1_frames_of_a_client_are_masked() -> None:
    assert failed(frame(TEXT, b"Hello", key=None)) == 1002


@pytest.mark.parametrize("opcode", [CONTINUATION, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("length", [0, 125, 126, 65536])
def test_5_1_every_frame_is(opcode: int, length: int) -> None:
    assert octets_until_failed(frame(opcode, bytes(length), key=None)) == 2


@pytest.mark.parametrize("length", LENGTHS)
def test_5_2_octets_of_every_length(length: int) -> None:
    payload = bytes(range(256)) * 300
    assert accepted(frame(BINARY, payload[:length])) == [payload[:length]]


@pytest.mark.parametrize("length", LENGTHS)
def test_5_2_text_of_every_length(length: int) -> None:
    assert accepted(text("x" * length)) == ["x" * length]


@pytest.mark.parametrize("length", [*LENGTHS, 130, 131, 132, 65530, 65535, 65550])
def test_5_2_a_message_that_came_alone_is_read_at_once(length: int) -> None:
    connection = Connection(length)
    assert connection.read_message(text("x" * length)) == "x" * length
    assert connection.read_message(frame(BINARY, b"x" * length)) == b"x" * length


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        text("one") + text("two"),
        text("one") + b"\x81",
        text("one")[:-1],
        text("x" * 200)[:-1],
        text("x" * 101),
        frame(TEXT, b"x" * 101),
        frame(TEXT, b"one", final=False),
        frame(TEXT, b"one", key=None),
        frame(TEXT, b"one", reserved=RSV1),
        frame(TEXT, b"\xff"),
        frame(PING, b"one"),
        frame(TEXT, b"x" * 100, length_octets=2),
        frame(TEXT, b"x" * 100, length_octets=8),
    ],
)
def test_5_2_what_is_not_a_message_alone_is_left_as_it_is(octets: bytes) -> None:
    connection = Connection(100)
    assert connection.read_message(octets) is None
    assert connection.buffered_bytes == 0
    assert connection.read_message(text("good")) == "good"


def test_5_2_nor_is_one_that_comes_within_another_or_after_the_end() -> None:
    connection = Connection(100)
    connection.receive_data(frame(TEXT, b"one", final=False))
    assert connection.read_message(text("two")) is None
    connection = Connection(100)
    connection.receive_data(text("one")[:3])
    assert connection.read_message(text("two")) is None
    connection = Connection(100)
    connection.receive_data(frame(CLOSE))
    assert connection.read_message(text("two")) is None


@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\0\0\0\1", bytes(range(1, 5))])
def test_5_2_any_key_will_do(key: bytes) -> None:
    assert accepted(frame(BINARY, b"Hello, key!", key=key) * 2) == [b"Hello, key!"] * 2


@pytest.mark.parametrize("reserved", [RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV2 | RSV3])
@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_5_2_reserved_bits_are_not_set(opcode: int, reserved: int) -> None:
    octets = frame(opcode, b"", reserved=reserved)

    assert failed(octets) == 1002
    assert octets_until_failed(octets) == 2


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_5_2_reserved_opcodes_are_not_used(opcode: int) -> None:
    octets = frame(opcode, b"xyz")

    assert failed(octets) == 1002
    assert octets_until_failed(octets) == 2


@pytest.mark.parametrize(("length", "octets"), [(0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_2_a_length_has_the_shortest_form(opcode: int, length: int, octets: int) -> None:
    assert failed(frame(opcode, bytes(length), length_octets=octets)) == 1002


def test_5_2_the_highest_bit_of_a_length_is_not_set() -> None:
    assert failed(bytes((0x82, 0xFF)) + (1 << 63).to_bytes(8) + KEY, limit_bytes=1 << 70) == 1002


def test_5_2_a_frame_that_has_not_come_is_waited_for() -> None:
    octets = frame(TEXT, b"x" * 200)
    for end in range(len(octets)):
        assert outcome(octets[:end]).events == ()


def test_5_2_frames_come_one_after_another() -> None:
    octets = text("one") + frame(BINARY, b"two") + frame(PING, b"three") + text("") + frame(BINARY, b"f" * 130)

    assert accepted(octets) == ["one", b"two", (b"three",), "", b"f" * 130]


def test_5_7_the_examples_of_a_client() -> None:
    assert accepted(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
    assert accepted(bytes.fromhex("898537fa213d7f9f4d5158")) == [Ping(b"Hello")]
    assert accepted(bytes.fromhex("8a8537fa213d7f9f4d5158")) == [Pong(b"Hello")]


def test_5_7_the_examples_of_a_server() -> None:
    connection = Connection(LIMIT_BYTES)

    assert connection.send_text("Hello") == bytes.fromhex("810548656c6c6f")
    assert connection.ping(b"Hello") == bytes.fromhex("890548656c6c6f")
    assert connection.send_binary(bytes(256)) == bytes.fromhex("827e0100") + bytes(256)
    # The payload of a long frame is not copied: it is given back as it came.
    payload = bytes(65536)
    header, same = connection.send_binary(payload)
    assert header == bytes.fromhex("827f0000000000010000")
    assert same is payload


@pytest.mark.parametrize("length", LENGTHS)
def test_5_2_our_frames_are_whole_and_not_masked(length: int) -> None:
    connection = Connection(LIMIT_BYTES)
    octets = said(connection.send_text("x" * length)) + said(connection.send_binary(bytes(length)))

    assert server_frames(octets) == [ServerFrame(0x81, b"x" * length), ServerFrame(0x82, bytes(length))]


def test_5_6_our_text_is_utf8() -> None:
    assert Connection(LIMIT_BYTES).send_text("κόσμε \U0001f600\0") == b"\x81\x10" + "κόσμε \U0001f600\0".encode()


@pytest.mark.parametrize("words", ["\ud800", "x" * 200 + "\udfff"])
def test_5_6_a_lone_surrogate_is_not_sent(words: str) -> None:
    connection = Connection(LIMIT_BYTES)

    with pytest.raises(UnicodeEncodeError):
        connection.send_text(words)

    assert connection.send_text("on") == b"\x81\x02on"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_5_6_octets_of_any_kind_are_sent(kind: type[bytearray] | type[memoryview]) -> None:
    for length in (3, 300):
        octets = Connection(LIMIT_BYTES).send_binary(kind(bytes(length)))  # type: ignore[arg-type]
        assert server_frames(octets) == [ServerFrame(0x82, bytes(length))]
