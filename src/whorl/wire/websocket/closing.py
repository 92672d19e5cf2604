"""The Close frame: its status code and reason (RFC 6455 sections 5.5.1, 7.1.5, 7.1.6 and 7.4)."""

from __future__ import annotations

from whorl.wire.websocket.failure import CANNOT_READ, NOT_UTF8, VIOLATION, Failure

__all__ = ["ABNORMAL", "MOST_REASON_BYTES", "NORMAL", "NO_STATUS", "decode_close", "encode_close"]

# Section 7.4.1. The last two never stand in a frame: the one says that a Close frame had no code, the other that none
# came.
NORMAL = 1000
NO_STATUS = 1005
ABNORMAL = 1006

# Section 7.4 and IANA's registry, which has added 1012 to 1014. 1004, 1005, 1006 and 1015 never stand in a frame; what
# is unassigned below 3000 is for later versions of the protocol, and 3000 to 4999 is for everybody.
CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))

MOST_REASON_BYTES = 123  # of the 125 that a control frame holds


def decode_close(payload: bytes) -> tuple[int, str]:
    """What a Close frame says.

    Returns:
        Code and reason; `NO_STATUS` and nothing where the frame is empty.

    Raises:
        Failure: 1002 for half a code, or one that must not be sent; 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return NO_STATUS, ""
    if len(payload) == 1:
        raise Failure(VIOLATION, "A Close frame ends within its status code (RFC 6455 section 5.5.1).")
    code = int.from_bytes(payload[:2])
    if code not in CODES:
        raise Failure(VIOLATION, "The status code must not stand in a Close frame (RFC 6455 section 7.4).")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise Failure(CANNOT_READ, NOT_UTF8) from None


def encode_close(code: int, reason: str) -> bytes:
    """The payload of a Close frame.

    Args:
        code: the status code; `NO_STATUS` for an empty frame.
        reason: for people who look for a fault; at most 123 bytes of UTF-8.

    Raises:
        ValueError: where code or reason cannot stand in a Close frame.
    """
    if code == NO_STATUS and not reason:
        return b""
    if code not in CODES:
        raise ValueError(f"{code} cannot stand in a Close frame (RFC 6455 section 7.4).")
    octets = reason.encode()
    if len(octets) > MOST_REASON_BYTES:
        raise ValueError(f"The reason for a close has {len(octets)} octets; 123 are most (RFC 6455 section 5.5).")
    return code.to_bytes(2) + octets
