"""RFC 9112 section 5: field lines, from the first byte of the name to the last of the value."""

from __future__ import annotations

import pytest

from tests.http1.vectors import GET, accepted, get, head, refused

TCHAR = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CONTROLS = [*(octet for octet in range(0x20) if octet != 0x09), 0x7F]


def test_5_names_are_lower_case_and_order_and_repetition_stand() -> None:
    message = accepted(head(GET, b"X-B: 1", b"Accept: a", b"HOST: a", b"x-b: 2", b"ACCEPT: b", b"X-A:"))

    assert message.fields == (
        (b"x-b", b"1"),
        (b"accept", b"a"),
        (b"host", b"a"),
        (b"x-b", b"2"),
        (b"accept", b"b"),
        (b"x-a", b""),
    )


def test_5_two_fields_of_one_name_are_not_joined() -> None:
    assert accepted(get(b"Cookie: a=1", b"Cookie: b=2")).values(b"cookie") == [b"a=1", b"b=2"]


@pytest.mark.parametrize("line", [b"X", b"Host", b"X 1", b"Content-Length 3", b"Accept"])
def test_5_a_field_line_has_a_colon(line: bytes) -> None:
    assert refused(get(line)) == 400


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X:a", b"a"),
        (b"X: a", b"a"),
        (b"X:\t a", b"a"),
        (b"X: a \t ", b"a"),
        (b"X:    ", b""),
        (b"X:", b""),
        (b"X: a  b\tc", b"a  b\tc"),
        (b"X: a:b: c", b"a:b: c"),
        (b"X::", b":"),
        (b'X: "a, b"', b'"a, b"'),
        (b"X:" + b" " * 300 + b"a", b"a"),
    ],
)
def test_5_1_white_space_around_a_value_is_no_part_of_it(line: bytes, value: bytes) -> None:
    assert accepted(get(line)).values(b"x") == [value]


@pytest.mark.parametrize("name", [b"X", b"Host", b"Content-Length", b"Transfer-Encoding", b"Cookie", b"content-length"])
def test_5_1_white_space_before_the_colon_is_refused(name: bytes) -> None:
    for space in (b" ", b"\t", b" \t "):
        assert refused(get(name + space + b": 3")) == 400


@pytest.mark.parametrize("line", [b":", b": a", b":host: a"])
def test_5_1_a_field_has_a_name(line: bytes) -> None:
    assert refused(get(line)) == 400


@pytest.mark.parametrize("name", [b"X%cy", b"%cX", b"X%c"])
def test_5_1_a_name_is_a_token(name: bytes) -> None:
    for octet in range(256):
        if octet not in TCHAR + b":":
            assert refused(get(name % octet + b": a")) == 400


def test_5_1_a_name_may_hold_every_octet_of_a_token() -> None:
    assert accepted(get(TCHAR + b": a")).values(TCHAR.lower()) == [b"a"]


@pytest.mark.parametrize("name", [b"X", b"Accept", b"Cookie", b"Content-Length", b"Host"])
@pytest.mark.parametrize("value", [b"a%cb", b"%ca", b"a%c"])
def test_5_5_a_value_holds_no_control_character(name: bytes, value: bytes) -> None:
    for octet in CONTROLS:
        assert refused(get(name + b": " + value % octet)) == 400


def test_5_5_a_value_may_hold_everything_else_and_text_that_is_not_ascii() -> None:
    for octet in range(256):
        if octet not in CONTROLS:
            value = b"a%cb" % octet
            assert accepted(get(b"X: " + value)).values(b"x") == [value]


def test_5_5_white_space_that_is_not_http_s_belongs_to_the_value() -> None:
    assert accepted(get(b"X: \xa0a\x85")).values(b"x") == [b"\xa0a\x85"]


@pytest.mark.parametrize("space", [b" ", b"\t"])
def test_5_2_a_folded_line_is_refused(space: bytes) -> None:
    assert refused(get(b"X: a", space + b"b")) == 400
    assert refused(get(b"X: a", space)) == 400
    assert refused(get(b"X: a", space + b"Content-Length: 3")) == 400
    assert refused(get(b"X:", space + b"a: b")) == 400
