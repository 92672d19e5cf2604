"""Every way in which a client's bytes can be wrong, and what it is told: code and reason (RFC 6455 section 7.1.7). No
tests in this file; the codec and a whole server are held to it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tests.websocket.vectors import (
    BINARY,
    CONTINUATION,
    KEY,
    PING,
    RSV1,
    RSV2,
    TEXT,
    close,
    frame,
)

VIOLATION, CANNOT_READ, TOO_BIG = 1002, 1007, 1009


@dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Attributes:
        bytes: what has it.
        code: of the Close frame that answers.
        reason: likewise.
        compressed: whether permessage-deflate was agreed on before.
    """

    octets: bytes
    code: int
    reason: str
    compressed: bool = False


def header(opcode: int, length: int) -> bytes:
    """The header of a frame whose payload never comes."""
    return bytes((0x80 | opcode, 0xFF)) + length.to_bytes(8) + KEY


def zeros(count: int) -> bytes:
    """A frame that inflates to so many bytes."""
    stream = zlib.compressobj(9, wbits=-12)
    octets = stream.compress(bytes(count)) + stream.flush(zlib.Z_SYNC_FLUSH)
    return frame(BINARY, octets[:-4], reserved=RSV1)


RESERVED_BIT = "A reserved bit is set that no extension uses (RFC 6455 section 5.2)."
RESERVED_OPCODE = "The opcode is reserved (RFC 6455 section 5.2)."
NOT_MASKED = "A frame of a client is not masked (RFC 6455 section 5.1)."
LONG_CONTROL = "A control frame is longer than 125 bytes (RFC 6455 section 5.5)."
PARTED_CONTROL = "A control frame is fragmented (RFC 6455 section 5.5)."
COMPRESSED_CONTROL = "A control frame is marked as compressed (RFC 7692 section 6)."
LONG_FORM = "A length is not written in the shortest form (RFC 6455 section 5.2)."
NEGATIVE = "The highest bit of a length is set (RFC 6455 section 5.2)."
CONTINUES_NOTHING = "A continuation continues no message (RFC 6455 section 5.4)."
COMPRESSED_CONTINUATION = "A continuation is marked as compressed (RFC 7692 section 6.1)."
WITHIN = "A message begins within another (RFC 6455 section 5.4)."
HALF_CODE = "A Close frame ends within its status code (RFC 6455 section 5.5.1)."
NO_CODE = "The status code must not stand in a Close frame (RFC 6455 section 7.4)."
NOT_UTF8 = "The text is not UTF-8 (RFC 6455 section 8.1)."
CANNOT_INFLATE = "The message cannot be inflated (RFC 7692 section 7.2.2)."
TOO_LONG = "The message is longer than this server takes (RFC 6455 section 7.4.1)."

FAULTS = {
    "RSV1 without an agreement": Row(frame(TEXT, b"x", reserved=RSV1), VIOLATION, RESERVED_BIT),
    "RSV2": Row(frame(TEXT, b"x", reserved=RSV2), VIOLATION, RESERVED_BIT, compressed=True),
    "opcode of data": Row(frame(3, b"x"), VIOLATION, RESERVED_OPCODE),
    "opcode of control": Row(frame(11, b"x"), VIOLATION, RESERVED_OPCODE),
    "not masked": Row(frame(TEXT, b"x", key=None), VIOLATION, NOT_MASKED),
    "long ping": Row(frame(PING, bytes(126)), VIOLATION, LONG_CONTROL),
    "long close": Row(close(1000, b"x" * 124), VIOLATION, LONG_CONTROL),
    "parted ping": Row(frame(PING, final=False), VIOLATION, PARTED_CONTROL),
    "compressed ping": Row(frame(PING, reserved=RSV1), VIOLATION, COMPRESSED_CONTROL, compressed=True),
    "length of 16 bits": Row(frame(TEXT, b"x" * 125, length_octets=2), VIOLATION, LONG_FORM),
    "length of 64 bits": Row(frame(TEXT, b"x" * 65535, length_octets=8), VIOLATION, LONG_FORM),
    "negative length": Row(header(BINARY, 1 << 63), VIOLATION, NEGATIVE),
    "continuation of nothing": Row(frame(CONTINUATION, b"x"), VIOLATION, CONTINUES_NOTHING),
    "continuation of a whole message": Row(frame(CONTINUATION, b"x", final=False), VIOLATION, CONTINUES_NOTHING),
    "compressed continuation": Row(
        frame(TEXT, b"x", final=False) + frame(CONTINUATION, b"x", reserved=RSV1),
        VIOLATION,
        COMPRESSED_CONTINUATION,
        compressed=True,
    ),
    "message within another": Row(frame(TEXT, b"x", final=False) + frame(BINARY, b"y"), VIOLATION, WITHIN),
    "close with half a code": Row(close(None, b"\x03"), VIOLATION, HALF_CODE),
    "close with 0": Row(close(0), VIOLATION, NO_CODE),
    "close with 1005": Row(close(1005), VIOLATION, NO_CODE),
    "close with 1006": Row(close(1006), VIOLATION, NO_CODE),
    "close with 2999": Row(close(2999), VIOLATION, NO_CODE),
    "close with 5000": Row(close(5000), VIOLATION, NO_CODE),
    "reason that is not UTF-8": Row(close(1000, b"\xff"), CANNOT_READ, NOT_UTF8),
    "text that is not UTF-8": Row(frame(TEXT, b"\xff"), CANNOT_READ, NOT_UTF8),
    "text that ends too soon": Row(frame(TEXT, b"x\xc3"), CANNOT_READ, NOT_UTF8),
    "fragment that is not UTF-8": Row(frame(TEXT, b"\xff", final=False), CANNOT_READ, NOT_UTF8),
    "character that no fragment ends": Row(
        frame(TEXT, b"\xc3", final=False) + frame(CONTINUATION), CANNOT_READ, NOT_UTF8
    ),
    "surrogate": Row(frame(TEXT, b"\xed\xa0\x80"), CANNOT_READ, NOT_UTF8),
    "cannot be inflated": Row(frame(TEXT, b"\xff", reserved=RSV1), CANNOT_READ, CANNOT_INFLATE, compressed=True),
    "many final blocks": Row(
        frame(TEXT, b"\x03\x00" * 17 + b"\x00", reserved=RSV1), CANNOT_READ, CANNOT_INFLATE, compressed=True
    ),
    "long frame": Row(header(BINARY, 1 << 40), TOO_BIG, TOO_LONG),
    "long message": Row(frame(BINARY, b"x", final=False) + header(CONTINUATION, 1 << 30), TOO_BIG, TOO_LONG),
    "inflates to too much": Row(zeros((16 << 20) + 1), TOO_BIG, TOO_LONG, compressed=True),
}
