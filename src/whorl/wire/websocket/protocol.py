"""The server's side of a WebSocket connection that is open (RFC 6455 sections 5 to 7).

Bytes of the carrier go in, events come out; what is to be sent is given back as bytes, which the carrier writes in that
order. The carrier is whatever passes bytes on: an upgraded HTTP/1.1 connection, or a stream of HTTP/2.
"""

from __future__ import annotations

import sys
from enum import IntEnum

from whorl.wire.websocket.closing import ABNORMAL, NORMAL, decode_close, encode_close
from whorl.wire.websocket.deflate import MESSAGE_END, Deflate, Deflater, Inflater
from whorl.wire.websocket.events import Close, Event, Ping, Pong
from whorl.wire.websocket.failure import CANNOT_READ, NOT_UTF8, TOO_BIG, VIOLATION, Failure, NotOpen
from whorl.wire.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    LEAST_LONG_FRAME_BYTES,
    LENGTH_16,
    LENGTH_64,
    MASK,
    MOST_CONTROL_BYTES,
    MOST_HEADER_BYTES,
    MOST_MEDIUM_BYTES,
    MOST_MEDIUM_FRAME_BYTES,
    MOST_SHORT_FRAME_BYTES,
    OPCODE,
    PING,
    PONG,
    RESERVED,
    RSV1,
    SHORT_FRAMES,
    SHORT_HEADERS,
    SHORT_MASKED_HEADER_BYTES,
    TEXT,
    Octets,
    encode_frame,
    pack_16,
    pack_64,
    try_header,
    unpack_16,
    unpack_64,
)
from whorl.wire.websocket.mask import unmask, view
from whorl.wire.websocket.message import TOO_LONG, BinaryMessage, Message, TextMessage

__all__ = ["Connection", "State"]


class State(IntEnum):
    """How far the closing handshake is (section 7.1). Bit 0 says that we have ended our side, bit 1 that they have."""

    OPEN = 0b00
    CLOSING_OURS = 0b01  # we sent Close; theirs is due
    CLOSING_THEIRS = 0b10  # they sent Close or broke the protocol; ours is due, and messages may go before it
    CLOSED = 0b11


class Step(IntEnum):
    """What moves a connection on."""

    WE_CLOSE = 0
    THEY_END = 1  # by a Close frame, or by breaking the protocol
    CARRIER_ENDS = 2


NEXT_STATE = {
    (State.OPEN, Step.WE_CLOSE): State.CLOSING_OURS,
    (State.OPEN, Step.THEY_END): State.CLOSING_THEIRS,
    (State.OPEN, Step.CARRIER_ENDS): State.CLOSED,
    (State.CLOSING_OURS, Step.THEY_END): State.CLOSED,
    (State.CLOSING_OURS, Step.CARRIER_ENDS): State.CLOSED,
    (State.CLOSING_THEIRS, Step.WE_CLOSE): State.CLOSED,
    (State.CLOSING_THEIRS, Step.CARRIER_ENDS): State.CLOSED,
    (State.CLOSED, Step.CARRIER_ENDS): State.CLOSED,
}

OPEN = State.OPEN

# Plain integers, because each message is compared with them.
WE_ENDED = int(State.CLOSING_OURS)
THEY_ENDED = int(State.CLOSING_THEIRS)
WHOLE_TEXT = FIN | TEXT
WHOLE_BINARY = FIN | BINARY
WHOLE = (WHOLE_TEXT, WHOLE_BINARY)
SECOND_LESS_SIZE = MASK - 6  # of a short frame: its second byte has the length, its size the header as well
MASKED_16 = MASK | LENGTH_16
MASKED_64 = MASK | LENGTH_64
MOST_SHORT_BYTES = 125
TEXT_HEADERS = SHORT_HEADERS[TEXT]
BINARY_HEADERS = SHORT_HEADERS[BINARY]

MOST_LIMIT_BYTES = sys.maxsize - 1  # zlib is asked for one byte more than the limit


class Connection:
    """One WebSocket connection.

    Args:
        limit_bytes: the longest message that is taken, in bytes of data, after inflating; longer is 1009.
        deflate: what was agreed about compression; None for none.

    Attributes:
        state: how far the closing handshake is.
        pongs: the frames that answer pings. `take_pongs` gives them to whoever writes them.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_deflater",
        "_frames_left",
        "_inflater",
        "_is_final",
        "_key",
        "_limit_bytes",
        "_message",
        "_owed_code",
        "_owed_reason",
        "_remaining_bytes",
        "_reserved",
        "pongs",
        "state",
    )

    def __init__(self, limit_bytes: int, deflate: Deflate | None = None) -> None:
        self.state = State.OPEN
        self.pongs: list[bytes] = []
        self._limit_bytes = min(limit_bytes, MOST_LIMIT_BYTES)
        self._inflater = None if deflate is None else Inflater(deflate)
        self._deflater = None if deflate is None else Deflater(deflate)
        self._reserved = RESERVED if deflate is None else RESERVED ^ RSV1
        self._frames_left = sys.maxsize
        self._buffer = b""
        self._at = 0  # where in the buffer the unread bytes begin
        self._message: Message | None = None  # of which not all has come
        self._remaining_bytes = 0  # of the payload of the message's latest frame
        self._key = b""  # of that frame, as the payload's next byte needs it
        self._is_final = False  # whether that frame ends the message
        self._owed_code = NORMAL  # with which `close` answers in CLOSING_THEIRS
        self._owed_reason = ""

    @property
    def inflates(self) -> bool:
        """Whether the peer may compress what it sends."""
        return self._inflater is not None

    @property
    def buffered_bytes(self) -> int:
        """How much has come that was not read yet: the beginning of a frame, or what `most_events` left."""
        return len(self._buffer) - self._at if self._buffer else 0

    def allow(self, frames: int) -> None:
        """Read so many frames from now on, or parts of frames; the bytes of the others stay buffered."""
        self._frames_left = frames

    @property
    def is_stopped(self) -> bool:
        """Whether it has read as many as it may, and more has come."""
        return self._frames_left <= 0 and self.buffered_bytes > 0

    def read_message(self, data: bytes | memoryview) -> str | bytes | None:
        """Take bytes from the peer if they are one whole message in one frame, uncompressed, and nothing else.

        Most are. This is `receive_data` for them alone, at a third of the cost.

        Returns:
            The message. None where the bytes are anything else, or not what they should be: nothing was taken then,
            and `receive_data` is to have them.
        """
        if self.state is not OPEN or self._buffer or self._message is not None:
            return None
        # How long the frame is says how its header must be written (section 5.2).
        size = len(data)
        if size <= MOST_SHORT_FRAME_BYTES:
            first, second, key, payload = SHORT_FRAMES[size](data)
            if second != size + SECOND_LESS_SIZE or size - 6 > self._limit_bytes:
                return None
            payload = unmask(payload, key)
        elif size <= MOST_MEDIUM_FRAME_BYTES:
            first, second, length, key = unpack_16(data)
            if second != MASKED_16 or length != size - 8 or length > self._limit_bytes:
                return None
            payload = unmask(data[8:], key)
        elif size >= LEAST_LONG_FRAME_BYTES:
            first, second, length, key = unpack_64(data)
            if second != MASKED_64 or length != size - 14 or length > self._limit_bytes:
                return None
            payload = unmask(view(data)[14:], key)
        else:
            return None
        if first == WHOLE_TEXT:
            try:
                return payload.decode()
            except UnicodeDecodeError:
                return None
        return payload if first == WHOLE_BINARY else None

    def receive_data(self, data: bytes | memoryview, most_events: int = sys.maxsize) -> list[Event]:
        """Take bytes from the peer.

        Args:
            data: what has come; nothing, to go on with what is buffered.
            most_events: so many are read; the bytes of the others stay buffered. This is how a queue stays bounded.

        Returns:
            Messages, pings, pongs, and at last a `Close` or a `Failure`, in the order in which they came. Nothing is
            read after these two; `close` gives the frame that answers them, when what came before them is dealt with.
        """
        events: list[Event] = []
        if isinstance(data, memoryview):
            data = bytes(data)
        if self.state >= THEY_ENDED:
            return events
        at = 0
        if self._buffer:
            if data:
                data = self._buffer[self._at :] + data
            else:
                data, at = self._buffer, self._at
        try:
            at = self._read(data, at, events, most_events)
        except UnicodeDecodeError:
            self._fail(Failure(CANNOT_READ, NOT_UTF8), events)
        except Failure as failure:
            self._fail(failure, events)
        else:
            if at < len(data):
                self._keep(data, at)
            else:
                self._buffer = b""
        return events

    def receive_eof(self) -> list[Event]:
        """The carrier has ended, or is to be given up.

        Returns:
            `Close` with code 1006 where the peer had not ended its side (section 7.1.5), else nothing.
        """
        they_ended = self.state >= THEY_ENDED
        self._move(Step.CARRIER_ENDS)
        self._forget()
        return [] if they_ended else [Close(ABNORMAL, "")]

    def send_text(self, text: str) -> Octets:
        """The frame of a text message.

        Raises:
            NotOpen: our Close frame was sent before.
            UnicodeEncodeError: the text holds a lone surrogate, which UTF-8 cannot say.
        """
        payload = text.encode()
        if self._deflater is None and self.state is OPEN:
            size = len(payload)
            if size <= MOST_SHORT_BYTES:
                return TEXT_HEADERS[size] + payload
            if size <= MOST_MEDIUM_BYTES:
                return pack_16(WHOLE_TEXT, LENGTH_16, size) + payload
            return pack_64(WHOLE_TEXT, LENGTH_64, size), payload
        return self._send_message(TEXT, payload)

    def send_binary(self, data: bytes) -> Octets:
        """The frame of a binary message.

        Raises:
            NotOpen: our Close frame was sent before.
        """
        if self._deflater is None and self.state is OPEN:
            size = len(data)
            if size <= MOST_SHORT_BYTES:
                return BINARY_HEADERS[size] + data
            if size <= MOST_MEDIUM_BYTES:
                return pack_16(WHOLE_BINARY, LENGTH_16, size) + data
            return pack_64(WHOLE_BINARY, LENGTH_64, size), data
        return self._send_message(BINARY, data)

    def ping(self, payload: bytes = b"") -> bytes:
        """A ping (section 5.5.2); a `Pong` with the same payload answers it.

        Raises:
            NotOpen: our Close frame was sent before.
            ValueError: the payload is longer than 125 bytes.
        """
        return self._send_control(PING, payload)

    def pong(self, payload: bytes = b"") -> bytes:
        """A pong that answers no ping (section 5.5.3). It raises what `ping` raises."""
        return self._send_control(PONG, payload)

    def take_pongs(self) -> bytes:
        """What answers the pings that came since the last call; to be written at once."""
        octets = b"".join(self.pongs)
        self.pongs.clear()
        return octets

    def close(self, code: int = NORMAL, reason: str = "") -> bytes:
        """Our Close frame (section 5.5.1).

        Once the peer has ended its side the answer is what it is owed, whatever the arguments: its own code, or the
        code and reason of its failure. Where our Close frame was sent before there is nothing to send.

        Args:
            code: of section 7.4.1, or 3000 to 4999, or 1005 for a frame without a code.
            reason: for people who look for a fault; at most 123 bytes of UTF-8.

        Raises:
            ValueError: where code or reason cannot stand in a Close frame.
        """
        payload = encode_close(code, reason)
        if self.state & WE_ENDED:
            return b""
        if self.state is State.CLOSING_THEIRS:
            payload = encode_close(self._owed_code, self._owed_reason)
        self._move(Step.WE_CLOSE)
        return encode_frame(FIN | CLOSE, payload)

    def _move(self, step: Step) -> None:
        self.state = NEXT_STATE[self.state, step]

    def _read(self, data: bytes, at: int, events: list[Event], most_events: int) -> int:
        """Read frames as far as they have come, and say where the unread bytes begin."""
        size = len(data)
        while at < size and len(events) < most_events and self._frames_left > 0:
            self._frames_left -= 1
            message = self._message
            start = at + SHORT_MASKED_HEADER_BYTES
            if message is None and start <= size:
                # Most frames are a message by themselves, have come whole and are shorter than 64 KiB. These lines are
                # for them alone: they save half the cost of a short one. What is wrong is left to `try_header`.
                first = data[at]
                length = data[at + 1] - MASK
                if length == LENGTH_16:
                    length = data[at + 2] << 8 | data[at + 3]
                    start += 2
                    if length < LENGTH_16:
                        length = -1
                elif length == LENGTH_64:
                    length = -1
                end = start + length
                if first in WHOLE and 0 <= length <= self._limit_bytes and end <= size:
                    payload = unmask(data[start:end], data[start - 4 : start])
                    events.append(payload.decode() if first == WHOLE_TEXT else payload)
                    at = end
                    continue
            if message is not None and self._remaining_bytes:
                read_to = self._read_payload(message, data, at, events)
            else:
                read_to = self._read_frame(data, at, events)
            if read_to == at:
                break
            at = read_to
        return at

    def _read_frame(self, data: bytes, at: int, events: list[Event]) -> int:
        """Read a frame from its header on, and say where what follows it begins; `at` where it has to be waited for."""
        header = try_header(data, at, self._reserved)
        if header is None:
            return at
        first, length, start = header
        end = start + length
        opcode = first & OPCODE
        if opcode >= CLOSE:
            if end > len(data):
                return at
            self._receive_control(opcode, unmask(data[start:end], data[start - 4 : start]), events)
            return len(data) if opcode == CLOSE else end  # what follows a Close frame does not count (section 1.4)
        message = self._message
        if opcode == CONTINUATION:
            if message is None:
                raise Failure(VIOLATION, "A continuation continues no message (RFC 6455 section 5.4).")
            if first & RSV1:
                raise Failure(VIOLATION, "A continuation is marked as compressed (RFC 7692 section 6.1).")
        elif message is not None:
            raise Failure(VIOLATION, "A message begins within another (RFC 6455 section 5.4).")
        elif first & FIN and end <= len(data):
            payload = self._whole_payload(first, unmask(data[start:end], data[start - 4 : start]))
            events.append(payload.decode() if opcode == TEXT else payload)
            return end
        else:
            kind = TextMessage if opcode == TEXT else BinaryMessage
            message = self._message = kind(self._limit_bytes, self._inflater if first & RSV1 else None)
        if length > message.room_bytes and not message.is_compressed:
            raise Failure(TOO_BIG, TOO_LONG)
        self._remaining_bytes = length
        self._key = data[start - 4 : start]
        self._is_final = first >= FIN
        return self._read_payload(message, data, start, events)

    def _whole_payload(self, first: int, payload: bytes) -> bytes:
        """The data of a message that is one frame, inflated."""
        if first & RSV1 and self._inflater is not None:
            payload = self._inflater.inflate(payload + MESSAGE_END, self._limit_bytes)
            self._inflater.end_message()
        if len(payload) > self._limit_bytes:
            raise Failure(TOO_BIG, TOO_LONG)
        return payload

    def _read_payload(self, message: Message, data: bytes, at: int, events: list[Event]) -> int:
        """Give the message what has come of its latest frame, and say where the bytes after it begin."""
        end = min(at + self._remaining_bytes, len(data))
        came_bytes = end - at
        if came_bytes:
            message.add(unmask(view(data)[at:end], self._key))
            self._remaining_bytes -= came_bytes
        if self._remaining_bytes:
            turn = came_bytes & 3
            self._key = self._key[turn:] + self._key[:turn]
        elif self._is_final:
            self._message = None
            events.append(message.finish())
        return end

    def _receive_control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == PING:
            self.pongs.append(encode_frame(FIN | PONG, payload))
            events.append(Ping(payload))
        elif opcode == PONG:
            events.append(Pong(payload))
        else:
            code, reason = decode_close(payload)
            self._end_theirs(code, "")
            events.append(Close(code, reason))

    def _fail(self, failure: Failure, events: list[Event]) -> None:
        """What follows the fault is not read, and our Close frame says what it was (section 7.1.7)."""
        self._end_theirs(failure.code, failure.reason)
        self._forget()
        events.append(failure)

    def _end_theirs(self, code: int, reason: str) -> None:
        self._move(Step.THEY_END)
        self._owed_code = code
        self._owed_reason = reason

    def _keep(self, data: bytes, at: int) -> None:
        """Buffer what was not read. A few bytes must not hold all of a long read in memory."""
        if len(data) - at <= MOST_HEADER_BYTES + MOST_CONTROL_BYTES:
            data, at = data[at:], 0
        self._buffer = data
        self._at = at

    def _forget(self) -> None:
        self._buffer = b""
        self._at = self._remaining_bytes = 0
        self._message = self._inflater = None

    def _send_message(self, opcode: int, payload: bytes) -> Octets:
        """A message in one frame, compressed where that is agreed and worth it (RFC 7692 section 7.2.1)."""
        self._check_open()
        first = FIN | opcode
        if self._deflater is not None and len(payload) >= self._deflater.minimum_bytes:
            first |= RSV1
            payload = self._deflater.deflate(payload)
        if len(payload) > MOST_MEDIUM_BYTES:
            return pack_64(first, LENGTH_64, len(payload)), payload
        return encode_frame(first, payload)

    def _send_control(self, opcode: int, payload: bytes) -> bytes:
        self._check_open()
        if len(payload) > MOST_CONTROL_BYTES:
            raise ValueError(f"A control frame holds 125 bytes, not {len(payload)} (RFC 6455 section 5.5).")
        return encode_frame(FIN | opcode, payload)

    def _check_open(self) -> None:
        if self.state & WE_ENDED:
            raise NotOpen("Our Close frame was sent: no other frame may follow it (RFC 6455 section 5.5.1).")
