"""What one client can cost: the longest message (RFC 6455 section 10.4, code 1009), memory, and work for each byte."""

from __future__ import annotations

import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from tests.websocket.vectors import (
    BINARY,
    CONTINUATION,
    LIMIT_BYTES,
    PING,
    RSV1,
    TEXT,
    accepted,
    drip,
    failed,
    frame,
    octets_until_failed,
    outcome,
    text,
)
from whorl.wire.websocket.deflate import Deflate, DeflateSettings, negotiate
from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.message import BinaryMessage, Message, TextMessage
from whorl.wire.websocket.protocol import Connection, State

LIMITS = [0, 1, 125, 126, 1000, 70000]


def deflate() -> Deflate:
    """What is agreed with a browser."""
    agreed = negotiate([Extension("permessage-deflate", (("client_max_window_bits", None),))], DeflateSettings())
    assert agreed is not None
    return agreed


def compressed(data: bytes, opcode: int = BINARY) -> bytes:
    stream = zlib.compressobj(wbits=-12)
    octets = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    return frame(opcode, octets[:-4], reserved=RSV1)


def peak_bytes(work: Callable[[], object]) -> int:
    """How much memory some work takes at its worst. It is done three times, and the least of them counts: what other
    threads of the test runner take meanwhile is counted too."""
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_is_as_long_as_the_limit(limit: int, opcode: int) -> None:
    (message,) = accepted(frame(opcode, b"x" * limit), limit)
    assert message in ("x" * limit, b"x" * limit)
    assert failed(frame(opcode, b"x" * (limit + 1)), limit) == 1009


@pytest.mark.parametrize("limit", LIMITS)
def test_fragments_are_as_long_as_the_limit_together(limit: int) -> None:
    one, two = b"x" * (limit // 3), b"x" * (limit - limit // 3)

    assert accepted(frame(BINARY, one, final=False) + frame(CONTINUATION, two), limit) == [one + two]
    assert failed(frame(BINARY, one, final=False) + frame(CONTINUATION, two + b"x"), limit) == 1009
    assert failed(frame(BINARY, one + two, final=False) + frame(CONTINUATION, b"x", final=False), limit) == 1009


@pytest.mark.parametrize("limit", LIMITS)
def test_a_compressed_message_is_as_long_as_the_limit_when_inflated(limit: int) -> None:
    assert accepted(compressed(b"x" * limit), limit, deflate()) == [b"x" * limit]
    assert failed(compressed(b"x" * (limit + 1)), limit, deflate()) == 1009


def test_octets_that_do_not_compress_may_travel_longer_than_the_limit() -> None:
    stream = zlib.compressobj(0, wbits=-15)
    octets = stream.compress(bytes(100)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]

    assert len(octets) > 100
    assert accepted(frame(BINARY, octets, reserved=RSV1), 100, deflate()) == [bytes(100)]


def test_the_limit_counts_octets_not_characters() -> None:
    assert accepted(text("é" * 5), 10) == ["é" * 5]
    assert failed(text("é" * 6), 10) == 1009


def test_a_header_is_enough_to_fail() -> None:
    assert octets_until_failed(frame(BINARY, bytes(101)), 100) == 6
    assert octets_until_failed(frame(BINARY, bytes(1000)), 100) == 8
    assert octets_until_failed(frame(BINARY, bytes(70000)), 100) == 14
    first = frame(BINARY, bytes(60), final=False)
    assert octets_until_failed(first + frame(CONTINUATION, bytes(41)), 100) == len(first) + 6


def test_a_huge_length_is_only_a_number() -> None:
    octets = b"\x82\xff" + ((1 << 63) - 1).to_bytes(8) + bytes(4)

    assert failed(octets, LIMIT_BYTES) == 1009
    assert outcome(octets + b"x", sys.maxsize).fault == 1009
    assert peak_bytes(lambda: Connection(1 << 62).receive_data(octets + b"x")) < 10_000


def test_no_limit_is_the_largest_number() -> None:
    assert accepted(compressed(b"x" * 100), sys.maxsize, deflate()) == [b"x" * 100]
    assert accepted(frame(BINARY, b"x" * 100), sys.maxsize) == [b"x" * 100]


@pytest.mark.parametrize("drop_bytes", [1 << 20, 1000, 97])
def test_a_bomb_is_stopped_while_it_is_inflated(drop_bytes: int) -> None:
    octets = compressed(bytes(20 << 20))
    agreed = deflate()

    def receive() -> None:
        connection = Connection(1 << 20, agreed)
        for piece in drip(octets, drop_bytes):
            if any(isinstance(event, Failure) for event in connection.receive_data(piece)):
                return
        pytest.fail("a message of 20 MiB is not too long")

    assert peak_bytes(receive) < 5 << 20


@pytest.mark.parametrize("kind", [TextMessage, BinaryMessage])
@pytest.mark.parametrize("part_bytes", [1, 2, 300])
def test_small_parts_cost_little_more_than_the_message(kind: Callable[[int, None], Message], part_bytes: int) -> None:
    whole = bytes(range(128)) * 1000
    parts = drip(whole, part_bytes)
    message: Message

    def receive() -> None:
        nonlocal message
        message = kind(LIMIT_BYTES, None)
        for part in parts:
            message.add(part)

    assert peak_bytes(receive) < len(whole) * 3 // 2 + 25_000
    assert message.finish() in (whole, whole.decode())


def test_empty_fragments_cost_nothing() -> None:
    connection = Connection(LIMIT_BYTES)
    connection.receive_data(frame(TEXT, final=False))
    octets = frame(CONTINUATION, final=False) * 20_000

    assert peak_bytes(lambda: connection.receive_data(octets)) < 10_000
    assert connection.receive_data(frame(CONTINUATION)) == [""]


def test_the_beginning_of_a_frame_does_not_hold_all_that_came_before_it() -> None:
    connection = Connection(LIMIT_BYTES)
    octets = frame(BINARY, bytes(60_000)) + frame(PING, b"x" * 100)[:-1]

    tracemalloc.start()
    try:
        connection.receive_data(bytes(bytearray(octets)))
        assert tracemalloc.get_traced_memory()[0] < 5_000
    finally:
        tracemalloc.stop()
    assert connection.buffered_bytes == 105


def held_by_codec_bytes() -> int:
    """Memory that the WebSocket codec asked for: what a test runner's own threads hold is not its affair."""
    ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/whorl/wire/websocket/*")])
    return sum(trace.size for trace in ours.traces)


def test_windows_are_made_when_they_are_needed() -> None:
    agreed = deflate()
    message = compressed(b"x" * 1000)
    tracemalloc.start()
    try:
        connection = Connection(LIMIT_BYTES, agreed)
        connection.receive_data(text("x"))
        connection.send_text("x")
        assert held_by_codec_bytes() < 2_000
        connection.send_text("x" * 1000)
        connection.receive_data(message)
        assert 10_000 < held_by_codec_bytes() < 60_000
    finally:
        tracemalloc.stop()


def test_many_frames_in_one_read_are_read_once() -> None:
    """A copy of the rest for each frame would move 15 GB here."""
    numbers = [b"%06d" % number for number in range(50_000)]
    octets = b"".join(frame(BINARY, number) for number in numbers)

    assert Connection(LIMIT_BYTES).receive_data(octets) == numbers


def test_many_pings_in_one_read_are_answered_in_proportion() -> None:
    connection = Connection(LIMIT_BYTES)
    assert len(connection.receive_data(frame(PING, b"x" * 125) * 20_000)) == 20_000
    assert len(connection.take_pongs()) == 20_000 * 127


def test_events_are_given_a_few_at_a_time() -> None:
    connection = Connection(LIMIT_BYTES)
    numbers = [str(number) for number in range(50_000)]
    octets = b"".join(map(text, numbers))

    events = connection.receive_data(octets, 3)
    assert events == ["0", "1", "2"]
    assert connection.buffered_bytes == len(octets) - 3 * 7
    while some := connection.receive_data(b"", 3):
        assert len(some) <= 3
        events += some
    assert events == numbers
    assert connection.buffered_bytes == 0


def test_more_may_come_while_events_are_left() -> None:
    connection = Connection(LIMIT_BYTES)

    assert connection.receive_data(text("one") + text("two") + text("three")[:5], 1) == ["one"]
    assert connection.receive_data(text("three")[5:], 1) == ["two"]
    assert connection.receive_data(b"", 0) == []
    assert connection.receive_data(b"", 1) == ["three"]
    assert connection.receive_data(b"", 1) == []


def test_a_fault_is_told_in_its_turn() -> None:
    connection = Connection(LIMIT_BYTES)

    assert connection.receive_data(text("one") + b"\xff\xff", 1) == ["one"]
    assert connection.state is State.OPEN
    (failure,) = connection.receive_data(b"", 1)
    assert isinstance(failure, Failure)
