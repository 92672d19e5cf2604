"""Request field lines (RFC 9112 section 5): from a raw line to its checked name and value.

Clients repeat themselves, so a checked line is cached and found again with one look-up: that makes a strict parser in
Python as fast as one in C. The cache is bounded, and holds only names that carry no credential.
"""

from __future__ import annotations

from typing import Final

from whorl.http.error import HttpError
from whorl.http.grammar import DIGITS, FIELD_VALUE_TABLE, TOKEN, check_host
from whorl.http.request import Field

__all__ = [
    "FIELD_CLOSE",
    "FIELD_CONNECTION",
    "FIELD_EXPECT",
    "FIELD_FORWARDED",
    "FIELD_HOST",
    "FIELD_LENGTH",
    "FIELD_TE",
    "FIELD_TRANSFER_ENCODING",
    "FIELD_UPGRADE",
    "FIELD_WEBSOCKET_KEY",
    "NO_MEANING",
    "FieldLineCache",
]

# The kind of a field. Most have no meaning to the server, which only passes them on.
NO_MEANING: Final = 0
FIELD_HOST: Final = 1
FIELD_TRANSFER_ENCODING: Final = 2
FIELD_CONNECTION: Final = 3
FIELD_EXPECT: Final = 4
FIELD_TE: Final = 5
FIELD_UPGRADE: Final = 6
FIELD_FORWARDED: Final = 7
FIELD_CLOSE: Final = 8  # "Connection: close", without further options
FIELD_WEBSOCKET_KEY: Final = 9
FIELD_LENGTH: Final = 10  # the kind of a Content-Length is this plus its value

# The usual values of Connection. keep-alive is what HTTP/1.1 does anyway.
COMMON_CONNECTION_VALUES: Final = {b"keep-alive": NO_MEANING, b"close": FIELD_CLOSE}

KINDS: Final = {
    b"host": FIELD_HOST,
    b"content-length": FIELD_LENGTH,
    b"transfer-encoding": FIELD_TRANSFER_ENCODING,
    b"connection": FIELD_CONNECTION,
    b"expect": FIELD_EXPECT,
    b"te": FIELD_TE,
    b"upgrade": FIELD_UPGRADE,
    b"sec-websocket-key": FIELD_WEBSOCKET_KEY,
    b"forwarded": FIELD_FORWARDED,
    b"x-forwarded-for": FIELD_FORWARDED,
    b"x-forwarded-host": FIELD_FORWARDED,
    b"x-forwarded-port": FIELD_FORWARDED,
    b"x-forwarded-prefix": FIELD_FORWARDED,
    b"x-forwarded-proto": FIELD_FORWARDED,
}

# Names whose lines repeat and carry no secret. Left out on purpose: cookie, authorization, referer, forwarded,
# x-forwarded-for, and whatever names one person or one request.
CACHEABLE: Final = """
accept accept-charset accept-encoding accept-language cache-control connection content-encoding content-length
content-type dnt expect host origin pragma priority sec-ch-ua sec-ch-ua-arch sec-ch-ua-bitness
sec-ch-ua-full-version-list sec-ch-ua-mobile sec-ch-ua-model sec-ch-ua-platform sec-ch-ua-platform-version
sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-extensions sec-websocket-version te
trailer transfer-encoding upgrade upgrade-insecure-requests user-agent x-forwarded-host x-forwarded-port
x-forwarded-prefix x-forwarded-proto x-requested-with
"""


def _known_names() -> dict[bytes, tuple[bytes, int, bool]]:
    """Return the names worth a look-up, as clients write them: in lower case and With-Capitals."""
    known = {}
    cacheable = set(CACHEABLE.encode().split())
    for lower in cacheable | KINDS.keys():
        for name in (lower, lower.title()):
            known[name] = (lower, KINDS.get(lower, NO_MEANING), lower in cacheable)
    return known


NAMES: Final = _known_names()

# A longer number overflows the integers of some recipient (RFC 9110 section 8.6).
CONTENT_LENGTH_DIGITS: Final = 18

MAX_CACHED_LINES: Final = 1024
MAX_CACHED_LINE_BYTES: Final = 512


class FieldLineCache:
    """Checks the field lines of all connections of a server, and caches those that clients repeat.

    Attributes:
        known: a raw line -> its field and kind. A reader looks here first, and calls `parse` for any other line.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[Field, int]] = {}

    def parse(self, line: bytes) -> tuple[Field, int]:
        """Check one field line.

        Args:
            line: the line, without its CRLF.

        Returns:
            The field (its value without the white space around it), and its kind.

        Raises:
            HttpError: 400, the line is malformed (RFC 9112 section 5).
        """
        name, colon, value = line.partition(b":")
        entry = NAMES.get(name)
        if entry is not None and colon:
            lower, kind, cacheable = entry
        else:
            lower, kind, cacheable = self._check_name(line, name, colon)
        value = value.strip(b" \t")
        if value.translate(FIELD_VALUE_TABLE) != value:
            raise HttpError(400, "A field value holds a control character (RFC 9110 section 5.5).")
        if kind == FIELD_HOST:
            check_host(value)
        elif kind == FIELD_CONNECTION:
            kind = COMMON_CONNECTION_VALUES.get(value.lower(), FIELD_CONNECTION)
        elif kind == FIELD_LENGTH:
            kind += _content_length(value)
        field = ((lower, value), kind)
        if cacheable and len(line) <= MAX_CACHED_LINE_BYTES:
            if len(self.known) >= MAX_CACHED_LINES:
                self.known.clear()
            self.known[line] = field
        return field

    def _check_name(self, line: bytes, name: bytes, colon: bytes) -> tuple[bytes, int, bool]:
        if line[:1] in (b" ", b"\t"):
            raise HttpError(400, "A field line is folded (RFC 9112 section 5.2).")
        if not colon:
            raise HttpError(400, "A field line has no colon (RFC 9112 section 5).")
        if name[-1:] in (b" ", b"\t"):
            raise HttpError(400, "White space stands before the colon of a field line (RFC 9112 section 5.1).")
        if not name or name.translate(None, TOKEN):
            raise HttpError(400, "A field name is not a token (RFC 9110 section 5.1).")
        lower = name.lower()
        return NAMES.get(lower, (lower, NO_MEANING, False))


def _content_length(value: bytes) -> int:
    """Content-Length = 1*DIGIT (RFC 9110 section 8.6). A list of equal values is refused, which section 8.6 allows."""
    if not value or value.translate(None, DIGITS):
        raise HttpError(400, "Content-Length is not a number (RFC 9110 section 8.6).")
    if len(value) > CONTENT_LENGTH_DIGITS:
        raise HttpError(400, "Content-Length is beyond any length (RFC 9110 section 8.6).")
    return int(value)
