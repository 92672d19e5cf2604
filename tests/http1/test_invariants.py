"""What a server full of connections relies on: the remembered lines are few and hold no secret, a request that was
read leaves nothing behind, and the work grows with the bytes and not with their square."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from tests.http1.vectors import CHUNKED, GET, HOST, POST, chunked, drip, get, head, outcome, play
from whorl.wire.http1.fields import MAX_CACHED_LINE_BYTES, MAX_CACHED_LINES, FieldLineCache
from whorl.wire.http1.head import HeadLimits
from whorl.wire.http1.reader import RequestReader

# One person's, one request's, or somebody's credential.
PRIVATE = """
authorization proxy-authorization cookie set-cookie referer forwarded x-forwarded-for x-real-ip from if-match
if-none-match x-api-key api-key x-auth-token x-csrf-token x-csrftoken x-xsrf-token x-access-token authentication-info
sec-websocket-key sec-websocket-protocol x-amz-security-token x-request-id traceparent idempotency-key location x-any
"""


def test_private_lines_are_not_remembered() -> None:
    lines = FieldLineCache()

    for name in PRIVATE.split():
        spellings = [spelling.encode() + b": hunter2" for spelling in (name, name.title(), name.upper())]
        octets = get(*spellings) + chunked(b"0\r\n" + b"\r\n".join(spellings) + b"\r\n\r\n")
        assert len(play([octets], lines=lines).messages) == 2

    assert set(lines.known) == {HOST, CHUNKED}


def test_lines_that_repeat_are_remembered_and_read_alike() -> None:
    lines = FieldLineCache()
    octets = get(b"Accept: */*", b"user-agent: x", b"Connection: close", b"X-Other: y")

    first = play([octets], lines=lines)

    assert {b"Host: a", b"Accept: */*", b"user-agent: x", b"Connection: close"} == set(lines.known)
    assert play([octets], lines=lines) == first


def test_the_remembered_lines_are_bounded() -> None:
    lines = FieldLineCache()

    for at in range(3 * MAX_CACHED_LINES):
        lines.parse(b"User-Agent: %d" % at)
        assert len(lines.known) <= MAX_CACHED_LINES
    lines.parse(b"Accept: " + b"a" * MAX_CACHED_LINE_BYTES)

    assert max(map(len, lines.known)) <= MAX_CACHED_LINE_BYTES


@pytest.mark.parametrize("line", [b"Host: a/b", b"Host:", b"Accept: \x00", b"Content-Length : 3", b"Connection"])
def test_a_refused_line_is_not_remembered(line: bytes) -> None:
    lines = FieldLineCache()

    assert play([head(GET, line)], lines=lines).status == 400
    assert line not in lines.known


def test_two_servers_share_no_lines() -> None:
    one, other = FieldLineCache(), FieldLineCache()
    one.parse(b"Host: a")

    assert not other.known


MEBIBYTE = b"x" * (1 << 20)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(get(b"X: " + b"a" * 60_000), id="head"),
        pytest.param(head(POST, HOST, b"Content-Length: 1048576") + MEBIBYTE, id="length"),
        pytest.param(chunked(b"100000\r\n" + MEBIBYTE + b"\r\n0\r\n\r\n"), id="one chunk"),
        pytest.param(chunked(b"10\r\n0123456789abcdef\r\n" * 10_000 + b"0\r\n\r\n"), id="many chunks"),
        pytest.param(chunked(b"0\r\nX: " + b"a" * 60_000 + b"\r\n\r\n"), id="trailers"),
    ],
)
def test_a_request_that_was_read_leaves_nothing_behind(octets: bytes) -> None:
    reader = RequestReader(HeadLimits(), FieldLineCache())
    pieces = drip(octets, 60_000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for piece in pieces:
            reader.receive_data(bytes(bytearray(piece)))
            if reader.body_complete:
                reader.next_request()
            reader.read_body()
            while reader.has_unread_chunks:
                reader.read_body()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert reader.body_complete
    assert reader.buffered_bytes == 0
    assert after - before < 4096


def test_discard_forgets_what_was_buffered() -> None:
    reader = RequestReader(HeadLimits(), FieldLineCache())
    reader.receive_data(get()[:-1])
    assert reader.next_request() is None
    assert reader.buffered_bytes == len(get()) - 1

    reader.discard()

    assert reader.buffered_bytes == 0
    assert reader.next_request() is None
    reader.receive_data(get())
    assert reader.next_request() is not None


def test_a_body_is_given_piece_by_piece_and_never_gathered() -> None:
    reader = RequestReader(HeadLimits(), FieldLineCache())
    reader.receive_data(head(POST, HOST, b"Content-Length: 6"))
    reader.next_request()
    given = []

    for piece in (b"ab", b"cd", b"ef"):
        reader.receive_data(piece)
        given.append(reader.read_body())
        assert reader.read_body() == b""
        assert reader.buffered_bytes == 0

    assert given == [b"ab", b"cd", b"ef"]


def long_head(length_bytes: int) -> list[bytes]:
    return drip(GET + b"\r\n" + HOST + b"\r\n" + b"X: abcd\r\n" * (length_bytes // 9))


def long_line(length_bytes: int) -> list[bytes]:
    return drip(GET + b"\r\nX: " + b"a" * length_bytes)


def long_target(length_bytes: int) -> list[bytes]:
    return drip(b"GET /" + b"a" * length_bytes)


def long_trailer(length_bytes: int) -> list[bytes]:
    return drip(chunked(b"0\r\nX: " + b"a" * length_bytes))


def small_chunks(length_bytes: int) -> list[bytes]:
    return [chunked(b"1\r\nx\r\n" * (length_bytes // 6) + b"0\r\n\r\n")]


def dripped_chunks(length_bytes: int) -> list[bytes]:
    return drip(chunked(b"1\r\nx\r\n" * (length_bytes // 6) + b"0\r\n\r\n"))


def extensions(length_bytes: int) -> list[bytes]:
    """Small ones and a quoted one, in one line; in many requests, since a body may have few."""
    line = b"1" + b";a" * (length_bytes // 4) + b';a="' + b"\\b" * (length_bytes // 4 - 5) + b'"\r\nx\r\n'
    return [chunked(line + b"0\r\n\r\n") * 40]


def pipeline(length_bytes: int) -> list[bytes]:
    return [get() * (length_bytes // len(get()))]


def long_fields(length_bytes: int) -> list[bytes]:
    return [head(GET, HOST, b"X:" + b"a\t" * (length_bytes // 2))]


ROOMY = HeadLimits(request_line_bytes=1 << 20, header_section_bytes=1 << 20, header_fields=1 << 20)


def cpu_seconds(pieces: list[bytes]) -> float:
    """The least of three tries: other programs only ever add."""
    tries = []
    for _ in range(3):
        started = time.process_time()
        assert play(pieces, ROOMY).status is None
        tries.append(time.process_time() - started)
    return min(tries)


def growth(make: Callable[[int], list[bytes]], length_bytes: int) -> float:
    """How much more CPU time eight times the bytes cost: eight times as much, or 64 times if it is their square."""
    return cpu_seconds(make(8 * length_bytes)) / cpu_seconds(make(length_bytes))


@pytest.mark.parametrize(
    ("make", "length_bytes"),
    [
        (long_head, 2_000),
        (long_line, 2_000),
        (long_target, 2_000),
        (long_trailer, 2_000),
        (dripped_chunks, 2_000),
        (small_chunks, 20_000),
        (extensions, 500),
        (pipeline, 10_000),
        (long_fields, 100_000),
    ],
)
def test_the_work_grows_with_the_octets_and_not_with_their_square(
    make: Callable[[int], list[bytes]], length_bytes: int
) -> None:
    assert growth(make, length_bytes) < 20


def test_every_kind_of_body_may_follow_every_other() -> None:
    """The reader of one body is not the reader of the next."""
    kinds = [
        get(),
        head(POST, HOST, b"Content-Length: 3") + b"abc",
        head(POST, HOST, CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n",
        head(POST, HOST, b"Content-Length: 0"),
    ]

    for one in kinds:
        for other in kinds:
            assert len(outcome(one + other + one).messages) == 3
