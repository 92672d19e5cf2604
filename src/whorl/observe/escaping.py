"""Bytes from the wire, made fit for a log line.

Whoever sends a request chooses its target, and may choose a forwarded address too. A log line must not let them forge
a second line, close a quoted field early, or speak to the terminal of the person who reads it. So every byte outside
visible ASCII (RFC 5234: VCHAR), the quote and the backslash are written as percent and two hexadecimal digits (RFC
3986 section 2.1). A percent sign stays: nothing that was escaped is escaped twice.
"""

from __future__ import annotations

from urllib.parse import quote_from_bytes

__all__ = ["PLAIN", "escape_bytes", "escape_text", "text_of"]

PLAIN = bytes(octet for octet in range(0x21, 0x7F) if octet not in b'"\\')
"""The bytes that stand for themselves. `bytes.translate(None, PLAIN)` is empty when there is nothing to escape."""

PLAIN_TEXT = PLAIN.decode("ascii")


def escape_bytes(octets: bytes) -> str:
    """The bytes as visible ASCII without a quote, a backslash or a space."""
    if not octets.translate(None, PLAIN):
        return octets.decode("ascii")
    return quote_from_bytes(octets, safe=PLAIN_TEXT)


def escape_text(text: str) -> str:
    """The same for text: what is not ASCII is escaped as its UTF-8."""
    return escape_bytes(text.encode("utf-8", "surrogatepass"))


def text_of(error: BaseException) -> str:
    """What an error says; nothing if its own `__str__` raises."""
    try:
        return str(error)
    except Exception:
        return ""
