"""What holds for all bytes: one outcome however they are cut, nothing raised but refusals, grammars met exactly."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import effort
from tests.http1 import strategies
from tests.http1.vectors import GET, chunked, drip, head, outcome, play, same
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import HeadLimits

pytestmark = pytest.mark.timeout(900)

SMALL = HeadLimits(request_line_bytes=24, header_section_bytes=60, header_fields=4)

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
BWS = rb"[ \t]*"
CHUNK_EXT = re.compile(
    rb"(?:%b;%b%b(?:%b=%b(?:%b|%b))?)*" % (BWS, BWS, TOKEN, BWS, BWS, TOKEN, QUOTED)  # RFC 9112 section 7.1.1
)
REG_NAME = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986, without the comma
PORT = re.compile(rb":[0-9]{0,5}|")


@given(strategies.spoilt, st.integers(0, 500), st.integers(0, 500), st.sampled_from([HeadLimits(), SMALL]))
@effort(150)
def test_the_outcome_does_not_depend_on_the_cuts(octets: bytes, one: int, other: int, limits: HeadLimits) -> None:
    first, second = sorted((one % (len(octets) + 1), other % (len(octets) + 1)))
    lines = FieldLineCache()

    whole = play([octets], limits, lines)

    assert same(play([octets[:first], octets[first:second], octets[second:]], limits, lines), whole)
    assert same(play(drip(octets), limits, lines, asks=2), whole)


@given(
    st.lists(
        st.one_of(st.binary(max_size=8), st.sampled_from([b"\r\n", b"GET ", b"HTTP/1.1", b"Host: a"])), max_size=12
    )
)
@effort(200)
def test_nothing_is_raised_but_refusals(pieces: list[bytes]) -> None:
    """`play` checks each refusal's status and words, and lets everything else through."""
    outcome(b"".join(pieces))


EXTENSION_PARTS = [
    b";x",
    b"; x",
    b"=x",
    b"= y ",
    b'="x"',
    b';x="\\"',
    b'"',
    *(b"%c" % octet for octet in b"; =\tx\\\r\x00\x7f\xe9"),
]


@given(st.lists(st.sampled_from(EXTENSION_PARTS), max_size=6).map(b"".join))
@effort(300)
def test_chunk_extensions_are_held_to_their_grammar(extension: bytes) -> None:
    end = play([chunked(b"2" + extension + b"\r\nok\r\n0\r\n\r\n")])

    assert (len(end.messages) == 1) == bool(CHUNK_EXT.fullmatch(extension))
    assert end.messages or end.status == 400


def is_host(value: bytes) -> bool:
    """RFC 9110 section 7.2 by other means: uri-host with the address checked by the standard library."""
    literal = re.fullmatch(rb"\[([0-9A-Fa-f:.]*)\](.*)", value)
    if literal:
        address, port = literal.groups()
        try:
            ipaddress.IPv6Address(address.decode())
        except ValueError:
            return False
    else:
        name = REG_NAME.match(value)
        if not name:
            return False
        port = value[name.end() :]
    return bool(PORT.fullmatch(port)) and int(port[1:] or b"0") <= 65535


@given(
    st.one_of(
        st.lists(st.sampled_from(list(b"aF19.:[]%-_@,/ \xe9")), max_size=10).map(bytes),
        st.lists(st.sampled_from([b":", b"::", b"1", b"db8", b"ffff", b"192.0.2.1", b"12345"]), max_size=10).map(
            lambda parts: b"[" + b"".join(parts) + b"]"
        ),
        st.ip_addresses(v=6).map(lambda address: b"[" + str(address).encode() + b"]"),
        st.integers(65530, 65540).map(lambda port: b"a:%d" % port),
    )
)
@effort(300)
def test_host_is_held_to_its_grammar(value: bytes) -> None:
    end = play([head(GET, b"Host:" + value)])

    assert (len(end.messages) == 1) == is_host(value.strip(b" \t"))
    assert end.messages or end.status == 400
