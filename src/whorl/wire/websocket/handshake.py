"""The opening handshake, the server's side (RFC 6455 sections 4.2 and 4.4, RFC 7692 section 5).

Pure functions over the head of a request: whether it asks for WebSocket, what it offers, or why it is refused, and the
fields of the 101 that accepts it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import TypeAlias

from whorl.wire.websocket.deflate import Deflate
from whorl.wire.websocket.extension import TOKEN, Extension, parse_extensions

__all__ = ["Field", "Handshake", "HandshakeRefusal", "accept_key", "is_upgrade", "read_handshake", "response_fields"]

Field: TypeAlias = tuple[bytes, bytes]

VERSION = b"13"
KEY_BYTES = 16

# Section 1.3: what shows that the server understood the key as WebSocket's.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

SUBPROTOCOL = re.compile(TOKEN)


class HandshakeRefusal(Exception):
    """A request asks for WebSocket and cannot have it.

    Args:
        status: the status code that answers it.
        reason: one sentence for the client, ending with the section that it broke. It never repeats the client's own
            bytes.
        fields: what the response must carry besides the usual.
    """

    def __init__(self, status: int, reason: str, fields: tuple[Field, ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client offers.

    Attributes:
        key: the value of Sec-WebSocket-Key, as sent.
        subprotocols: in the client's order of preference.
        extensions: likewise; `deflate.negotiate` accepts one of them.
    """

    key: bytes
    subprotocols: tuple[str, ...]
    extensions: tuple[Extension, ...]


def is_upgrade(version: str, fields: Sequence[Field]) -> bool:
    """Whether a request asks to go on in WebSocket (section 4.2.1 items 3 and 4).

    Upgrade counts only where Connection names it, and never in HTTP/1.0 (RFC 9110 section 7.8). A request that does not
    ask is served as plain HTTP, whatever else it says.

    Args:
        version: "1.0" or "1.1".
        fields: names in lower case.
    """
    return (
        version == "1.1"
        and b"websocket" in members(joined(fields, b"upgrade").lower())
        and b"upgrade" in members(joined(fields, b"connection").lower())
    )


def read_handshake(method: str, fields: Sequence[Field]) -> Handshake:
    """Read a request for which `is_upgrade` is true. Host was checked by HTTP, Origin is the application's to judge.

    Args:
        method: the method, as sent.
        fields: names in lower case.

    Returns:
        What the client offers.

    Raises:
        HandshakeRefusal: 426 for another version of WebSocket, 400 for whatever else is wrong.
    """
    if method != "GET":
        raise HandshakeRefusal(400, "A WebSocket handshake is a GET request (RFC 6455 section 4.1).")
    if joined(fields, b"transfer-encoding") or joined(fields, b"content-length").strip(b"0"):
        raise HandshakeRefusal(400, "A WebSocket handshake has no content (RFC 6455 section 4.1).")
    if joined(fields, b"sec-websocket-version") != VERSION:
        raise HandshakeRefusal(
            426,
            "This server speaks version 13 of WebSocket (RFC 6455 section 4.4).",
            ((b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-version", VERSION)),
        )
    key = joined(fields, b"sec-websocket-key")
    if not is_key(key):
        raise HandshakeRefusal(400, "Sec-WebSocket-Key is not 16 bytes in base64 (RFC 6455 section 4.1).")
    return Handshake(key, read_subprotocols(fields), read_extensions(fields))


def read_subprotocols(fields: Sequence[Field]) -> tuple[str, ...]:
    """The subprotocols that a client offers (section 4.1 item 10 of the client's requirements).

    Raises:
        HandshakeRefusal: 400 where one is no token, or is offered twice.
    """
    names = tuple(name.decode("latin-1") for name in members(joined(fields, b"sec-websocket-protocol")))
    if not all(map(SUBPROTOCOL.fullmatch, names)):
        raise HandshakeRefusal(400, "A subprotocol is not a token (RFC 6455 section 4.1).")
    if len(set(names)) < len(names):
        raise HandshakeRefusal(400, "A subprotocol is offered twice (RFC 6455 section 4.1).")
    return names


def read_extensions(fields: Sequence[Field]) -> tuple[Extension, ...]:
    """The extensions that a client offers (section 9.1).

    Raises:
        HandshakeRefusal: 400 where the field is malformed.
    """
    value = joined(fields, b"sec-websocket-extensions")
    extensions = parse_extensions(value) if value else []
    if extensions is None:
        raise HandshakeRefusal(400, "Sec-WebSocket-Extensions is malformed (RFC 6455 section 9.1).")
    return tuple(extensions)


def accept_key(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept (section 4.2.2 item 5.4)."""
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


def response_fields(handshake: Handshake, subprotocol: str | None, deflate: Deflate | None) -> list[Field]:
    """The fields of the 101 that accepts a handshake (section 4.2.2 item 5).

    Args:
        handshake: what the client offered.
        subprotocol: the one chosen.
        deflate: what was agreed about compression.

    Raises:
        ValueError: the client did not offer that subprotocol; it would have to fail the connection.
    """
    fields = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", accept_key(handshake.key)),
    ]
    if subprotocol is not None:
        if subprotocol not in handshake.subprotocols:
            raise ValueError(f"The client did not offer the subprotocol {subprotocol!r} (RFC 6455 section 4.2.2).")
        fields.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
    if deflate is not None:
        fields.append((b"sec-websocket-extensions", deflate.answer.field_value()))
    return fields


def joined(fields: Sequence[Field], name: bytes) -> bytes:
    """The values of a field, which may come in several lines, as one list (RFC 9110 section 5.3)."""
    return b", ".join([value for known, value in fields if known == name])


def members(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, without the empty ones (RFC 9110 section 5.6.1)."""
    return [member for part in value.split(b",") if (member := part.strip(b" \t"))]


def is_key(value: bytes) -> bool:
    """Whether this is the base64 of 16 bytes (section 4.1 item 7 of the client's requirements)."""
    try:
        return len(b64decode(value, validate=True)) == KEY_BYTES
    except NotBase64:
        return False
