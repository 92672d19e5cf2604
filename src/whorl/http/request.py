"""A request, as every version of HTTP has it (RFC 9110 sections 3.4, 6 and 7).

Any codec makes one; what serves it does not know which. Its flags hold what its head asks for beside that.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "EXPECT_CONTINUE",
    "FORWARDED",
    "NEEDS_INSPECTION",
    "TE_TRAILERS",
    "UNKNOWN_LENGTH",
    "UPGRADE_DROPPED",
    "Field",
    "Request",
]

Field = tuple[bytes, bytes]
"""A field's name in lower case, and its value (RFC 9110 section 5)."""

UNKNOWN_LENGTH: Final = -1
"""`Request.body_bytes` of a body whose end only its last piece tells."""

# Bits of Request.flags. Those from 16 on belong to the version that made the request.
EXPECT_CONTINUE: Final = 1
"""The client waits for 100 before it sends the body (RFC 9110 section 10.1.1)."""
TE_TRAILERS: Final = 2
"""The client understands trailers of a response (RFC 9110 section 10.1.4)."""
FORWARDED: Final = 4
"""A field tells of the client of a proxy."""
UPGRADE_DROPPED: Final = 8
"""A WebSocket handshake without its Upgrade: a proxy in front has dropped that."""
NEEDS_INSPECTION: Final = FORWARDED | UPGRADE_DROPPED
"""A proxy had a part in this request."""


class Request:
    """One request, as far as its head tells.

    Args:
        method: the method token, as sent.
        target: path and query (origin-form), or `*` (asterisk-form, RFC 9112 section 3.2.4).
        version: the version of HTTP, as ASGI writes it: "1.0", "1.1", "2".
        flags: bits of this module and of the version's.

    Attributes:
        method, target, version, flags: the same. A codec may change them until it hands the request on.
        fields: the fields in order, names in lower case.
        body_bytes: the length of the body; 0 for none, or `UNKNOWN_LENGTH`.
    """

    __slots__ = ("body_bytes", "fields", "flags", "method", "target", "version")

    def __init__(self, method: str, target: bytes, version: str, flags: int) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.flags = flags
        self.fields: list[Field] = []
        self.body_bytes = 0
