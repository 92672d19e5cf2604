"""What a request may cost: each limit at its value and one past it, whether the bytes come whole, in two pieces, one
by one, or never to an end."""

from __future__ import annotations

import pytest

from tests.http1.vectors import (
    CHUNKED,
    GET,
    HOST,
    accepted,
    chunked,
    cuts,
    drip,
    get,
    head,
    octets_until_refused,
    outcome,
    play,
    refused,
)
from whorl.wire.http1.head import HeadLimits

SMALL = HeadLimits(request_line_bytes=40, header_section_bytes=60, header_fields=4)
DEFAULT = HeadLimits()
LONG_LINE = HeadLimits(request_line_bytes=60, header_section_bytes=40, header_fields=4)
LIMITS = pytest.mark.parametrize("limits", [SMALL, LONG_LINE, DEFAULT], ids=["small", "long line", "default"])

# RFC 9112 section 7.1.1 leaves these to the server; docs/security names them.
CHUNK_LINE_BYTES = 4096
CHUNK_EXTENSIONS_BYTES = 16 * 1024


def request_line(length_bytes: int) -> bytes:
    return b"GET /" + b"a" * (length_bytes - 14) + b" HTTP/1.1"


def section(length_bytes: int, lines: int = 2) -> list[bytes]:
    """Field lines, Host among them, that take so many bytes, each with its CRLF."""
    fill = [b"X:"] * (lines - 1)
    fill[-1] += b"a" * (length_bytes - len(HOST) - 2 - 4 * (lines - 1))
    return [HOST, *fill]


@LIMITS
def test_a_request_line_at_its_limit_is_read(limits: HeadLimits) -> None:
    assert len(accepted(head(request_line(limits.request_line_bytes), HOST), limits).target) == (
        limits.request_line_bytes - 13
    )


@LIMITS
def test_a_request_line_one_past_its_limit_is_414(limits: HeadLimits) -> None:
    assert refused(head(request_line(limits.request_line_bytes + 1), HOST), limits) == 414


@LIMITS
@pytest.mark.parametrize("line", [b"GET /", b"GET ", b"GET / HTTP/1.1 ", b"GET / HTTP/1.1\r", b"A\x7f"])
def test_a_request_line_that_never_ends_is_414(limits: HeadLimits, line: bytes) -> None:
    assert refused(line + b"a" * (limits.request_line_bytes + 10 - len(line)), limits) == 414
    assert octets_until_refused(line + b"a" * 100, SMALL) == SMALL.request_line_bytes + 2


@LIMITS
def test_a_method_that_takes_the_whole_request_line_is_501(limits: HeadLimits) -> None:
    """RFC 9112 section 3 has one status for too long a method, and another one for too long a target."""
    long = b"A" * limits.request_line_bytes
    assert refused(long + b"AA", limits) == 501
    assert refused(head(long + b" / HTTP/1.1", HOST), limits) == 501
    assert refused(head(long[:-1] + b" / HTTP/1.1", HOST), limits) == 414
    assert octets_until_refused(b"A" * 100, SMALL) == SMALL.request_line_bytes + 2


@LIMITS
def test_a_request_line_at_its_limit_is_waited_for(limits: HeadLimits) -> None:
    for line in (request_line(limits.request_line_bytes), request_line(limits.request_line_bytes) + b"\r"):
        end = outcome(line, limits)
        assert end.status is None
        assert end.waiting_bytes == len(line)


@LIMITS
def test_empty_lines_do_not_count_towards_the_request_line(limits: HeadLimits) -> None:
    octets = b"\r\n\r\n" + head(request_line(limits.request_line_bytes), *section(limits.header_section_bytes))

    assert accepted(octets, limits).method == "GET"


@LIMITS
def test_a_header_section_at_its_limit_is_read_in_few_fields_and_in_many(limits: HeadLimits) -> None:
    for lines in (2, 3, limits.header_fields):
        message = accepted(head(GET, *section(limits.header_section_bytes, lines)), limits)
        assert sum(len(name) + len(value) + 3 for name, value in message.fields) == limits.header_section_bytes - 1


@LIMITS
@pytest.mark.parametrize("lines", [2, 3])
def test_a_header_section_one_past_its_limit_is_431(limits: HeadLimits, lines: int) -> None:
    assert refused(head(GET, *section(limits.header_section_bytes + 1, lines)), limits) == 431


@LIMITS
def test_a_header_section_at_its_limit_is_waited_for(limits: HeadLimits) -> None:
    octets = head(GET, *section(limits.header_section_bytes))

    for left_out in (1, 2, 3, 4):
        assert outcome(octets[:-left_out], limits).status is None


@LIMITS
@pytest.mark.parametrize("filling", [b"a", b"X: y\r\n", b": "])
def test_a_header_section_that_never_ends_is_431(limits: HeadLimits, filling: bytes) -> None:
    start = GET + b"\r\nX:"

    assert refused(start + filling * (limits.header_section_bytes // len(filling) + 10), limits) == 431
    assert octets_until_refused(start + filling * 100, SMALL) == len(GET) + 2 + SMALL.header_section_bytes + 2


@LIMITS
def test_the_limit_of_the_header_section_leaves_out_the_request_line(limits: HeadLimits) -> None:
    octets = head(request_line(limits.request_line_bytes), *section(limits.header_section_bytes))

    assert len(accepted(octets, limits).fields) == 2


@LIMITS
def test_as_many_fields_as_the_limit_are_read(limits: HeadLimits) -> None:
    octets = get(*[b"X:"] * (limits.header_fields - 1))

    assert len(accepted(octets, limits).fields) == limits.header_fields


@LIMITS
def test_one_field_past_the_limit_is_431(limits: HeadLimits) -> None:
    assert refused(get(*[b"X:"] * limits.header_fields), limits) == 431


@LIMITS
def test_a_request_to_the_limit_leaves_the_next_one_its_own(limits: HeadLimits) -> None:
    octets = head(request_line(limits.request_line_bytes), *section(limits.header_section_bytes))

    assert len(outcome(octets * 3, limits).messages) == 3


def test_limits_count_the_head_and_not_what_follows() -> None:
    big = head(b"POST / HTTP/1.1", HOST, b"Content-Length: 200") + b"x" * 200

    assert len(outcome(big * 3, SMALL).messages) == 3


def trailers(lines: list[bytes]) -> bytes:
    return chunked(b"0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


@LIMITS
@pytest.mark.parametrize("lines", [1, 3])
def test_a_trailer_section_at_its_limit_is_read(limits: HeadLimits, lines: int) -> None:
    fill = [b"X:" + b"a" * (limits.header_section_bytes - 4 * lines), *[b"X:"] * (lines - 1)]

    assert accepted(trailers(fill), limits).body == b""


@LIMITS
@pytest.mark.parametrize("lines", [1, 3])
def test_a_trailer_section_one_past_its_limit_is_431(limits: HeadLimits, lines: int) -> None:
    fill = [b"X:" + b"a" * (limits.header_section_bytes - 4 * lines + 1), *[b"X:"] * (lines - 1)]

    assert refused(trailers(fill), limits) == 431
    assert refused(trailers(fill[::-1]), limits) == 431


@LIMITS
def test_as_many_trailers_as_the_limit_are_read_and_one_more_is_431(limits: HeadLimits) -> None:
    assert accepted(trailers([b"X:"] * limits.header_fields), limits).body == b""
    assert refused(trailers([b"X:"] * (limits.header_fields + 1)), limits) == 431


@LIMITS
@pytest.mark.parametrize("filling", [b"a", b"X: y\r\n"])
def test_a_trailer_section_that_never_ends_is_431(limits: HeadLimits, filling: bytes) -> None:
    octets = chunked(b"0\r\nX:" + filling * (limits.header_section_bytes // len(filling) + 10))

    assert refused(octets, limits) == 431


def test_a_chunk_line_at_its_limit_is_read_and_one_past_it_is_400() -> None:
    for line, extra in ((b"2;", b"a"), (b"2;a=", b"b"), (b'2;a="', b" ")):
        close = b'"' if b'"' in line else b""
        fill = line + extra * (CHUNK_LINE_BYTES - len(line) - len(close))
        assert accepted(chunked(fill + close + b"\r\nok\r\n0\r\n\r\n")).body == b"ok"
        assert refused(chunked(fill + extra + close + b"\r\nok\r\n0\r\n\r\n")) == 400


@pytest.mark.parametrize("octets", [b"2;", b"", b"2;a=", b"0"])
def test_a_chunk_line_that_never_ends_is_400(octets: bytes) -> None:
    assert refused(chunked(octets + b"a" * (CHUNK_LINE_BYTES + 2))) == 400


def chunks_with_extensions(count: int, length_bytes: int) -> bytes:
    return (b"1;" + b"a" * (length_bytes - 1) + b"\r\nx\r\n") * count


def test_extensions_at_their_limit_are_read_and_one_octet_more_is_400() -> None:
    """The limit is on the extensions of a whole body: many small ones cost as much as one large one."""
    for count in (8, 64, 1024):
        octets = chunks_with_extensions(count, CHUNK_EXTENSIONS_BYTES // count)
        lengthened = octets + chunks_with_extensions(1, 2)
        assert len(accepted(chunked(octets + b"0\r\n\r\n")).body) == count
        assert refused(chunked(lengthened + b"0\r\n\r\n")) == 400


def test_white_space_before_an_extension_counts_as_one() -> None:
    """It carries no byte of the body either, and is grammar only where an extension follows."""
    octets = (b"1" + b" " * 4000 + b";a\r\nx\r\n") * 16

    assert refused(chunked(octets + b"0\r\n\r\n")) == 400


def test_each_request_has_the_extensions_of_its_own_body_counted() -> None:
    octets = chunked(chunks_with_extensions(8, CHUNK_EXTENSIONS_BYTES // 8) + b"0\r\n\r\n")

    assert len(outcome(octets * 2).messages) == 2


NEVER_ENDS = b"a" * 200
TWO_FAULTS = {
    "a bad first byte, then too long a line": (b"\x16" + NEVER_ENDS + b"\r\n\r\n", 400),
    "a space first, then too long a line": (b" " + NEVER_ENDS + b"\r\n\r\n", 400),
    "LF in too long a line": (b"GET /\n" + NEVER_ENDS + b"\r\n\r\n", 400),
    "too long a line, then LF": (b"GET /" + NEVER_ENDS + b"\n\r\n\r\n", 414),
    "a version not served, then LF": (b"GET / HTTP/2.0\r\nX: a\nY: b\r\n\r\n", 505),
    "a version not served, then too large a section": (b"GET / HTTP/2.0\r\nX: " + NEVER_ENDS + b"\r\n\r\n", 505),
    "a malformed line, then too large a section": (b"GET\r\nX: " + NEVER_ENDS + b"\r\n\r\n", 400),
    "LF, then too large a section": (b"GET / HTTP/1.1\r\nX: \n" + NEVER_ENDS + b"\r\n\r\n", 400),
    "too large a section, then LF": (b"GET / HTTP/1.1\r\nX: " + NEVER_ENDS + b"\n\r\n\r\n", 431),
    "too large a trailer section, then LF": (
        head(b"A / HTTP/1.1", HOST, CHUNKED) + b"0\r\nX: " + NEVER_ENDS + b"\n\r\n\r\n",
        431,
    ),
    "a long chunk line, then LF": (head(b"A / HTTP/1.1", HOST, CHUNKED) + b"1" * 5000 + b"\n\r\n", 400),
}


def test_lf_and_a_limit_are_told_in_their_order_wherever_the_lf_stands() -> None:
    for before in range(90):
        for limit, start in ((414, b"GET /"), (431, GET + b"\r\nX: ")):
            octets = start + b"a" * before + b"\n" + b"a" * (90 - before) + b"\r\n\r\n"
            told = outcome(octets, SMALL).status
            assert told in (400, limit)
            assert (told == 400) == (before < 40) or 30 < before < 60


@pytest.mark.parametrize("fault", TWO_FAULTS)
def test_of_two_faults_the_first_is_told_however_the_octets_are_cut(fault: str) -> None:
    octets, status = TWO_FAULTS[fault]

    statuses = {play([octets[:at], octets[at:]], SMALL).status for at in [0, *cuts(octets)]}

    assert statuses == {status}
    assert play(drip(octets), SMALL).status == status
