"""RFC 9112 section 6: which body a request has. Nothing that two servers could read in two ways is let through."""

from __future__ import annotations

import pytest

from tests.http1.vectors import CHUNKED, HOST, POST, accepted, get, head, outcome, refused

TE = b"Transfer-Encoding: "
CL = b"Content-Length: "


def post(*field_lines: bytes) -> bytes:
    return head(POST, HOST, *field_lines)


@pytest.mark.parametrize("value", [b"chunked", b"CHUNKED", b"Chunked", b"\tchunked \t"])
def test_6_1_chunked_alone_is_served(value: bytes) -> None:
    assert accepted(post(TE + value) + b"2\r\nok\r\n0\r\n\r\n").body == b"ok"


@pytest.mark.parametrize(
    "lines",
    [
        [b"gzip, chunked"],
        [b"gzip,chunked"],
        [b"identity, chunked"],
        [b"deflate;a=b, chunked"],
        [b"br, gzip, chunked"],
        [b"gzip", b"chunked"],
        [b"xchunked, chunked"],
    ],
)
def test_6_1_another_coding_before_chunked_is_501(lines: list[bytes]) -> None:
    assert refused(post(*(TE + line for line in lines))) == 501


@pytest.mark.parametrize(
    "lines",
    [
        [b""],
        [b" "],
        [b","],
        [b"gzip"],
        [b"identity"],
        [b"xchunked"],
        [b"chunkedx"],
        [b"chunked x"],
        [b"x chunked"],
        [b"chunked\tx"],
        [b"chunked;a"],
        [b"chunked;a=b"],
        [b"chunked; "],
        [b'"chunked"'],
        [b"'chunked'"],
        [b"chunked\xa0"],
        [b"\x85chunked"],
        [b"chunke\xc4\x91"],
        [b"cow"],
        [b"chunked, gzip"],
        [b"chunked, identity"],
        [b"chunked, chunked"],
        [b"gzip, chunked, chunked"],
        [b"chunked, gzip, chunked"],
        [b"chunked", b"chunked"],
        [b"chunked", b"gzip"],
        [b"chunked", b"identity"],
        [b"", b"gzip"],
    ],
)
def test_6_1_a_final_coding_that_is_not_chunked_is_400(lines: list[bytes]) -> None:
    assert refused(post(*(TE + line for line in lines))) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding:\x0cchunked",
        b"Transfer-Encoding: chunked\x00",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: chunked\rX: y",
        b"X: y\nTransfer-Encoding: chunked",
        b"Transfer-Encoding",
    ],
)
def test_6_1_a_hidden_transfer_encoding_is_400(line: bytes) -> None:
    assert refused(post(CL + b"3", line)) == 400
    assert refused(post(line)) == 400


def test_6_1_another_name_is_another_field() -> None:
    message = accepted(post(b"Transfer_Encoding: chunked", b"X-Transfer-Encoding: chunked", CL + b"2") + b"ok")

    assert message.body == b"ok"


@pytest.mark.parametrize("lines", [[CHUNKED], [CHUNKED, CL + b"3"], [TE + b"gzip"], [TE]])
def test_6_1_http_1_0_has_no_transfer_encoding(lines: list[bytes]) -> None:
    assert refused(head(b"POST / HTTP/1.0", HOST, *lines)) == 400
    assert refused(head(b"POST / HTTP/1.0", HOST, b"Connection: keep-alive", *lines)) == 400


@pytest.mark.parametrize(
    "lines", [[b"chunked,"], [b",chunked"], [b", chunked ,"], [b"chunked", b""], [b"", b"chunked"]]
)
def test_6_1_empty_members_are_refused_in_one_line_and_in_two(lines: list[bytes]) -> None:
    """RFC 9110 section 5.6.1 allows them in lists; no sender of a body has a reason for them, and readers differ."""
    assert refused(post(*(TE + line for line in lines)) + b"0\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("value", "body"), [(b"0", b""), (b"2", b"ok"), (b"02", b"ok"), (b"000000000000000002", b"ok")]
)
def test_6_2_content_length_counts_the_octets_of_the_body(value: bytes, body: bytes) -> None:
    end = outcome(post(CL + value) + body + get())

    assert [message.body for message in end.messages] == [body, b""]
    assert end.waiting_bytes == 0


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"FOO"])
def test_6_2_every_method_may_have_a_body(method: bytes) -> None:
    assert accepted(head(method + b" / HTTP/1.1", HOST, CL + b"2") + b"ok").body == b"ok"
    assert accepted(head(method + b" / HTTP/1.1", HOST, CHUNKED) + b"2\r\nok\r\n0\r\n\r\n").body == b"ok"


def test_6_2_http_1_0_has_bodies_by_length() -> None:
    assert accepted(head(b"POST / HTTP/1.0", CL + b"2") + b"ok").body == b"ok"


def test_6_2_a_body_that_has_not_come_is_waited_for() -> None:
    end = outcome(post(CL + b"5") + b"ok")

    assert end.messages == ()
    assert end.partial is not None
    assert end.partial.body == b"ok"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"+3",
        b"-1",
        b"-0",
        b"0x3",
        b"0x",
        b"3x",
        b"x",
        b"3 3",
        b"3\t3",
        b"3, 3",
        b"3,3",
        b"3,",
        b",3",
        b"3;a",
        b"3.0",
        b"3e0",
        b"1_0",
        b'"3"',
        b"\xb2",
        b"\xd9\xa3",
        b"\xef\xbc\x93",
        b"3\x00",
        b"\x0b3",
        b"\x0c3",
        b"3\x85",
        b"\xa03",
        b"infinity",
        b"0b11",
        b"0o3",
    ],
)
def test_6_3_a_content_length_that_is_no_number_is_400(value: bytes) -> None:
    assert refused(post(CL + value) + b"ok!") == 400


@pytest.mark.parametrize("value", [b"9" * 18, b"0" * 17 + b"3"])
def test_6_3_the_longest_content_length(value: bytes) -> None:
    assert outcome(post(CL + value) + b"ok").status is None


@pytest.mark.parametrize(
    "value", [b"9" * 19, b"18446744073709551616", b"18446744073709551619", b"1" + b"0" * 400, b"9" * 5000]
)
def test_6_3_a_content_length_that_overflows_is_400(value: bytes) -> None:
    assert refused(post(CL + value) + b"ok!") == 400


@pytest.mark.parametrize(
    "values", [[b"3", b"4"], [b"3", b"3"], [b"0", b"3"], [b"3", b"0"], [b"3", b""], [b"3, 3", b"3"]]
)
def test_6_3_content_length_stands_once(values: list[bytes]) -> None:
    assert refused(post(*(CL + value for value in values)) + b"ok!") == 400


def test_6_3_repeated_content_lengths_are_found_whatever_stands_between_and_however_they_are_spelt() -> None:
    assert refused(post(b"CONTENT-LENGTH: 2", b"X: y", b"content-length:2") + b"ok") == 400


@pytest.mark.parametrize("length", [b"0", b"3", b"x", b""])
@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity", b""])
def test_6_3_content_length_beside_transfer_encoding_is_400(length: bytes, coding: bytes) -> None:
    assert refused(post(CL + length, TE + coding) + b"0\r\n\r\n") == 400
    assert refused(post(TE + coding, CL + length) + b"0\r\n\r\n") == 400


def test_6_3_without_length_and_coding_there_is_no_body() -> None:
    end = outcome(post() + get())

    assert [message.method for message in end.messages] == ["POST", "GET"]
