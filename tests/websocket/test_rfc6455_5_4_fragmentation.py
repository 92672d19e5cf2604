"""RFC 6455 section 5.4: messages in fragments, with control frames between them."""

from __future__ import annotations

import pytest

from tests.websocket.vectors import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    accepted,
    failed,
    frame,
    outcome,
    text,
)
from whorl.wire.websocket.events import Ping, Pong
from whorl.wire.websocket.protocol import State


def fragments(opcode: int, *parts: bytes) -> list[bytes]:
    """The frames of one message."""
    opcodes = [opcode] + [CONTINUATION] * (len(parts) - 1)
    return [
        frame(kind, part, final=number == len(parts))
        for number, (kind, part) in enumerate(zip(opcodes, parts, strict=True), 1)
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [b"Hel", b"lo"],
        [b"H", b"e", b"l", b"l", b"o"],
        [b"", b"Hello"],
        [b"Hello", b""],
        [b"", b"Hel", b"", b"lo", b""],
        [b"Hello", *[b""] * 300],
        [b"x"] * 600,
        [b"x" * 130, b"y" * 70000],
    ],
)
def test_5_4_fragments_are_joined(parts: list[bytes]) -> None:
    whole = b"".join(parts)

    assert accepted(b"".join(fragments(TEXT, *parts))) == [whole.decode()]
    assert accepted(b"".join(fragments(BINARY, *parts))) == [whole]


@pytest.mark.parametrize("parts", [[b"", b""], [b""] * 3])
def test_5_4_a_message_of_empty_fragments_is_empty(parts: list[bytes]) -> None:
    assert accepted(b"".join(fragments(TEXT, *parts) + fragments(BINARY, *parts))) == ["", b""]


def test_5_4_messages_in_fragments_follow_each_other() -> None:
    octets = fragments(TEXT, b"a", b"b") + fragments(BINARY, b"c", b"d") + [text("e")] + fragments(TEXT, b"f", b"g")

    assert accepted(b"".join(octets)) == ["ab", b"cd", "e", "fg"]


def test_5_4_control_frames_stand_between_fragments() -> None:
    one, two, three = fragments(TEXT, b"one", b"two", b"three")
    octets = one + frame(PING, b"a") + frame(PONG) + two + frame(PING, b"") + three

    end = outcome(octets)

    assert end.events == (Ping(b"a"), Pong(b""), Ping(b""), "onetwothree")
    assert end.pongs == b"\x8a\x01a\x8a\x00"


def test_5_4_a_message_whose_end_has_not_come_is_waited_for() -> None:
    end = outcome(b"".join(fragments(TEXT, b"one", b"two", b"three")[:2]))

    assert end.events == ()
    assert end.state is State.OPEN


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_5_4_a_continuation_continues_something(payload: bytes, final: bool) -> None:
    assert failed(frame(CONTINUATION, payload, final=final)) == 1002


def test_5_4_a_message_that_has_ended_is_not_continued() -> None:
    assert outcome(text("one") + frame(CONTINUATION, b"more")).fault == 1002
    assert outcome(b"".join(fragments(TEXT, b"a", b"b")) + frame(CONTINUATION, b"more")).fault == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_5_4_messages_do_not_interleave(opcode: int, final: bool, payload: bytes) -> None:
    assert failed(frame(TEXT, b"one", final=False) + frame(opcode, payload, final=final)) == 1002


def test_5_4_what_came_before_a_fault_is_given() -> None:
    end = outcome(text("one") + frame(PING, b"two") + frame(CONTINUATION, b"three") + text("four"))

    assert end.events[:2] == ("one", Ping(b"two"))
    assert end.fault == 1002
    assert len(end.events) == 3
