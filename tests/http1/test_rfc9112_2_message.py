"""RFC 9112 section 2: the message, its lines and its version."""

from __future__ import annotations

import pytest

from tests.http1.vectors import GET, HOST, POST, accepted, get, head, octets_until_refused, outcome, refused

TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(range(32)) + b"\x00\x00\x20\x13\x02\r\n\r\n"


def test_2_1_a_message_is_a_request_line_field_lines_an_empty_line_and_a_body() -> None:
    message = accepted(head(b"PUT /a?b HTTP/1.1", b"Host: a", b"X-One: 1", b"Content-Length: 3") + b"\r\nx")

    assert message.method == "PUT"
    assert message.target == b"/a?b"
    assert message.version == "1.1"
    assert message.fields == ((b"host", b"a"), (b"x-one", b"1"), (b"content-length", b"3"))
    assert message.body == b"\r\nx"


def test_2_1_a_request_of_http_1_0_may_have_no_field_at_all() -> None:
    assert accepted(b"GET / HTTP/1.0\r\n\r\n").fields == ()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="every line"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\r\n\r\n", id="request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\r\n", id="field line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", id="between field lines"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\n", id="empty line"),
        pytest.param(b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", id="before the fields"),
        pytest.param(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="before the request line"),
        pytest.param(b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="after an empty line"),
        pytest.param(b"GET /\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="within the target"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n\r\n", id="before the last CRLFs"),
    ],
)
def test_2_2_bare_lf_ends_no_line(octets: bytes) -> None:
    assert refused(octets) == 400
    assert octets_until_refused(octets) == octets.replace(b"\r\n", b"__").index(b"\n") + 1


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"GET / HTTP/1.1\rHost: a\r\n\r\n", id="after the request line"),
        pytest.param(b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", id="two after the request line"),
        pytest.param(b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", id="within the target"),
        pytest.param(b"G\rET / HTTP/1.1\r\nHost: a\r\n\r\n", id="within the method"),
        pytest.param(b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="before the request line"),
        pytest.param(b"\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="before an empty line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", id="between field lines"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", id="two after a field line"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a\rb\r\nHost: a\r\n\r\n", id="within a value"),
        pytest.param(b"GET / HTTP/1.1\r\nX\r: a\r\nHost: a\r\n\r\n", id="within a name"),
        pytest.param(b"GET / HTTP/1.1\r\nX:\r a\r\nHost: a\r\n\r\n", id="before a value"),
        pytest.param(b"GET / HTTP/1.1\r\n\rHost: a\r\n\r\n", id="before a name"),
    ],
)
def test_2_2_bare_cr_is_an_octet_that_belongs_nowhere(octets: bytes) -> None:
    assert refused(octets) == 400


@pytest.mark.parametrize("count", [1, 2, 4])
def test_2_2_empty_lines_before_the_request_line_are_passed_over(count: int) -> None:
    message = accepted(b"\r\n" * count + get())

    assert message.method == "GET"
    assert message.fields == ((b"host", b"a"),)


def test_2_2_empty_lines_between_requests_are_passed_over_each_time() -> None:
    post = head(POST, HOST, b"Content-Length: 2") + b"ok"

    end = outcome((b"\r\n\r\n\r\n\r\n" + post) * 3 + b"\r\n\r\n")

    assert [message.body for message in end.messages] == [b"ok"] * 3
    assert end.waiting_bytes == 0


def test_2_2_too_many_empty_lines_are_no_request() -> None:
    assert refused(b"\r\n" * 5 + get()) == 400
    assert octets_until_refused(b"\r\n" * 1000) == 10


@pytest.mark.parametrize("space", [b" ", b"\t"])
def test_2_2_white_space_between_request_line_and_fields_is_refused(space: bytes) -> None:
    assert refused(GET + b"\r\n" + space + b"Host: a\r\n\r\n") == 400
    assert refused(GET + b"\r\n" + space + b"\r\nHost: a\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("octets", "first"),
    [
        pytest.param(TLS_HELLO, 1, id="TLS"),
        pytest.param(b"\x80\x2e\x01\x03\x01", 1, id="SSL 2"),
        pytest.param(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", 1, id="PostgreSQL"),
        pytest.param(b"\x03\x00\x00\x13\x0e\xe0", 1, id="RDP"),
        pytest.param(b"\x05\x01\x00", 1, id="SOCKS 5"),
        pytest.param(b"\xff\xfb\x1f", 1, id="telnet"),
        pytest.param(b"\xef\xbb\xbfGET / HTTP/1.1\r\n", 1, id="byte order mark"),
        pytest.param(b" GET / HTTP/1.1\r\n", 1, id="white space"),
        pytest.param(b"<policy-file-request/>\x00", 1, id="Flash"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", 21, id="SSH"),
        pytest.param(b"EHLO mail.example\r\n", 19, id="SMTP"),
        pytest.param(b"*1\r\n$4\r\nPING\r\n", 4, id="Redis"),
        pytest.param(b"\r\n\x16\x03\x01", 3, id="after an empty line"),
    ],
)
def test_2_2_what_is_not_http_is_refused_at_once(octets: bytes, first: int) -> None:
    assert octets_until_refused(octets) == first
    assert refused(octets) == 400


@pytest.mark.parametrize(
    ("version", "read_as"),
    [(b"HTTP/1.1", "1.1"), (b"HTTP/1.0", "1.0"), (b"HTTP/1.2", "1.1"), (b"HTTP/1.9", "1.1")],
)
def test_2_3_a_minor_version_beyond_ours_is_read_as_ours(version: bytes, read_as: str) -> None:
    assert accepted(head(b"GET / " + version, HOST)).version == read_as


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"])
def test_2_3_another_major_version_is_505(version: bytes) -> None:
    octets = head(b"GET / " + version, HOST)

    assert refused(octets) == 505
    assert octets_until_refused(octets) == 16


def test_2_3_the_preface_of_http_2_is_505() -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

    assert refused(preface) == 505
    assert octets_until_refused(preface) == 16


@pytest.mark.parametrize(
    "version",
    [
        b"http/1.1",
        b"Http/1.1",
        b"HTTP/1",
        b"HTTP/1.",
        b"HTTP/.1",
        b"HTTP/1,1",
        b"HTTP/1.10",
        b"HTTP/11.1",
        b"HTTP/01.1",
        b"HTTP/1.01",
        b"HTTP/+1.1",
        b"HTTP/a.b",
        b"HTTP/2",
        b"HTTP 1.1",
        b"HTTPS/1.1",
        b"HTTP",
        b"HTTP/",
        b"HTTP/1.1\t",
        b"HTTP/1.1 ",
        b"HTTP/1.1\x00",
        b"HTTP/1.\xb2",
        b"HTTP/\xef\xbc\x91.1",
        b"ICE/1.0",
        b"RTSP/1.0",
    ],
)
def test_2_3_a_malformed_version_is_400(version: bytes) -> None:
    assert refused(head(b"GET / " + version, HOST)) == 400


def test_2_3_http_0_9_has_no_version_and_is_400_when_its_line_ends() -> None:
    assert refused(b"GET /\r\n") == 400
    assert refused(b"GET /\r\n\r\n") == 400
    assert octets_until_refused(b"GET /\r\nHost: a") == 7
