"""What holds for all bytes: one outcome however they are cut, nothing raised, and a Close frame for each fault."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.effort import effort
from tests.websocket import strategies
from tests.websocket.vectors import (
    BINARY,
    CONTINUATION,
    LIMIT_BYTES,
    RSV1,
    TEXT,
    Fault,
    drip,
    frame,
    outcome,
    play,
    server_frames,
)
from whorl.wire.websocket.deflate import DeflateSettings, negotiate
from whorl.wire.websocket.extension import Extension, parse_extensions
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.handshake import HandshakeRefusal, is_upgrade, read_handshake, response_fields
from whorl.wire.websocket.protocol import Connection, State

DEFLATE = negotiate([Extension("permessage-deflate")], DeflateSettings())


@given(strategies.spoilt)
@effort(80)
def test_the_outcome_does_not_depend_on_the_cuts(octets: bytes) -> None:
    outcome(octets, 100)


@given(st.binary(max_size=40))
@effort(200)
def test_any_octets_have_an_outcome(octets: bytes) -> None:
    outcome(octets, 100)


@given(strategies.spoilt, strategies.places)
@effort(200)
def test_compressed_or_not_the_outcome_does_not_depend_on_the_cuts(octets: bytes, places: list[int]) -> None:
    """But for the words of a failure: how much of a compressed message zlib reads before a fault is its own affair."""
    whole = play([octets], 100, DEFLATE)
    for pieces in (strategies.cut(octets, places), drip(octets)):
        parted = play(pieces, 100, DEFLATE)
        assert len(parted.events) == len(whole.events)
        for one, other in zip(parted.events, whole.events, strict=True):
            assert one == other or {type(one), type(other)} == {Fault}
        assert parted.pongs == whole.pongs


@given(st.binary(max_size=60), st.booleans(), st.integers(0, 60))
@effort(200)
def test_any_compressed_octets_have_an_outcome(octets: bytes, is_text: bool, at: int) -> None:
    kind = TEXT if is_text else BINARY
    whole = frame(kind, octets, reserved=RSV1)
    parted = frame(kind, octets[:at], final=False, reserved=RSV1) + frame(CONTINUATION, octets[at:])

    assert [type(event) for event in play([whole], 1000, DEFLATE).events] == [
        type(event) for event in play(drip(parted), 1000, DEFLATE).events
    ]


@given(strategies.spoilt, st.integers(0, 3))
@effort(200)
def test_whatever_comes_we_can_close_and_once(octets: bytes, closes: int) -> None:
    connection = Connection(100, DEFLATE)
    sent = [connection.close(1001) for _ in range(closes)]
    events = connection.receive_data(octets)
    sent += [connection.close(1001), connection.close(1001)]

    (ours,) = server_frames(b"".join(sent))
    code = int.from_bytes(ours.payload[:2])
    last = events[-1] if events else None
    if isinstance(last, Failure) and not closes:
        assert (code, ours.payload[2:].decode()) == (last.code, last.reason)
    assert len(ours.payload) <= 125
    assert connection.state in (State.CLOSING_OURS, State.CLOSED)
    connection.receive_eof()
    assert connection.state is State.CLOSED


@given(st.lists(strategies.messages, max_size=6), strategies.places, st.booleans(), st.integers(1, 4))
@effort(60)
def test_our_own_frames_masked_come_back(
    messages: list[str | bytes], places: list[int], compressed: bool, most_events: int
) -> None:
    ours = Connection(LIMIT_BYTES, DEFLATE if compressed else None)
    octets = b""
    for message in messages:
        sent = ours.send_text(message) if isinstance(message, str) else ours.send_binary(message)
        (header,) = server_frames(sent)
        octets += frame(header.opcode, header.payload, reserved=header.first & RSV1)

    back = play(strategies.cut(octets, places), LIMIT_BYTES, DEFLATE if compressed else None, most_events)

    assert list(back.events) == messages


NAMES = [
    b"upgrade",
    b"connection",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
    b"content-length",
]
VALUES = [
    b"websocket",
    b"Upgrade",
    b"dGhlIHNhbXBsZSBub25jZQ==",
    b"13",
    b"chat",
    b"permessage-deflate; client_max_window_bits",
    b"0",
]
FIELDS = list(zip(NAMES, VALUES, strict=True))


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.binary(max_size=12))), max_size=4),
    st.sampled_from(["GET", "GET", "POST"]),
)
@effort(150)
def test_a_handshake_is_accepted_or_refused(more: list[tuple[bytes, bytes]], method: str) -> None:
    fields = FIELDS + more
    is_upgrade("1.1", fields)
    try:
        handshake = read_handshake(method, fields)
    except HandshakeRefusal:
        return
    assert method == "GET"
    for subprotocol in (None, *handshake.subprotocols):
        names = [name for name, _ in response_fields(handshake, subprotocol, None)]
        assert names[:3] == [b"upgrade", b"connection", b"sec-websocket-accept"]


EXTENSION_PARTS = [
    b"a",
    b";",
    b",",
    b"=",
    b'"',
    b" ",
    b"\t",
    b"permessage-deflate",
    b"client_max_window_bits",
    b"9",
    b"\xff",
]


@given(st.lists(st.sampled_from(EXTENSION_PARTS), max_size=8).map(b"".join))
@effort(300)
def test_an_offer_that_is_read_is_written_and_read_again(value: bytes) -> None:
    offers = parse_extensions(value)
    if offers is not None:
        assert parse_extensions(b", ".join(offer.field_value() for offer in offers)) == offers
        negotiate(offers, DeflateSettings())
