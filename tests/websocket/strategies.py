"""What hypothesis makes: messages and how a client sends them, and edits that spoil bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.websocket.vectors import BINARY, CONTINUATION, PING, PONG, TEXT, close, frame

# Lengths around those at which something changes: the forms of a length, the way of masking, the window.
lengths = st.one_of(
    st.integers(0, 12), st.sampled_from([124, 125, 126, 127, 300, 2047, 2048, 4096, 65535, 65536, 66000])
)
texts = st.one_of(
    st.text(max_size=12),
    st.builds(lambda words, length: (words * length)[:length], st.text(min_size=1, max_size=5), lengths),
)
octets = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda block, length: (block * length)[:length], st.binary(min_size=1, max_size=40), lengths),
)
messages = st.one_of(texts, octets)
payloads = st.binary(max_size=125)
codes = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4999])
reasons = st.text(max_size=30)

# Where to cut bytes: places that are taken modulo their length.
places = st.lists(st.integers(0, 200_000), max_size=4)

keys = st.binary(min_size=4, max_size=4)
frames = st.builds(
    frame,
    st.sampled_from([TEXT, TEXT, BINARY, CONTINUATION, PING, PONG, 3, 11]),
    st.one_of(st.binary(max_size=8), st.text(max_size=8).map(str.encode), st.just(b"x" * 130)),
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0, 0x40, 0x20]),
    key=st.one_of(keys, keys, keys, st.none()),
)
closes = st.builds(close, st.one_of(codes, st.integers(0, 65535), st.none()), st.binary(max_size=4))
faulty = st.lists(st.one_of(frames, frames, closes), max_size=5).map(b"".join)
spoilt = st.lists(st.one_of(frames, frames, closes, st.binary(max_size=6)), max_size=5).map(b"".join)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """Bytes in pieces."""
    ends = sorted(place % (len(octets) + 1) for place in places)
    return [octets[at:end] for at, end in zip([0, *ends], [*ends, len(octets)], strict=True)]
