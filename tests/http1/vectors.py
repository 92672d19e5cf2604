"""Runs bytes through a `RequestReader` and says what came of them.

`outcome` is what the tests of this folder call: it plays the bytes whole, cut in two at every place, and one by one
with every question asked twice, and insists that each way ends the same. `accepted` and `refused` say which end
is expected. What a refusal must look like is checked here too, once for all tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from whorl.http.error import HttpError
from whorl.http.request import EXPECT_CONTINUE, TE_TRAILERS, Field, Request
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import CLOSE, UPGRADE, HeadLimits
from whorl.wire.http1.reader import RequestReader

STATUSES = {400, 414, 417, 431, 501, 505}
REASON = re.compile(r"[A-Z][^\n]+ \(RFC \d{4} sections? \d+(\.\d+)*\)\.")

GET = b"GET / HTTP/1.1"
POST = b"POST / HTTP/1.1"
HOST = b"Host: a"
CHUNKED = b"Transfer-Encoding: chunked"

# Whatever is longer is not cut at each byte, but near its ends and its line ends; and it drips in pieces of a length
# that divides nothing.
EVERY_CUT_BYTES = 600
LONG_DRIP_BYTES = 97


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it was read.

    Attributes:
        end: how many bytes of the connection had been used when it was complete; -1 where it is not complete.
    """

    method: str
    target: bytes
    version: str
    fields: tuple[Field, ...]
    body: bytes
    keep_alive: bool
    expects_continue: bool
    accepts_trailers: bool
    upgrade: bytes
    end: int

    def values(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.fields if known == name]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some bytes.

    Attributes:
        messages: the complete requests in order.
        partial: the request whose body is not complete, with as much of it as came; None after a refusal.
        status: the refusal's status, or None.
        reason: the refusal's reason, or nothing.
        waiting_bytes: bytes that were kept for later; 0 after a refusal or after the last request of a connection.
    """

    messages: tuple[Message, ...]
    partial: Message | None
    status: int | None
    reason: str
    waiting_bytes: int


def _message(request: Request, body: Iterable[bytes], end: int) -> Message:
    flags = request.flags
    upgrade = b", ".join(value for name, value in request.fields if name == b"upgrade") if flags & UPGRADE else b""
    return Message(
        request.method,
        request.target,
        request.version,
        tuple(request.fields),
        b"".join(body),
        not flags & CLOSE,
        bool(flags & EXPECT_CONTINUE),
        bool(flags & TE_TRAILERS),
        upgrade,
        end,
    )


def _check_refusal(refusal: HttpError) -> None:
    """What every refusal is: one of a few statuses, and one sentence that names its section."""
    assert refusal.status in STATUSES, refusal.status
    assert REASON.fullmatch(refusal.reason), refusal.reason


def play(
    pieces: Iterable[bytes], limits: HeadLimits | None = None, lines: FieldLineCache | None = None, asks: int = 1
) -> Outcome:
    """Give a connection's bytes to a reader of its own, piece by piece, as a connection does.

    Args:
        pieces: the bytes as they arrive. What follows a request that ends the connection is left alone.
        limits: the reader's limits.
        lines: the field lines, for runs that share them.
        asks: how often an unanswered question is asked; asking again must change nothing.
    """
    reader = RequestReader(limits or HeadLimits(), lines or FieldLineCache())
    messages: list[Message] = []
    head: Request | None = None
    body: list[bytes] = []
    delivered = asked = 0
    try:
        for piece in pieces:
            reader.receive_data(piece)
            delivered += len(piece)
            asked = 0
            while asked < asks:
                if head is None:
                    head = reader.next_request()
                    body = []
                if head is not None:
                    body.append(reader.read_body())
                    if reader.has_unread_chunks:
                        continue  # as a connection does, in its next turn
                if head is None or not reader.body_complete:
                    asked += 1
                    continue
                messages.append(_message(head, body, delivered - reader.buffered_bytes))
                if head.flags & CLOSE:
                    return Outcome(tuple(messages), None, None, "", 0)
                head = None
    except HttpError as refusal:
        _check_refusal(refusal)
        return Outcome(tuple(messages), None, refusal.status, refusal.reason, 0)
    partial = _message(head, body, -1) if head is not None else None
    return Outcome(tuple(messages), partial, None, "", reader.buffered_bytes)


def drip(octets: bytes, drop_bytes: int = 1) -> list[bytes]:
    """The bytes in drops, one by one if nothing else is said."""
    return [octets[at : at + drop_bytes] for at in range(0, len(octets), drop_bytes)]


def cuts(octets: bytes) -> Iterator[int]:
    """Where to cut bytes in two: everywhere, or in long ones near both ends and near the line ends."""
    if len(octets) <= EVERY_CUT_BYTES:
        yield from range(1, len(octets))
        return
    near = {*range(1, 12), *range(len(octets) - 12, len(octets))}
    for line_end in list(re.finditer(b"\n", octets))[:5]:
        near.update(range(line_end.start() - 3, line_end.start() + 5))
    yield from sorted(at for at in near if 0 < at < len(octets))


def same(outcome: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are one: the same requests, and the same status, whatever the words of the refusal."""
    return (outcome.messages, outcome.partial, outcome.status, outcome.waiting_bytes) == (
        other.messages,
        other.partial,
        other.status,
        other.waiting_bytes,
    )


def outcome(octets: bytes, limits: HeadLimits | None = None) -> Outcome:
    """What comes of these bytes, however they are cut."""
    lines = FieldLineCache()
    whole = play([octets], limits, lines)
    for at in cuts(octets):
        parted = play([octets[:at], octets[at:]], limits, lines)
        assert same(parted, whole), f"cut at {at} of {octets!r}: {parted} instead of {whole}"
    drop_bytes = 1 if len(octets) <= EVERY_CUT_BYTES else LONG_DRIP_BYTES
    dripped = play(drip(octets, drop_bytes), limits, FieldLineCache(), asks=2)
    assert same(dripped, whole), f"dripping {octets!r}: {dripped} instead of {whole}"
    return whole


def accepted(octets: bytes, limits: HeadLimits | None = None) -> Message:
    """The one request that these bytes are, and nothing else."""
    end = outcome(octets, limits)
    assert end.status is None, end.reason
    assert end.partial is None
    assert end.waiting_bytes == 0
    (message,) = end.messages
    assert message.end == len(octets)
    return message


def refused(octets: bytes, limits: HeadLimits | None = None) -> int:
    """The status that answers these bytes, of which no request could be made."""
    end = outcome(octets, limits)
    assert end.status is not None, f"not refused: {end}"
    assert end.messages == ()
    return end.status


def octets_until_refused(octets: bytes, limits: HeadLimits | None = None) -> int | None:
    """How many bytes a client that sends them one by one gets rid of before the refusal; None if there is none."""
    reader = RequestReader(limits or HeadLimits(), FieldLineCache())
    for sent, octet in enumerate(drip(octets), 1):
        reader.receive_data(octet)
        try:
            assert reader.next_request() is None
        except HttpError:
            return sent
    return None


def head(*lines: bytes) -> bytes:
    """A head of these lines."""
    return b"\r\n".join(lines) + b"\r\n\r\n"


def get(*field_lines: bytes) -> bytes:
    """A GET with Host and these field lines."""
    return head(GET, HOST, *field_lines)


def chunked(body: bytes) -> bytes:
    """A POST whose body comes in chunks, these bytes."""
    return head(POST, HOST, CHUNKED) + body
