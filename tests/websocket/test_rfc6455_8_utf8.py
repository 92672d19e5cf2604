"""RFC 6455 section 8.1 and RFC 3629: text is UTF-8, and where it is not the connection fails at the first wrong
byte."""

from __future__ import annotations

import re
from itertools import product

import pytest

from tests.websocket.vectors import BINARY, CONTINUATION, TEXT, accepted, failed, frame, octets_until_failed, outcome
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.message import TextMessage

# UTF8-char (RFC 3629 section 4), and what can become one.
TAIL = rb"[\x80-\xbf]"
CHARACTER = re.compile(
    rb"""[\x00-\x7f] | [\xc2-\xdf] T | \xe0 [\xa0-\xbf] T | [\xe1-\xec\xee\xef] T T | \xed [\x80-\x9f] T
    | \xf0 [\x90-\xbf] T T | [\xf1-\xf3] T T T | \xf4 [\x80-\x8f] T T""".replace(b"T", TAIL),
    re.VERBOSE,
)
BEGINNING = re.compile(
    rb"""[\xc2-\xdf\xe1-\xec\xee\xef\xf1-\xf3] | \xe0 [\xa0-\xbf]? | \xed [\x80-\x9f]? | [\xe1-\xec\xee\xef] T
    | \xf0 (?: [\x90-\xbf] T? )? | [\xf1-\xf3] T T? | \xf4 (?: [\x80-\x8f] T? )?""".replace(b"T", TAIL),
    re.VERBOSE,
)

# The ends of each range above.
EDGES = bytes.fromhex("00 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")


def first_wrong(octets: bytes) -> int | None:
    """The number of the first byte after which no text can come of these; None if one can."""
    at = 0
    while match := CHARACTER.match(octets, at):
        at = match.end()
    for end in range(at + 1, len(octets) + 1):
        if not BEGINNING.fullmatch(octets, at, end):
            return end
    return None


def octets_until_refused(octets: bytes) -> int | None:
    message = TextMessage(100, None)
    for sent in range(len(octets)):
        try:
            message.add(octets[sent : sent + 1])
        except Failure:
            return sent + 1
    return None


@pytest.mark.parametrize("length", [1, 2, 3])
def test_8_1_the_first_wrong_octet_is_found(length: int) -> None:
    for octets in map(bytes, product(EDGES, repeat=length)):
        assert octets_until_refused(octets) == first_wrong(octets), octets.hex(" ")


@pytest.mark.parametrize("first", bytes.fromhex("f0 f1 f3 f4"))
def test_8_1_characters_of_four_octets(first: int) -> None:
    for tail in product(bytes.fromhex("41 7f 80 8f 90 bf c0"), repeat=3):
        octets = bytes((first, *tail))
        assert octets_until_refused(octets) == first_wrong(octets), octets.hex(" ")


@pytest.mark.parametrize(
    "words",
    ["κόσμε", "\U0001f600", "\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff", "\0\x7f\x80\u07ff\u0800", "\ufeffx"],
)
def test_8_1_text_may_be_cut_within_a_character(words: str) -> None:
    octets = words.encode()
    for at in range(len(octets) + 1):
        assert accepted(frame(TEXT, octets[:at], final=False) + frame(CONTINUATION, octets[at:])) == [words]


@pytest.mark.parametrize(
    ("octets", "end"),
    [
        (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13),
        (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 13),
        (b"x\x80", 2),
        (b"\xc0\xaf", 1),
        (b"\xe0\x9f\xbf", 2),
        (b"x" * 1000 + b"\xff" + b"x" * 1000, 1001),
    ],
)
def test_8_1_a_frame_fails_at_its_first_wrong_octet(octets: bytes, end: int) -> None:
    header_bytes = 6 if len(octets) < 126 else 8

    assert octets_until_failed(frame(TEXT, octets)) == header_bytes + end
    assert failed(frame(TEXT, octets)) == 1007


def test_8_1_a_later_fragment_fails_at_its_first_wrong_octet() -> None:
    one = frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4", final=False)
    two = frame(CONTINUATION, b"\x90\x80\x80", final=False)

    assert octets_until_failed(one + two) == len(one) + 7


@pytest.mark.parametrize("octets", [b"\xc3", b"x\xe2\x82", b"\xf0\x9f\x98"])
def test_8_1_a_message_does_not_end_within_a_character(octets: bytes) -> None:
    assert failed(frame(TEXT, octets)) == 1007
    assert failed(frame(TEXT, octets, final=False) + frame(CONTINUATION)) == 1007
    assert outcome(frame(TEXT, octets, final=False)).fault is None


def test_8_1_octets_need_not_be_utf8() -> None:
    assert accepted(frame(BINARY, b"\xff\xfe\xc3")) == [b"\xff\xfe\xc3"]
