"""RFC 9110: what three request fields mean for the exchange: Expect (10.1.1), TE (10.1.4) and Upgrade (7.8)."""

from __future__ import annotations

import pytest

from tests.http1.vectors import CHUNKED, HOST, POST, accepted, get, head, outcome, refused

EXPECT = b"Expect: 100-continue"


@pytest.mark.parametrize(
    "value", [b"100-continue", b"100-Continue", b"100-CONTINUE", b" 100-continue\t", b"100-continue,"]
)
def test_10_1_1_the_expectation_is_told(value: bytes) -> None:
    end = outcome(head(POST, HOST, b"Expect: " + value, b"Content-Length: 2"))

    assert end.partial is not None
    assert end.partial.expects_continue


def test_10_1_1_without_the_field_nobody_waits() -> None:
    assert not accepted(get()).expects_continue


def test_10_1_1_the_head_is_known_before_the_body_comes() -> None:
    assert outcome(head(POST, HOST, EXPECT, CHUNKED)).partial is not None


@pytest.mark.parametrize(
    "value",
    [b"100", b"100-continued", b"200-ok", b"100-continue;a", b"x", b"100-continue, x", b'"100-continue"', b"\xe9"],
)
def test_10_1_1_another_expectation_is_417(value: bytes) -> None:
    assert refused(get(b"Expect: " + value)) == 417
    assert refused(get(EXPECT, b"Expect: " + value)) == 417
    assert refused(get(b"Expect: " + value, EXPECT)) == 417


def test_10_1_1_a_list_of_two_is_two_lines() -> None:
    assert accepted(get(EXPECT, EXPECT)).expects_continue
    assert accepted(get(EXPECT + b", 100-continue")).expects_continue


@pytest.mark.parametrize("value", [b"100-continue", b"x"])
def test_10_1_1_http_1_0_has_no_expectations(value: bytes) -> None:
    assert not accepted(head(b"POST / HTTP/1.0", HOST, b"Expect: " + value)).expects_continue


@pytest.mark.parametrize(
    ("values", "accepts"),
    [
        ([b"trailers"], True),
        ([b"Trailers"], True),
        ([b"gzip, trailers"], True),
        ([b"gzip;q=0.5,trailers"], True),
        ([b"gzip", b"trailers"], True),
        ([b"trailers", b"gzip"], True),
        ([b""], False),
        ([b"gzip"], False),
        ([b"xtrailers"], False),
        ([b"chunked"], False),
    ],
)
def test_10_1_4_te_tells_whether_trailers_are_understood(values: list[bytes], accepts: bool) -> None:
    assert accepted(get(*(b"TE: " + value for value in values))).accepts_trailers is accepts


@pytest.mark.parametrize(
    ("lines", "upgrade"),
    [
        ([b"Connection: Upgrade", b"Upgrade: websocket"], b"websocket"),
        ([b"Upgrade: WebSocket", b"Connection: keep-alive, upgrade"], b"WebSocket"),
        ([b"Connection: Upgrade", b"Upgrade: h2c, websocket"], b"h2c, websocket"),
        ([b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket"], b"h2c, websocket"),
        ([b"Upgrade: websocket"], b""),
        ([b"Connection: Upgrade"], b""),
        ([b"Connection: x", b"Upgrade: websocket"], b""),
        ([b"Connection: upgrades", b"Upgrade: websocket"], b""),
    ],
)
def test_7_8_upgrade_counts_where_connection_names_it(lines: list[bytes], upgrade: bytes) -> None:
    assert accepted(get(*lines)).upgrade == upgrade


def test_7_8_http_1_0_has_no_upgrade() -> None:
    octets = head(b"GET / HTTP/1.0", HOST, b"Connection: upgrade, keep-alive", b"Upgrade: websocket")

    assert accepted(octets).upgrade == b""


def test_7_8_the_body_of_a_request_to_upgrade_is_read_like_any_other() -> None:
    octets = head(POST, HOST, b"Connection: Upgrade", b"Upgrade: foo", b"Content-Length: 2") + b"ok"

    assert accepted(octets).body == b"ok"
