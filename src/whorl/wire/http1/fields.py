"""Request field lines (RFC 9112 section 5): from a raw line to its checked name and value.

Clients repeat themselves, so a line that was checked once is remembered and found again with one look-up; that is
what makes a strict parser in Python as fast as one in C. Only names from a list are remembered, so no credential is
ever kept, and the table is bounded. One `FieldLines` belongs to one server and is shared by its connections. Called
by `head` and `chunks` (trailers). It must not know what a field means beyond marking those that decide framing and
connection handling.
"""

from __future__ import annotations

from typing import Final

from whorl.http.error import Refusal
from whorl.http.grammar import DIGITS, FIELD_VALUE_TABLE, TOKEN, check_host
from whorl.http.request import Field

__all__ = [
    "CLOSE",
    "CONNECTION",
    "EXPECT",
    "HOST",
    "LENGTH",
    "PLAIN",
    "PROXIED",
    "TE",
    "TRANSFER_ENCODING",
    "UPGRADE",
    "WEBSOCKET_KEY",
    "FieldLines",
]

# What a field decides about its message; everything else is PLAIN and only passed on. PROXIED are those in which a
# proxy tells of its client: marked here, so that a request without them costs nothing.
PLAIN: Final = 0
HOST: Final = 1
TRANSFER_ENCODING: Final = 2
CONNECTION: Final = 3
EXPECT: Final = 4
TE: Final = 5
UPGRADE: Final = 6
PROXIED: Final = 7
CLOSE: Final = 8  # Connection: close, and nothing else
WEBSOCKET_KEY: Final = 9
LENGTH: Final = 10  # this and more is Content-Length, by as much as it says

# What Connection nearly always says; keep-alive is what HTTP/1.1 does anyway.
ALONE: Final = {b"keep-alive": PLAIN, b"close": CLOSE}

MARKS: Final = {
    b"host": HOST,
    b"content-length": LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"te": TE,
    b"upgrade": UPGRADE,
    b"sec-websocket-key": WEBSOCKET_KEY,
    b"forwarded": PROXIED,
    b"x-forwarded-for": PROXIED,
    b"x-forwarded-host": PROXIED,
    b"x-forwarded-port": PROXIED,
    b"x-forwarded-prefix": PROXIED,
    b"x-forwarded-proto": PROXIED,
}

# Names whose lines repeat and carry no secret. Not here on purpose: cookie, authorization, referer, forwarded,
# x-forwarded-for, anything that names one person or one request.
REPEATING: Final = """
accept accept-charset accept-encoding accept-language cache-control connection content-encoding content-length
content-type dnt expect host origin pragma priority sec-ch-ua sec-ch-ua-arch sec-ch-ua-bitness
sec-ch-ua-full-version-list sec-ch-ua-mobile sec-ch-ua-model sec-ch-ua-platform sec-ch-ua-platform-version
sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-extensions sec-websocket-version te
trailer transfer-encoding upgrade upgrade-insecure-requests user-agent x-forwarded-host x-forwarded-port
x-forwarded-prefix x-forwarded-proto x-requested-with
"""


def _known_names() -> dict[bytes, tuple[bytes, int, bool]]:
    """The names worth a look-up, as clients write them: in lower case and With-Capitals."""
    known = {}
    repeating = set(REPEATING.encode().split())
    for lower in repeating | MARKS.keys():
        for name in (lower, lower.title()):
            known[name] = (lower, MARKS.get(lower, PLAIN), lower in repeating)
    return known


NAMES: Final = _known_names()

# A Content-Length longer than this is no length but an attack on somebody's integers (RFC 9110 section 8.6).
CONTENT_LENGTH_DIGITS: Final = 18

REMEMBERED_LINES: Final = 1024
REMEMBERED_LINE_BYTES: Final = 512


class FieldLines:
    """Checks field lines, and remembers those that clients repeat.

    `known` maps a raw line to its `(name, value)` pair and mark; readers look there first and call `parse` for a line
    that is not in it.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[Field, int]] = {}

    def parse(self, line: bytes) -> tuple[Field, int]:
        """Check one field line, without its CRLF.

        Args:
            line: the octets of the line.

        Returns:
            The field, its name in lower case and its value without the white space around it, and its mark.

        Raises:
            Refusal: 400, where the line is no field line (RFC 9112 section 5).
        """
        name, colon, value = line.partition(b":")
        entry = NAMES.get(name)
        if entry is not None and colon:
            lower, mark, repeats = entry
        else:
            lower, mark, repeats = self._check_name(line, name, colon)
        value = value.strip(b" \t")
        if value.translate(FIELD_VALUE_TABLE) != value:
            raise Refusal(400, "A field value holds a control character (RFC 9110 section 5.5).")
        if mark == HOST:
            check_host(value)
        elif mark == CONNECTION:
            mark = ALONE.get(value.lower(), CONNECTION)
        elif mark == LENGTH:
            mark += _content_length(value)
        field = ((lower, value), mark)
        if repeats and len(line) <= REMEMBERED_LINE_BYTES:
            if len(self.known) >= REMEMBERED_LINES:
                self.known.clear()
            self.known[line] = field
        return field

    def _check_name(self, line: bytes, name: bytes, colon: bytes) -> tuple[bytes, int, bool]:
        if line[:1] in (b" ", b"\t"):
            raise Refusal(400, "A field line is folded (RFC 9112 section 5.2).")
        if not colon:
            raise Refusal(400, "A field line has no colon (RFC 9112 section 5).")
        if name[-1:] in (b" ", b"\t"):
            raise Refusal(400, "White space stands before the colon of a field line (RFC 9112 section 5.1).")
        if not name or name.translate(None, TOKEN):
            raise Refusal(400, "A field name is not a token (RFC 9110 section 5.1).")
        lower = name.lower()
        return NAMES.get(lower, (lower, PLAIN, False))


def _content_length(value: bytes) -> int:
    """Content-Length = 1*DIGIT (RFC 9110 section 8.6); a list of equal values is refused, as it may be."""
    if not value or value.translate(None, DIGITS):
        raise Refusal(400, "Content-Length is not a number (RFC 9110 section 8.6).")
    if len(value) > CONTENT_LENGTH_DIGITS:
        raise Refusal(400, "Content-Length is beyond any length (RFC 9110 section 8.6).")
    return int(value)
