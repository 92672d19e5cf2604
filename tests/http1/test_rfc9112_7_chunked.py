"""RFC 9112 section 7: the chunked transfer coding, its extensions and its trailer section."""

from __future__ import annotations

import pytest

from tests.http1.vectors import accepted, chunked, get, outcome, play, refused

END = b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (END, b""),
        (b"2\r\nok\r\n" + END, b"ok"),
        (b"1\r\no\r\n1\r\nk\r\n" + END, b"ok"),
        (b"a\r\n0123456789\r\n" + END, b"0123456789"),
        (b"A\r\n0123456789\r\n" + END, b"0123456789"),
        (b"1f\r\n" + b"x" * 31 + b"\r\n" + END, b"x" * 31),
        (b"002\r\nok\r\n000\r\n\r\n", b"ok"),
        (b"000000000000002\r\nok\r\n" + END, b"ok"),
        (b"4\r\n\r\n\r\n\r\n" + END, b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n" + END, b"0\r\n\r\n"),
        (b"3\r\n\x00\n\r\r\n" + END, b"\x00\n\r"),
    ],
)
def test_7_1_chunks_are_joined(octets: bytes, body: bytes) -> None:
    assert accepted(chunked(octets)).body == body


def test_7_1_what_follows_the_last_chunk_is_the_next_request() -> None:
    end = outcome(chunked(b"2\r\nok\r\n" + END) + get() + chunked(END) + get())

    assert [(message.method, message.body) for message in end.messages] == [
        ("POST", b"ok"),
        ("GET", b""),
        ("POST", b""),
        ("GET", b""),
    ]


@pytest.mark.parametrize(
    "octets", [b"", b"2", b"2\r", b"2\r\n", b"2\r\no", b"2\r\nok", b"2\r\nok\r", b"0\r\n", b"0\r\n\r"]
)
def test_7_1_a_chunk_that_has_not_come_is_waited_for(octets: bytes) -> None:
    end = outcome(chunked(octets))

    assert end.status is None
    assert end.messages == ()


def test_7_1_data_is_given_on_before_its_chunk_is_complete() -> None:
    end = outcome(chunked(b"3\r\none\r\nffff\r\ntwo"))

    assert end.partial is not None
    assert end.partial.body == b"onetwo"


@pytest.mark.parametrize(
    "size",
    [
        b"",
        b" 2",
        b"\t2",
        b"2 ",
        b"2\t",
        b"+2",
        b"-2",
        b"0x2",
        b"0X2",
        b"2h",
        b"g",
        b"2_0",
        b"2,2",
        b"2 2",
        b"2.0",
        b"\xb2",
        b"\xef\xbc\x92",
        b"2\x00",
        b"\x0b2",
        b'"2"',
        b"2:",
        b"2=a",
        b"2\r",
        b"\r2",
    ],
)
def test_7_1_a_chunk_size_is_hexadecimal_digits(size: bytes) -> None:
    assert refused(chunked(size + b"\r\nok\r\n" + END)) == 400


@pytest.mark.parametrize("size", [b"0" * 15 + b"2", b"1" + b"0" * 15, b"f" * 16, b"1" + b"0" * 16 + b"2", b"f" * 300])
def test_7_1_a_chunk_size_that_overflows_is_400(size: bytes) -> None:
    assert refused(chunked(size + b"\r\nok\r\n" + END)) == 400


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"2\r\nokk\r\n" + END, id="one byte too many"),
        pytest.param(b"3\r\nok\r\n" + END, id="one byte too few"),
        pytest.param(b"2\r\nok" + END, id="no CRLF"),
        pytest.param(b"2\r\nok\n" + END, id="LF after the data"),
        pytest.param(b"2\r\nok\r" + END, id="CR after the data"),
        pytest.param(b"2\r\nok\r\r\n" + END, id="CR twice after the data"),
        pytest.param(b"2\r\nok \r\n" + END, id="space after the data"),
        pytest.param(b"2\r\nok\r\n\r\n" + END, id="CRLF twice after the data"),
        pytest.param(b"\r\n2\r\nok\r\n" + END, id="CRLF before the size"),
        pytest.param(b"2\nok\r\n" + END, id="LF after the size"),
        pytest.param(b"2\rok\r\n" + END, id="CR after the size"),
        pytest.param(b"2\r\nok\r\n0\n\r\n", id="LF after the last size"),
        pytest.param(b"2\r\nok\r\n0\r\n\n", id="LF for the empty line"),
        pytest.param(b"2\r\nok\r\n0\n\n", id="LF twice at the end"),
        pytest.param(b"2\r\nok\r\n" + b"0\r\r\n\r\n", id="CR twice after the last size"),
    ],
)
def test_7_1_a_chunk_ends_where_its_size_says_with_crlf(octets: bytes) -> None:
    assert refused(chunked(octets)) == 400


@pytest.mark.parametrize("octets", [b"2\r\nokX", b"2\r\nok\n", b"2\r\nok\rX", b"2\n", b"0\r\nX: y\n"])
def test_7_1_what_can_become_no_chunk_is_refused_at_once(octets: bytes) -> None:
    assert refused(chunked(octets)) == 400
    assert play([chunked(octets[:-1])]).status is None


@pytest.mark.parametrize(
    "extension",
    [
        b";a",
        b";a=b",
        b";a;b",
        b";a;b=c;d",
        b";a=b;c=d;e",
        b' ; a = b\t;\tc="d"',
        b';a="b"',
        b';a=""',
        b';a=";"',
        b';a="="',
        b';a="\\""',
        b';a="\\\\"',
        b';a="\\;\\a";b',
        b';a="b\tc d\xe9"',
        b';a="b";c="d"',
        b';a="b" ;c',
        b";!#$%&'*+-.^_`|~09aZ=!#$%&'*+-.^_`|~09aZ",
    ],
)
def test_7_1_1_extensions_are_read_and_dropped(extension: bytes) -> None:
    message = accepted(chunked(b"2" + extension + b"\r\nok\r\n0" + extension + b"\r\n\r\n"))

    assert message.body == b"ok"
    assert [name for name, _ in message.fields] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    "extension",
    [
        b";",
        b"; ",
        b";;",
        b";;a",
        b";a;",
        b";a;;b",
        b";=",
        b";=b",
        b";a=",
        b";a= ",
        b";a=;b",
        b";a==b",
        b";a=b=c",
        b";a b",
        b";a=b c",
        b";a=b,c=d",
        b",a",
        b";a,b",
        b";a:b",
        b';"a"',
        b';"a"=b',
        b';a="',
        b';a="b',
        b';a="b\\"',
        b';a="b"c',
        b';a="b" c',
        b';a="b"=c',
        b';a="b""c"',
        b';a=b"c"',
        b";a='b c'",
        b";a\x00",
        b";\x00a",
        b";a=\x00",
        b';a="\x00"',
        b';a="\\\x00"',
        b';a="\x7f"',
        b";a=\x7f",
        b";\xe9",
        b";a=\xe9",
        b";a=b\rc",
        b';a="\r"',
        b";a\r",
        b";\ra",
        b";a\n",
        b';a="\n"',
    ],
)
def test_7_1_1_a_malformed_extension_is_400(extension: bytes) -> None:
    assert refused(chunked(b"2" + extension + b"\r\nok\r\n" + END)) == 400
    assert refused(chunked(b"2\r\nok\r\n0" + extension + b"\r\n\r\n")) == 400


@pytest.mark.parametrize("before", [b";a;", b";a;a;", b";a=a;a;", b';a="a";a;'])
def test_7_1_1_an_extension_after_one_without_a_value_is_checked_like_the_first(before: bytes) -> None:
    for bad in (b"b=", b"b=\x00", b'b="', b"b=\rc", b'b="\r"', b"b==c", b"b=c d", b"b=\xe9"):
        assert refused(chunked(b"2" + before + bad + b"\r\nok\r\n" + END)) == 400


@pytest.mark.parametrize("extension", [b";a ", b";a\t", b";a=b ", b';a="b" ', b";a;b ", b" ;a "])
def test_7_1_1_the_grammar_has_no_white_space_after_the_last_extension(extension: bytes) -> None:
    assert refused(chunked(b"2" + extension + b"\r\nok\r\n" + END)) == 400


@pytest.mark.parametrize(
    "trailers",
    [
        [b"X: y"],
        [b"X: y", b"X: z", b"Empty:"],
        [b"Content-Length: 5"],
        [b"Transfer-Encoding: gzip"],
        [b"Host: evil"],
        [b"Authorization: x"],
        [b"Connection: close"],
        [b"Expect: x"],
        [b"X: caf\xe9"],
    ],
)
def test_7_1_2_trailers_are_checked_and_never_become_fields(trailers: list[bytes]) -> None:
    octets = chunked(b"2\r\nok\r\n0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n")

    end = outcome(octets + get())

    first, second = end.messages
    assert first.fields == ((b"host", b"a"), (b"transfer-encoding", b"chunked"))
    assert first.body == b"ok"
    assert first.keep_alive
    assert second.fields == ((b"host", b"a"),)


@pytest.mark.parametrize(
    "line",
    [
        b"X",
        b"X : y",
        b"X\t: y",
        b": y",
        b" X: y",
        b"\tX: y",
        b"X: a\r\n b",
        b"X(: y",
        b"X: \x00",
        b"X: a\x7f",
        b"X: a\rb",
        b"\rX: y",
        b"X: a\nY: b",
        b"X: a\n",
        b"GET / HTTP/1.1",
        b"Content-Length: x",
        b"Host: a b",
    ],
)
def test_7_1_2_a_malformed_trailer_is_400(line: bytes) -> None:
    assert refused(chunked(b"2\r\nok\r\n0\r\n" + line + b"\r\n\r\n")) == 400
