"""Frames (RFC 6455 sections 5.2 to 5.5): the header of a client's frame, and whole frames of the server.

A frame is named here by its first byte: FIN, three reserved bits and the opcode.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from whorl.wire.websocket.failure import VIOLATION, Failure

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "FIN",
    "LEAST_LONG_FRAME_BYTES",
    "LENGTH_16",
    "LENGTH_64",
    "MASK",
    "MOST_CONTROL_BYTES",
    "MOST_HEADER_BYTES",
    "MOST_MEDIUM_BYTES",
    "MOST_MEDIUM_FRAME_BYTES",
    "MOST_SHORT_FRAME_BYTES",
    "OPCODE",
    "PING",
    "PONG",
    "RESERVED",
    "RSV1",
    "SHORT_FRAMES",
    "SHORT_HEADERS",
    "SHORT_MASKED_HEADER_BYTES",
    "TEXT",
    "Octets",
    "encode_frame",
    "pack_16",
    "try_header",
    "unpack_16",
    "unpack_64",
]

# The first byte (section 5.2)
FIN = 0x80
RSV1 = 0x40
RESERVED = 0x70
OPCODE = 0x0F

# Opcodes (section 11.8). From CLOSE on they are those of control frames.
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

# The second byte: MASK, and a length of 7 bits, or 126 and 127 where one of 16 or 64 bits follows.
MASK = 0x80
LENGTH_16 = 126
LENGTH_64 = 127

MOST_CONTROL_BYTES = 125
MOST_MEDIUM_BYTES = 0xFFFF
SHORT_MASKED_HEADER_BYTES = 6
MOST_HEADER_BYTES = 14

# The headers of our messages of one short frame, by opcode and length.
SHORT_HEADERS = {opcode: [bytes((FIN | opcode, length)) for length in range(126)] for opcode in (TEXT, BINARY)}

# A client's whole frames by their size, key and header included. Between the last two no frame can be; nor can one of
# 6 + 126 or 6 + 127 bytes, but what is longer is medium.
MOST_SHORT_FRAME_BYTES = 6 + 127
MOST_MEDIUM_FRAME_BYTES = 8 + MOST_MEDIUM_BYTES
LEAST_LONG_FRAME_BYTES = 14 + 0x10000

# Take a client's short frame apart, by the size of the whole, into the first byte, the second, the key and the
# payload: one call where cutting would take four. Where no frame has that size, the bytes are no frame's.
SHORT_FRAMES = [
    struct.Struct(f"BB4s{size - 6}s").unpack if 6 <= size < 6 + LENGTH_16 else lambda octets: (0, 0, b"", b"")
    for size in range(MOST_SHORT_FRAME_BYTES + 1)
]

pack_16 = struct.Struct("!BBH").pack
pack_64 = struct.Struct("!BBQ").pack

# Read the header of a client's longer frames: the first byte, the second, the length and the key.
unpack_16 = struct.Struct("!BBH4s").unpack_from
unpack_64 = struct.Struct("!BBQ4s").unpack_from

# What is to be sent: in one piece, or a header and its payload, where joining the two would cost more than it saves.
Octets: TypeAlias = bytes | tuple[bytes, bytes]


def try_header(octets: bytes, at: int, reserved: int) -> tuple[int, int, int] | None:
    """Read the header of a frame that a client sent.

    Args:
        bytes: what has come.
        at: where the frame begins in it.
        reserved: the reserved bits that must not be set: `RESERVED`, less those that an extension uses.

    Returns:
        The first byte, the length of the payload, and where the payload begins; the masking key is the four bytes
        before it. None while the header is not complete.

    Raises:
        Failure: 1002, as soon as two bytes tell.
    """
    here = len(octets) - at
    if here < 2:
        return None
    first = octets[at]
    length = octets[at + 1]
    opcode = first & OPCODE
    if first & reserved:
        raise Failure(VIOLATION, "A reserved bit is set that no extension uses (RFC 6455 section 5.2).")
    if opcode not in OPCODES:
        raise Failure(VIOLATION, "The opcode is reserved (RFC 6455 section 5.2).")
    if length < MASK:
        raise Failure(VIOLATION, "A frame of a client is not masked (RFC 6455 section 5.1).")
    length ^= MASK
    if opcode >= CLOSE:
        if length > MOST_CONTROL_BYTES:
            raise Failure(VIOLATION, "A control frame is longer than 125 bytes (RFC 6455 section 5.5).")
        if not first & FIN:
            raise Failure(VIOLATION, "A control frame is fragmented (RFC 6455 section 5.5).")
        if first & RSV1:
            raise Failure(VIOLATION, "A control frame is marked as compressed (RFC 7692 section 6).")
    if length < LENGTH_16:
        return (first, length, at + 6) if here >= 6 else None
    start = at + (8 if length == LENGTH_16 else 14)
    if at + here < start:
        return None
    shortest = 126 if length == LENGTH_16 else 0x10000
    length = int.from_bytes(octets[at + 2 : start - 4])
    if length < shortest:
        raise Failure(VIOLATION, "A length is not written in the shortest form (RFC 6455 section 5.2).")
    if length >> 63:
        raise Failure(VIOLATION, "The highest bit of a length is set (RFC 6455 section 5.2).")
    return first, length, start


def encode_frame(first: int, payload: bytes) -> bytes:
    """A whole frame of a server, which is never masked (section 5.1).

    Args:
        first: the first byte.
        payload: the payload, masked by nobody.
    """
    length = len(payload)
    if length < LENGTH_16:
        return bytes((first, length)) + payload
    if length <= MOST_MEDIUM_BYTES:
        return pack_16(first, LENGTH_16, length) + payload
    return pack_64(first, LENGTH_64, length) + payload
