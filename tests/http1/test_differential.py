"""Whorl beside h11 and httptools: what several accept, they must read as one; what one refuses must be on the list of
`differences`."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import effort
from tests.http1 import strategies
from tests.http1.corpus import SEEDS
from tests.http1.differences import STRICTER, unexplained
from tests.http1.oracles import ORACLES, Reading, Verdict, read_whorl
from tests.http1.vectors import HOST, POST, head, play

pytestmark = pytest.mark.timeout(900)


@given(strategies.requests())
@effort(100)
def test_a_valid_request_is_read_as_it_was_meant(request: tuple[bytes, Reading]) -> None:
    octets, meant = request

    assert read_whorl(octets + b"GET / HTTP/1.1\r\n") == meant


@given(strategies.requests())
@effort(100)
def test_a_valid_request_is_read_alike_by_all(request: tuple[bytes, Reading]) -> None:
    octets, _ = request

    assert unexplained(octets) == []


@given(st.lists(strategies.requests(), min_size=2, max_size=4), st.lists(st.integers(0, 500), max_size=4))
@effort(60)
def test_requests_in_a_line_are_read_one_by_one_however_they_are_cut(
    requests: list[tuple[bytes, Reading]], places: list[int]
) -> None:
    octets = b"".join(request for request, _ in requests)
    marks = [0, *sorted(place % len(octets) for place in places), len(octets)]

    messages = play([octets[start:end] for start, end in pairwise(marks)]).messages

    assert [(message.target, message.fields, message.body) for message in messages] == [
        (meant.target, tuple(meant.fields), meant.body) for _, meant in requests
    ]


@given(strategies.spoilt)
@effort(200)
def test_a_spoilt_request_is_read_alike_by_all_who_accept_it(octets: bytes) -> None:
    assert unexplained(octets) == []


@pytest.mark.parametrize("octets", SEEDS)
def test_the_seeds_are_read_alike(octets: bytes) -> None:
    assert unexplained(octets) == []


SMUGGLING = {
    "CL and TE": head(POST, HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\nGET",
    "two lengths": head(POST, HOST, b"Content-Length: 5", b"Content-Length: 5") + b"hello",
    "a list of lengths": head(POST, HOST, b"Content-Length: 5, 5") + b"hello",
    "chunks in HTTP/1.0": head(b"POST / HTTP/1.0", HOST, b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "a folded coding": head(POST, HOST, b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n",
    "an unread coding": head(b"GET / HTTP/1.1", HOST, b"Connection: upgrade", b"Upgrade: x", b"Transfer-Encoding: a"),
    "bare LF": b"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
    "a tunnel": head(b"CONNECT a:1 HTTP/1.1", b"Host: a:1"),
    "no Host": head(b"GET / HTTP/1.1"),
    "HTTP/0.9": b"GET /\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_what_an_oracle_lets_through_is_refused_and_on_the_list(name: str) -> None:
    octets = SMUGGLING[name]
    ours = read_whorl(octets)
    lenient = [oracle for oracle, read in ORACLES.items() if read(octets).verdict is Verdict.ACCEPTED]

    assert ours.verdict is Verdict.REFUSED
    assert lenient, "no oracle accepts this any more: it shows nothing"
    assert all(ours.reason.startswith(tuple(STRICTER[oracle])) for oracle in lenient)
