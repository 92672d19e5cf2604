"""The setting that is a list of response header fields (RFC 9110 sections 5.1, 5.5 and 7.6.1).

Fields are checked here, once, so that what the wire rules send with every response is known to be sound. Fields that
frame a message or govern its connection are refused: those are the server's to write, and a second one could make a
response ambiguous.
`config` uses this kind for `headers`; see `kind` for what a kind is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from whorl.config.kind import Kind

__all__ = ["HeaderFields"]

Fields = tuple[tuple[bytes, bytes], ...]

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
FIELD_VALUE: Final = re.compile(
    rb"[\t\x20-\x7e\x80-\xff]*"
)  # RFC 9110 section 5.5; the space around it is gone by then
OURS: Final = frozenset(  # framing (RFC 9112 section 6) and connection (RFC 9110 section 7.6.1)
    b"connection content-length keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)


class HeaderFields(Kind[Fields]):
    """Response fields: a list of "Name: Value" texts or of (name, value) pairs, or one text with a field per line.

    The one text is how an environment variable writes the list: spaces, commas and colons in a value need no quoting.
    """

    def read(self, raw: object) -> Fields:
        if isinstance(raw, str):
            return tuple(self.field(line.removesuffix("\r")) for line in raw.split("\n") if line.strip())
        if isinstance(raw, Iterable) and not isinstance(raw, (bytes, bytearray, dict)):
            return tuple(self.field(item) for item in raw)
        raise self.refusal(raw)

    def field(self, item: object) -> tuple[bytes, bytes]:
        """One field, its name in lower case and its value without space around it."""
        written_name, written_value = self.halves(item)
        try:
            name, value = octets(written_name).strip(b" \t").lower(), octets(written_value).strip(b" \t")
        except UnicodeEncodeError:
            raise ValueError(f"has {item!r}, which is not ISO 8859-1: write it in plain ASCII") from None
        if not TOKEN.fullmatch(name):
            raise ValueError(f"has {item!r}, whose name is no field name (RFC 9110 section 5.1)")
        if not FIELD_VALUE.fullmatch(value):
            raise ValueError(f"has {item!r}, whose value holds control characters (RFC 9110 section 5.5)")
        if name in OURS:
            raise ValueError(f"has {item!r}, but {name.decode()} is for Whorl to write: leave it out")
        return name, value

    def halves(self, item: object) -> tuple[str | bytes, str | bytes]:
        """The name and the value of one item of the list, as they were written."""
        if isinstance(item, str):
            name, colon, value = item.partition(":")
            if colon:
                return name, value
        elif isinstance(item, (tuple, list)) and len(item) == 2:
            name, value = item
            if isinstance(name, (str, bytes)) and isinstance(value, (str, bytes)):
                return name, value
        raise self.refusal(item)

    def accepts(self) -> str:
        return '"Name: Value"'

    def show(self, value: Fields) -> str:
        return "\n".join(f"{name.decode('latin-1')}: {content.decode('latin-1')}" for name, content in value)

    @property
    def metavar(self) -> str:
        return '"NAME: VALUE"'

    @property
    def is_list(self) -> bool:
        return True


def octets(text: str | bytes) -> bytes:
    """The bytes of a half of a field; text is ISO 8859-1, as everywhere in HTTP/1."""
    return text if isinstance(text, bytes) else text.encode("latin-1")
