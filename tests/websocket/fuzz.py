"""A fuzzer for the WebSocket wire rules: `python -m tests.websocket.fuzz --seconds 30 --seed 7`.

It makes what a client may send of frames, whole, fragmented, compressed and faulty, and spoils some bytes. It asks
four things of whatever comes out: nothing is raised, the outcome does not depend on how the bytes are cut, a failure
has a code and a reason and can be answered, and the package `websockets` reads the same (`differences`).
"""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Iterator

from tests.fuzzing import run
from tests.websocket.differences import unexplained
from tests.websocket.faults import FAULTS
from tests.websocket.vectors import (
    BINARY,
    CONTINUATION,
    LIMIT_BYTES,
    PING,
    PONG,
    RSV1,
    TEXT,
    Fault,
    Outcome,
    close,
    drip,
    frame,
    play,
)
from whorl.wire.websocket.deflate import Deflate, DeflateSettings, negotiate
from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.protocol import Connection, State

LIMITS = (LIMIT_BYTES, 100)
AGREED = negotiate([Extension("permessage-deflate")], DeflateSettings())
WORDS = ("", "a", "word ", "é", "\u20ac", "\U0001f600", "\0")
FAULTY = [fault.octets for fault in FAULTS.values() if len(fault.octets) < 1000]
# What stands where something is decided: first bytes, lengths, and the beginnings and ends of characters and blocks.
SPOILS = (b"", b"\x80", b"\x81", b"\x00", b"\xc1", b"\xfe", b"\xff", b"\xfd", b"\x7e", b"\x03\x00", b"\xc3", b"\xed")


def inputs(seed: int) -> Iterator[bytes]:
    """Bytes without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        stream = zlib.compressobj(wbits=-chance.randrange(9, 16))
        octets = b"".join(part(chance, stream) for _ in range(chance.choice((1, 1, 2, 3, 5))))
        for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
            at = chance.randrange(len(octets) + 1)
            put = chance.choice(SPOILS) if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 9))
            octets = octets[:at] + put + octets[at + chance.choice((0, 1, 1, 2, 6)) :]
        yield octets


def part(chance: random.Random, stream: zlib._Compress) -> bytes:
    """A message, a control frame, or a fault."""
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(FAULTY)
    if kind < 0.2:
        return frame(chance.choice((PING, PONG)), chance.randbytes(chance.choice((0, 3, 125))))
    if kind < 0.25:
        return close(chance.choice((None, 1000, 1001, 3000)))
    opcode = chance.choice((TEXT, TEXT, BINARY))
    data = "".join(chance.choices(WORDS, k=chance.choice((0, 1, 5, 60)))).encode()
    reserved = 0
    if chance.random() < 0.5:
        data = (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
        reserved = RSV1
    octets = b""
    while chance.random() < 0.4:
        at = chance.randrange(len(data) + 1)
        octets += frame(opcode, data[:at], final=False, reserved=reserved)
        if chance.random() < 0.3:
            octets += frame(PING, b"within")
        opcode, reserved, data = CONTINUATION, 0, data[at:]
    return octets + frame(opcode, data, reserved=reserved)


def fault(octets: bytes) -> str:
    """What is wrong with the reading of these bytes; empty if nothing is."""
    try:
        for limit_bytes in LIMITS:
            for deflate in (None, AGREED):
                text = dependence(octets, limit_bytes, deflate) or unanswered(octets, limit_bytes, deflate)
                if text:
                    return f"{text}, limit {limit_bytes}, {deflate}"
        return unexplained(octets)
    except Exception as error:  # what a fuzzer is for: every one of them is a finding
        return f"{type(error).__name__}: {error}"


def dependence(octets: bytes, limit_bytes: int, deflate: Deflate | None) -> str:
    """How the outcome depends on the cuts, or on how many events are taken at a time."""
    whole = play([octets], limit_bytes, deflate)
    # Where to cut follows from the bytes, so that a literal is enough to see a fault again.
    chance = random.Random(octets)
    first, second = sorted(chance.choices(range(len(octets) + 1), k=2))
    for pieces in ([octets[:first], octets[first:second], octets[second:]], drip(octets)):
        parted = play(pieces, limit_bytes, deflate, chance.choice((None, 1, 2)))
        if not same(parted, whole, deflate):
            return f"in {len(pieces)} pieces, cut at {first} and {second}: {parted} instead of {whole}"
    return ""


def same(one: Outcome, other: Outcome, deflate: Deflate | None) -> bool:
    """Whether two outcomes are one. How much of a compressed message zlib reads before a fault is its own affair, so of
    two faults either may be told."""
    if deflate is None:
        return one == other
    pairs = zip(one.events, other.events, strict=True)
    return len(one.events) == len(other.events) and all(a == b or {type(a), type(b)} == {Fault} for a, b in pairs)


def unanswered(octets: bytes, limit_bytes: int, deflate: Deflate | None) -> str:
    """Whether it cannot be closed afterwards, with what the peer is owed."""
    connection = Connection(limit_bytes, deflate)
    events = connection.receive_data(octets)
    ended = connection.state is State.CLOSING_THEIRS
    answer = connection.close(1001, "mine")
    last = events[-1] if events else None
    if not answer or (ended and isinstance(last, Failure) and last.code != int.from_bytes(answer[2:4])):
        return f"{last} is answered with {answer!r}"
    return "" if connection.state is (State.CLOSED if ended else State.CLOSING_OURS) else connection.state.name


if __name__ == "__main__":
    sys.exit(run("tests.websocket.fuzz", sys.argv[1:], inputs, fault, fault))
