"""Runs a client's bytes through a `Connection` and says what came of them.

`outcome` is what the tests of this folder call: it plays the bytes whole, cut in two at every place, one by one, and
with events taken one at a time, and insists that each way ends the same. What a failure must look like is checked here
too, once for all tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle

from whorl.wire.websocket.deflate import Deflate
from whorl.wire.websocket.events import Close, Event
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.frames import Octets
from whorl.wire.websocket.protocol import Connection, State

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

LIMIT_BYTES = 1 << 20
KEY = bytes.fromhex("37fa213d")  # the key of the examples in RFC 6455 section 5.7

CODES = {1002, 1007, 1009}
REASON = re.compile(r"[A-Z][^\n]+ \(RFC \d{4} sections? \d+(\.\d+)*\)\.")

# Whatever is longer is not cut at each byte but near its ends; and it drips in pieces of a length that divides
# nothing.
EVERY_CUT_BYTES = 400
LONG_DRIP_BYTES = 97


def mask(payload: bytes, key: bytes = KEY) -> bytes:
    """Section 5.3, as it is written there."""
    return bytes(octet ^ other for octet, other in zip(payload, cycle(key), strict=False))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    key: bytes | None = KEY,
    length_octets: int | None = None,
) -> bytes:
    """A frame as a client sends it (section 5.2).

    Args:
        opcode: the opcode.
        payload: before it is masked.
        final: the bit FIN.
        reserved: the bits RSV1 to RSV3.
        key: the masking key; None for a frame without a mask.
        length_octets: how many bytes the extended length has: 0, 2 or 8; the shortest form if nothing is said.
    """
    length = len(payload)
    if length_octets is None:
        length_octets = 0 if length < 126 else 2 if length < 65536 else 8
    code = {0: length, 2: 126, 8: 127}[length_octets]
    first = (0x80 if final else 0) | reserved | opcode
    header = bytes((first, code | (0 if key is None else 0x80)))
    if length_octets:
        header += length.to_bytes(length_octets)
    return header + payload if key is None else header + key + mask(payload, key)


def text(words: str) -> bytes:
    """A text message in one frame."""
    return frame(TEXT, words.encode())


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A Close frame of a client."""
    return frame(CLOSE, reason if code is None else code.to_bytes(2) + reason)


@dataclass(frozen=True, slots=True)
class ServerFrame:
    """A frame as a client reads it."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F


def said(sent: Octets) -> bytes:
    """What was given to be sent, in one piece."""
    return sent if isinstance(sent, bytes) else b"".join(sent)


def server_frames(sent: Octets) -> list[ServerFrame]:
    """The frames that a server sent: whole ones, not masked, lengths in the shortest form."""
    octets = said(sent)
    frames = []
    at = 0
    while at < len(octets):
        first, length = octets[at], octets[at + 1]
        assert length < 0x80, "a server masks nothing"
        at += 2
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(octets[at : at + size])
            assert length > (125 if size == 2 else 0xFFFF)
            at += size
        assert at + length <= len(octets)
        frames.append(ServerFrame(first, octets[at : at + length]))
        at += length
    return frames


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure, which does not compare by itself."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some bytes.

    Attributes:
        events: messages, control frames, and the `Close` or the `Fault` that ended them.
        pongs: what answered the pings.
        state: where the connection is.
        waiting_bytes: bytes that were kept for later.
    """

    events: tuple[object, ...]
    pongs: bytes
    state: State
    waiting_bytes: int

    @property
    def fault(self) -> int | None:
        """The code of the failure, if there was one."""
        last = self.events[-1] if self.events else None
        return last.code if isinstance(last, Fault) else None


def seen(event: Event) -> object:
    """An event as it compares; a failure's code and words are checked."""
    if isinstance(event, Failure):
        assert event.code in CODES
        assert REASON.fullmatch(event.reason), event.reason
        assert len(event.reason.encode()) <= 123
        return Fault(event.code, event.reason)
    return event


def play(
    pieces: Iterable[bytes],
    limit_bytes: int = LIMIT_BYTES,
    deflate: Deflate | None = None,
    most_events: int | None = None,
    messages_first: bool = False,
) -> Outcome:
    """Give bytes to a connection of its own, piece by piece.

    Args:
        pieces: the bytes as they arrive.
        limit_bytes: the longest message.
        deflate: what was agreed about compression.
        most_events: how many events are taken at a time; all if nothing is said.
        messages_first: whether each piece is tried as a message alone first, as a session does.
    """
    connection = Connection(limit_bytes, deflate)
    events: list[object] = []
    for piece in pieces:
        if messages_first and (message := connection.read_message(piece)) is not None:
            events.append(message)
            continue
        if most_events is None:
            events += map(seen, connection.receive_data(piece))
            continue
        latest = connection.receive_data(piece, most_events)
        while latest:
            assert len(latest) <= most_events
            events += map(seen, latest)
            latest = connection.receive_data(b"", most_events)
    ends = [event for event in events if isinstance(event, (Close, Fault))]
    assert ends == events[-1:] if ends else connection.state is State.OPEN, events
    assert (connection.state is State.CLOSING_THEIRS) == bool(ends)
    return Outcome(tuple(events), connection.take_pongs(), connection.state, connection.buffered_bytes)


def drip(octets: bytes, drop_bytes: int = 1) -> list[bytes]:
    """The bytes in drops, one by one if nothing else is said."""
    return [octets[at : at + drop_bytes] for at in range(0, len(octets), drop_bytes)]


def cuts(octets: bytes) -> Iterator[int]:
    """Where to cut bytes in two: everywhere, or in long ones near both ends."""
    if len(octets) <= EVERY_CUT_BYTES:
        yield from range(1, len(octets))
    else:
        yield from (*range(1, 20), *range(len(octets) - 12, len(octets)))


def outcome(octets: bytes, limit_bytes: int = LIMIT_BYTES, deflate: Deflate | None = None) -> Outcome:
    """What comes of these bytes, however they are cut and however few events are taken at a time."""
    whole = play([octets], limit_bytes, deflate)
    assert play([octets], limit_bytes, deflate, 1) == whole
    assert play([octets], limit_bytes, deflate, messages_first=True) == whole
    for at in cuts(octets):
        parted = play([octets[:at], octets[at:]], limit_bytes, deflate, messages_first=True)
        assert parted == whole, f"cut at {at} of {octets!r}: {parted} instead of {whole}"
    drop_bytes = 1 if len(octets) <= EVERY_CUT_BYTES else LONG_DRIP_BYTES
    dripped = play(drip(octets, drop_bytes), limit_bytes, deflate)
    assert dripped == whole, f"dripping {octets!r}: {dripped} instead of {whole}"
    return whole


def accepted(octets: bytes, limit_bytes: int = LIMIT_BYTES, deflate: Deflate | None = None) -> list[object]:
    """The events that these bytes are, to the last byte, none of them the end."""
    end = outcome(octets, limit_bytes, deflate)
    assert end.state is State.OPEN, end.events
    assert end.waiting_bytes == 0
    return list(end.events)


def failed(octets: bytes, limit_bytes: int = LIMIT_BYTES, deflate: Deflate | None = None) -> int:
    """The code with which these bytes fail; nothing came of them before."""
    end = outcome(octets, limit_bytes, deflate)
    assert end.fault is not None, f"not failed: {end}"
    assert len(end.events) == 1
    return end.fault


def octets_until_failed(octets: bytes, limit_bytes: int = LIMIT_BYTES, deflate: Deflate | None = None) -> int | None:
    """How many bytes a client that sends them one by one gets rid of before the failure; None if there is none."""
    connection = Connection(limit_bytes, deflate)
    for sent, octet in enumerate(drip(octets), 1):
        if any(isinstance(event, Failure) for event in connection.receive_data(octet)):
            return sent
    return None
