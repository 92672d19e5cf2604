"""RFC 9112 section 9: how long a connection lives, and requests sent ahead of their answers."""

from __future__ import annotations

import pytest

from tests.http1.vectors import CHUNKED, GET, HOST, POST, accepted, chunked, get, head, outcome, play, refused

GET_1_0 = b"GET / HTTP/1.0"


@pytest.mark.parametrize(
    ("line", "connection", "keep_alive"),
    [
        (GET, [], True),
        (GET, [b"keep-alive"], True),
        (GET, [b"close"], False),
        (GET, [b"Close"], False),
        (GET, [b"CLOSE"], False),
        (GET, [b"keep-alive, close"], False),
        (GET, [b"close, keep-alive"], False),
        (GET, [b"x,\tclose ,y"], False),
        (GET, [b",,close"], False),
        (GET, [b"keep-alive", b"close"], False),
        (GET, [b"close", b"keep-alive"], False),
        (GET, [b"closed"], True),
        (GET, [b"close;a"], True),
        (GET, [b"x-close"], True),
        (GET, [b""], True),
        (GET, [b"upgrade"], True),
        (GET_1_0, [], False),
        (GET_1_0, [b"keep-alive"], True),
        (GET_1_0, [b"Keep-Alive"], True),
        (GET_1_0, [b"x, keep-alive"], True),
        (GET_1_0, [b"keep-alive", b"close"], False),
        (GET_1_0, [b"close, keep-alive"], False),
        (GET_1_0, [b"close"], False),
        (GET_1_0, [b"x"], False),
        (b"GET / HTTP/1.2", [], True),
        (b"GET / HTTP/1.2", [b"close"], False),
    ],
)
def test_9_3_persistence(line: bytes, connection: list[bytes], keep_alive: bool) -> None:
    octets = head(line, HOST, *(b"Connection: " + value for value in connection))

    assert accepted(octets).keep_alive is keep_alive


def test_9_3_another_field_says_nothing_about_persistence() -> None:
    assert accepted(get(b"Proxy-Connection: close", b"Keep-Alive: timeout=0")).keep_alive
    assert not accepted(head(GET_1_0, HOST, b"Proxy-Connection: keep-alive")).keep_alive


@pytest.mark.parametrize("count", [2, 3, 7])
def test_9_3_2_pipelined_requests_come_in_order(count: int) -> None:
    octets = b"".join(head(b"GET /%d HTTP/1.1" % at, HOST) for at in range(count))

    end = outcome(octets)

    assert [message.target for message in end.messages] == [b"/%d" % at for at in range(count)]
    assert end.waiting_bytes == 0


def test_9_3_2_requests_of_every_kind_of_body_in_one_line() -> None:
    octets = (
        get()
        + head(POST, HOST, b"Content-Length: 3")
        + b"\r\n\r"
        + chunked(b"3\r\nGET\r\n0\r\nX: y\r\n\r\n")
        + head(b"POST / HTTP/1.0", b"Content-Length: 2", b"Connection: keep-alive")
        + b"ok"
        + head(POST, HOST, b"Content-Length: 0")
        + b"\r\n"
        + head(b"HEAD / HTTP/1.1", HOST, CHUNKED)
        + b"0\r\n\r\n"
        + get(b"Connection: close")
    )

    end = outcome(octets)

    assert [(message.method, message.body) for message in end.messages] == [
        ("GET", b""),
        ("POST", b"\r\n\r"),
        ("POST", b"GET"),
        ("POST", b"ok"),
        ("POST", b""),
        ("HEAD", b""),
        ("GET", b""),
    ]
    assert end.messages[-1].end == len(octets)


def test_9_3_2_a_bad_request_does_not_spoil_those_before_it() -> None:
    end = outcome(get() + chunked(b"0\r\n\r\n") + head(GET) + get())

    assert len(end.messages) == 2
    assert end.status == 400


def test_9_3_2_a_request_that_is_not_complete_is_kept() -> None:
    end = outcome(get() + get() + b"GET / HT")

    assert len(end.messages) == 2
    assert end.waiting_bytes == 8


def test_9_3_2_a_request_that_came_in_pieces_leaves_the_next_one_alone() -> None:
    """The next one comes whole, after everything before it was read: alone, or with an empty line before it."""
    for first in (get(b"X: yyyyyyyyyyyyyyyyyyyyyyyy"), b"\r\n" * 4 + get(), chunked(b"2\r\nok\r\n0\r\n\r\n")):
        for at in range(1, len(first)):
            for second in (get(), b"\r\n" + get()):
                end = play([first[:at], first[at:], second])
                assert [message.fields[0] for message in end.messages] == [(b"host", b"a")] * 2, (at, end)


@pytest.mark.parametrize("hidden", [b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n"])
def test_9_3_2_a_body_is_no_request_however_it_looks(hidden: bytes) -> None:
    by_length = head(POST, HOST, b"Content-Length: %d" % len(hidden)) + hidden
    by_chunks = chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden))

    assert accepted(by_length).body == hidden
    assert accepted(by_chunks).body == hidden


def test_9_3_2_a_body_longer_than_its_length_is_the_start_of_the_next_request() -> None:
    end = outcome(head(POST, HOST, b"Content-Length: 2") + b"ok" + b"@@")

    assert len(end.messages) == 1
    assert end.status == 400


def test_9_6_what_follows_close_is_left_alone() -> None:
    end = outcome(get(b"Connection: close") + b"\x00\x00 no HTTP")

    assert len(end.messages) == 1
    assert end.status is None


@pytest.mark.parametrize("value", [b"close", b"keep-alive"])
def test_9_6_connection_names_are_checked_like_every_value(value: bytes) -> None:
    assert refused(get(b"Connection: " + value + b"\x00")) == 400
