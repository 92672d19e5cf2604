"""RFC 7692: permessage-deflate, its negotiation (section 7.1) and its messages (sections 6 and 7.2)."""

from __future__ import annotations

import random
import zlib

import pytest

from tests.websocket.vectors import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LIMIT_BYTES,
    PING,
    RSV1,
    RSV2,
    TEXT,
    Fault,
    accepted,
    drip,
    failed,
    frame,
    outcome,
    play,
    said,
    server_frames,
    text,
)
from whorl.wire.websocket.deflate import Deflate, DeflateSettings, negotiate
from whorl.wire.websocket.extension import parse_extensions
from whorl.wire.websocket.protocol import Connection

ASKS_ALL = DeflateSettings(
    server_window_bits=10, client_window_bits=11, server_context_takeover=False, client_context_takeover=False
)


def agree(offer: bytes = b"permessage-deflate", settings: DeflateSettings | None = None) -> Deflate | None:
    return negotiate(parse_extensions(offer) or [], settings or DeflateSettings())


def agreed(offer: bytes = b"permessage-deflate", settings: DeflateSettings | None = None) -> Deflate:
    deflate = agree(offer, settings)
    assert deflate is not None
    return deflate


def compressed(octets: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """A frame whose payload was compressed by somebody."""
    return frame(opcode, octets, final=final, reserved=RSV1 if opcode else 0)


class Client:
    """A client's two streams.

    Args:
        window_bits: of both.
    """

    def __init__(self, window_bits: int = 15) -> None:
        self._compressor = zlib.compressobj(wbits=-window_bits)
        self._decompressor = zlib.decompressobj(-window_bits)

    def deflate(self, data: bytes) -> bytes:
        octets = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        assert octets.endswith(b"\x00\x00\xff\xff")
        return octets[:-4]

    def inflate(self, octets: bytes) -> bytes:
        # As a client that gets it byte by byte: zlib looks at its window only where its output does not hold enough.
        return b"".join(map(self._decompressor.decompress, drip(octets + b"\x00\x00\xff\xff")))


@pytest.mark.parametrize(
    ("offer", "settings", "answer"),
    [
        (b"permessage-deflate", DeflateSettings(), b"; server_max_window_bits=12"),
        (b"Permessage-Deflate", DeflateSettings(), b"; server_max_window_bits=12"),
        (b"permessage-deflate", DeflateSettings(server_window_bits=15), b""),
        (b"permessage-deflate; client_max_window_bits", DeflateSettings(),
         b"; server_max_window_bits=12; client_max_window_bits=12"),
        (b"permessage-deflate; client_max_window_bits=10", DeflateSettings(),
         b"; server_max_window_bits=12; client_max_window_bits=10"),
        (b"permessage-deflate; client_max_window_bits=8", DeflateSettings(),
         b"; server_max_window_bits=12; client_max_window_bits=8"),
        (b"permessage-deflate; client_max_window_bits=15", DeflateSettings(),
         b"; server_max_window_bits=12; client_max_window_bits=12"),
        (b"permessage-deflate; server_max_window_bits=9", DeflateSettings(), b"; server_max_window_bits=9"),
        (b"permessage-deflate; server_max_window_bits=15", DeflateSettings(), b"; server_max_window_bits=12"),
        (b"permessage-deflate; server_max_window_bits=15", DeflateSettings(server_window_bits=15),
         b"; server_max_window_bits=15"),
        (b'permessage-deflate; server_max_window_bits="10"', DeflateSettings(), b"; server_max_window_bits=10"),
        (b"permessage-deflate; server_no_context_takeover", DeflateSettings(),
         b"; server_no_context_takeover; server_max_window_bits=12"),
        (b"permessage-deflate; client_no_context_takeover", DeflateSettings(),
         b"; client_no_context_takeover; server_max_window_bits=12"),
        (b"permessage-deflate", ASKS_ALL,
         b"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"),
        (b"permessage-deflate; client_max_window_bits; server_max_window_bits=13; client_no_context_takeover",
         ASKS_ALL,
         b"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"
         b"; client_max_window_bits=11"),
    ],
)  # fmt: skip
def test_7_1_what_is_agreed(offer: bytes, settings: DeflateSettings, answer: bytes) -> None:
    assert agreed(offer, settings).answer.field_value() == b"permessage-deflate" + answer


@pytest.mark.parametrize(
    "offer",
    [
        b"x-webkit-deflate-frame",
        b"permessage-deflate; server_no_context_takeover=1",
        b"permessage-deflate; client_no_context_takeover=true",
        b"permessage-deflate; server_max_window_bits",
        b"permessage-deflate; server_max_window_bits=7",
        b"permessage-deflate; server_max_window_bits=16",
        b"permessage-deflate; server_max_window_bits=010",
        b"permessage-deflate; server_max_window_bits=x",
        b"permessage-deflate; server_max_window_bits=8",  # allowed, but zlib writes no such stream
        b"permessage-deflate; client_max_window_bits=7",
        b"permessage-deflate; client_max_window_bits=16",
        b"permessage-deflate; client_max_window_bits=1e1",
        b"permessage-deflate; client_max_window_bits; client_max_window_bits",
        b"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        b"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        b"permessage-deflate; level=9",
    ],
)
def test_7_1_what_cannot_be_kept_to_is_declined(offer: bytes) -> None:
    assert agree(offer) is None


def test_5_1_the_first_offer_that_can_be_kept_to_is_accepted() -> None:
    offers = b"foo, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10"

    assert agreed(offers + b", permessage-deflate").server_window_bits == 10


# Section 7.2.3: "Hello" in every way in which it may be compressed.
HELLOS = {
    "7.2.3.1 one block": compressed(bytes.fromhex("f248cdc9c90700")),
    "7.2.3.1 two fragments": compressed(bytes.fromhex("f248cd"), final=False)
    + compressed(bytes.fromhex("c9c90700"), CONTINUATION),
    "7.2.3.3 no compression": compressed(bytes.fromhex("000500faff48656c6c6f00")),
    "7.2.3.4 final block": compressed(bytes.fromhex("f348cdc9c9070000")),
    "7.2.3.5 two blocks": compressed(bytes.fromhex("f248050000 00ffff cac9c90700")),
    "an empty fragment first": compressed(b"", final=False) + compressed(bytes.fromhex("f248cdc9c90700"), CONTINUATION),
    "an empty fragment last": compressed(bytes.fromhex("f248cdc9c90700"), final=False) + compressed(b"", CONTINUATION),
    "not compressed": text("Hello"),
}


@pytest.mark.parametrize("name", HELLOS)
def test_7_2_3_the_examples(name: str) -> None:
    assert accepted(HELLOS[name], deflate=agreed()) == ["Hello"]
    assert (
        accepted(HELLOS[name] * 3, deflate=agreed(b"permessage-deflate; client_no_context_takeover")) == ["Hello"] * 3
    )


def test_7_2_3_2_what_came_serves_what_comes() -> None:
    octets = HELLOS["7.2.3.1 one block"] + compressed(bytes.fromhex("f200110000"))

    assert accepted(octets, deflate=agreed()) == ["Hello", "Hello"]
    end = outcome(octets, deflate=agreed(b"permessage-deflate; client_no_context_takeover"))
    assert end.events[0] == "Hello"
    assert end.fault == 1007


def test_7_2_3_6_an_empty_message() -> None:
    assert accepted(compressed(b"\x00") + compressed(b"\x02\x00", BINARY), deflate=agreed()) == ["", b""]


def test_7_2_2_control_frames_stand_between_compressed_fragments() -> None:
    octets = compressed(bytes.fromhex("f248cd"), final=False) + frame(PING, b"x")
    octets += compressed(bytes.fromhex("c9c90700"), CONTINUATION)

    assert accepted(octets, deflate=agreed()) == [(b"x",), "Hello"]


def test_6_1_only_a_messages_first_frame_is_marked() -> None:
    octets = compressed(bytes.fromhex("f248cd"), final=False)
    octets += frame(CONTINUATION, bytes.fromhex("c9c90700"), reserved=RSV1)

    assert failed(octets, deflate=agreed()) == 1002


@pytest.mark.parametrize("opcode", [PING, CLOSE])
def test_6_1_a_control_frame_is_not_marked(opcode: int) -> None:
    assert failed(frame(opcode, reserved=RSV1), deflate=agreed()) == 1002


def test_6_the_other_reserved_bits_stay_reserved() -> None:
    assert failed(frame(TEXT, reserved=RSV1 | RSV2), deflate=agreed()) == 1002
    assert failed(frame(TEXT, reserved=RSV2), deflate=agreed()) == 1002


def test_6_a_mark_needs_an_agreement() -> None:
    assert failed(HELLOS["7.2.3.1 one block"]) == 1002


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\x06", b"\x00\x05\x00\x00\x00Hello", b"\xf2\x48\xcd\xff\xff\xff\xff\xff"]
)
def test_7_2_2_what_cannot_be_inflated_fails(octets: bytes) -> None:
    assert failed(compressed(octets, BINARY), deflate=agreed()) == 1007
    assert failed(compressed(octets, BINARY, final=False) + frame(CONTINUATION), deflate=agreed()) == 1007


@pytest.mark.parametrize("octets", [b"\xff", b"x\xc3", b"\xed\xa0\x80"])
def test_7_2_2_inflated_text_is_utf8(octets: bytes) -> None:
    assert failed(compressed(Client().deflate(octets)), deflate=agreed()) == 1007


@pytest.mark.parametrize("window_bits", range(9, 16))
def test_7_1_2_2_windows_of_a_client(window_bits: int) -> None:
    """A client that was not asked for less may use all 15 bits."""
    client = Client(window_bits)
    offer = (
        b"permessage-deflate" if window_bits > 12 else b"permessage-deflate; client_max_window_bits=%d" % window_bits
    )
    block = random.Random(1).randbytes(1 << window_bits - 1)
    messages = [block, block + b"x", block * 3, b"", block]

    octets = b"".join(compressed(client.deflate(message), BINARY) for message in messages)

    assert play([octets], deflate=agreed(offer)).events == tuple(messages)
    assert play(drip(octets, 97), deflate=agreed(offer)).events == tuple(messages)


@pytest.mark.parametrize("window_bits", range(9, 16))
def test_7_1_2_1_windows_of_ours(window_bits: int) -> None:
    """A client inflates with no more than it asked for."""
    deflate = agreed(
        b"permessage-deflate; server_max_window_bits=%d" % window_bits, DeflateSettings(server_window_bits=15)
    )
    connection, client = Connection(LIMIT_BYTES, deflate), Client(window_bits)
    block = random.Random(1).randbytes(300)

    for message in (block, block, random.Random(2).randbytes(40000), block * 3, block):
        (sent,) = server_frames(connection.send_binary(message))
        assert sent.first == 0x80 | RSV1 | BINARY
        assert client.inflate(sent.payload) == message


def test_7_1_1_1_ours_without_context_takeover() -> None:
    connection = Connection(LIMIT_BYTES, agreed(b"permessage-deflate; server_no_context_takeover"))
    words = "words that come again " * 20

    one, two = server_frames(said(connection.send_text(words)) + said(connection.send_text(words)))

    assert one == two
    assert Client().inflate(one.payload) == words.encode()


def test_7_1_1_1_ours_with_context_takeover() -> None:
    connection, client = Connection(LIMIT_BYTES, agreed()), Client()
    words = random.Random(1).randbytes(200)

    one, two = server_frames(said(connection.send_binary(words)) + said(connection.send_binary(words)))

    assert len(two.payload) < 20 < len(one.payload)
    assert client.inflate(one.payload) == client.inflate(two.payload) == words


def test_7_2_1_what_is_too_small_to_gain_is_not_compressed() -> None:
    connection = Connection(LIMIT_BYTES, agreed(settings=DeflateSettings(minimum_bytes=100)))

    firsts = [sent.first for length in (0, 99, 100) for sent in server_frames(connection.send_text("x" * length))]

    assert firsts == [0x81, 0x81, 0xC1]


def test_5_5_our_control_frames_are_not_compressed() -> None:
    connection = Connection(LIMIT_BYTES, agreed(settings=DeflateSettings(minimum_bytes=0)))

    assert connection.ping(b"x") == b"\x89\x01x"
    assert connection.close(1000, "x") == b"\x88\x03\x03\xe8x"


def test_a_client_that_ends_its_stream_begins_another() -> None:
    """Section 7.2.3.4 allows blocks that are marked as final; what zlib then writes refers to nothing before."""
    compressor = [zlib.compressobj(wbits=-15) for _ in range(3)]
    blocks = [stream.compress(b"again and again") + stream.flush(zlib.Z_FINISH) for stream in compressor]

    assert (
        accepted(compressed(b"".join(blocks) + b"\x00", BINARY) * 2, deflate=agreed()) == [b"again and again" * 3] * 2
    )


def test_a_message_is_not_made_of_thousands_of_streams() -> None:
    assert accepted(compressed(b"\x03\x00" * 16 + b"\x00"), deflate=agreed()) == [""]
    assert failed(compressed(b"\x03\x00" * 17 + b"\x00"), deflate=agreed()) == 1007
    assert failed(compressed(b"\x03\x00" * 30000), deflate=agreed()) == 1007


def test_of_two_faults_each_is_told_by_its_code() -> None:
    """How far zlib gets before it sees the second depends on the cuts, the codes do not leave the two."""
    octets = compressed(Client().deflate(b"\xff" + b"x" * 1000)[:-1] + b"\xff\xff")
    for size in (1, 2, 3, len(octets)):
        (fault,) = play(drip(octets, size), 100, agreed()).events
        assert isinstance(fault, Fault)
        assert fault.code in {1007, 1009}
