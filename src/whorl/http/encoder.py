"""Response fields (RFC 9110 sections 5.1, 5.5 and 7.6.1): checked once, encoded once, remembered where they repeat.

Applications send the same fields with every response. A `FieldTable` maps a (name, value) pair to its encoded line
and to what it says about the response. Nothing that fails the checks is ever encoded, so no application can inject a
line; nothing that may carry a credential is remembered. One table belongs to one server and one version of HTTP,
which gives the encoding. Used by `exchange`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from whorl.http.grammar import DIGITS, FIELD_VALUE_TABLE, TOKEN, tokens

__all__ = ["HAS_CLOSE", "HAS_DATE", "HAS_SERVER", "HAS_UPGRADE", "FieldTable"]

# What a set of fields says, as bits: the carrier adds its own only where the application has not spoken.
HAS_DATE: Final = 1
HAS_SERVER: Final = 2
HAS_CLOSE: Final = 4
HAS_UPGRADE: Final = 8
# Not for the carrier: DROP leaves a line out. LENGTH and more is a Content-Length, by as much as it says.
DROP: Final = 16
LENGTH: Final = 32

# Fields of one connection are the server's business, not the application's (RFC 9110 section 7.6.1).
MARKS: Final = {
    b"date": HAS_DATE,
    b"server": HAS_SERVER,
    b"content-length": LENGTH,
    b"connection": DROP,
    b"keep-alive": DROP,
    b"proxy-connection": DROP,
    b"transfer-encoding": DROP,
    b"upgrade": HAS_UPGRADE,
}

# Names whose values repeat from response to response and are nobody's secret.
REPEATING: Final = frozenset(
    b"""accept-ranges access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-expose-headers access-control-max-age age allow cache-control connection
    content-disposition content-encoding content-language content-length content-security-policy content-type
    cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy keep-alive permissions-policy
    pragma referrer-policy server server-timing strict-transport-security transfer-encoding vary via
    x-accel-buffering x-content-type-options x-dns-prefetch-control x-frame-options x-powered-by x-xss-protection
    """.split()
)

# Trailers may not change how a message is framed, routed or read (RFC 9110 section 6.5.1).
NOT_IN_TRAILERS: Final = frozenset(
    b"""authorization cache-control connection content-encoding content-length content-range content-type cookie expect
    host keep-alive max-forwards proxy-connection set-cookie te trailer transfer-encoding upgrade www-authenticate
    """.split()
)

REMEMBERED_FIELDS: Final = 1024
REMEMBERED_FIELD_BYTES: Final = 512

NO_FIELDS: Final = "the fields of a response are an iterable of pairs, not None"

Encode = Callable[[bytes, bytes], bytes]


class FieldTable:
    """Checks and encodes the response fields of one server.

    Args:
        encode: makes a line of a checked name and value, in the wire format of one version of HTTP.
    """

    __slots__ = ("_encode", "known")

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self.known: dict[tuple[bytes, ...], tuple[bytes, int]] = {}

    def collect(self, headers: Iterable[Iterable[bytes]]) -> tuple[list[bytes], int, int]:
        """Check and encode the fields of a response.

        Args:
            headers: the application's (name, value) pairs.

        Returns:
            The encoded lines, what they say as flags, and the declared Content-Length, -1 without one.

        Raises:
            TypeError: a name or value is not bytes.
            ValueError: a name or value has an octet that no field has, or Content-Length is no single number.
        """
        lines: list[bytes] = []
        flags = 0
        declared_bytes = -1
        known = self.known
        if headers is None:
            raise TypeError(NO_FIELDS)
        for pair in headers:
            key: tuple[Any, ...] = pair if type(pair) is tuple else as_tuple(pair)
            try:
                entry = known.get(key)
            except TypeError:  # a bytearray has no hash
                entry = None
            if entry is None:
                entry = self.check_pair(key)
            line, mark = entry
            if mark:
                if mark >= LENGTH:
                    if declared_bytes >= 0:
                        raise ValueError("Content-Length was given more than once (RFC 9110 section 8.6)")
                    declared_bytes = mark - LENGTH
                else:
                    flags |= mark
                    if mark & DROP:
                        continue
            lines.append(line)
        return lines, flags & ~DROP, declared_bytes

    def check_pair(self, pair: tuple[Any, ...]) -> tuple[bytes, int]:
        """`check` for what should be a pair of bytes. Compiled, `check` itself would say it in mypyc's words."""
        if len(pair) != 2:
            raise TypeError(f"a response field is a pair of bytes, not {pair!r}")
        name, value = pair
        if type(name) is not bytes or type(value) is not bytes:
            raise TypeError(f"a response field is a pair of bytes, not ({name!r}, {type(value).__name__})")
        return self.check(name, value)

    def check(self, name: bytes, value: bytes) -> tuple[bytes, int]:
        """Check and encode one field; returns its line and mark. Raises as `collect`."""
        if not name or name.translate(None, TOKEN):
            raise ValueError(f"the name of response field {name!r} is not a token (RFC 9110 section 5.1)")
        value = value.strip(b" \t")
        if value.translate(FIELD_VALUE_TABLE) != value:
            raise ValueError(f"the value of response field {name!r} holds a control character (RFC 9110 section 5.5)")
        lower = name.lower()
        mark = MARKS.get(lower, 0)
        if mark:
            if mark == LENGTH:
                if not value or value.translate(None, DIGITS):
                    raise ValueError("the response's Content-Length is not a number (RFC 9110 section 8.6)")
                mark += int(value)
            if lower == b"connection" and b"close" in tokens(value):
                mark |= HAS_CLOSE
        entry = (self._encode(name, value), mark)
        if lower in REPEATING and len(name) + len(value) <= REMEMBERED_FIELD_BYTES:
            if len(self.known) >= REMEMBERED_FIELDS:
                self.known.clear()
            self.known[name, value] = entry
        return entry

    def collect_trailers(self, headers: Iterable[Iterable[bytes]]) -> list[bytes]:
        """Check and encode trailer fields. Raises as `collect`, and ValueError for a field that may not be a
        trailer."""
        lines = []
        if headers is None:
            raise TypeError(NO_FIELDS)
        for pair in headers:
            key = as_tuple(pair)
            line, _ = self.check_pair(key)
            name = key[0]
            if name.lower() in NOT_IN_TRAILERS:
                raise ValueError(f"{name!r} may not be a trailer field (RFC 9110 section 6.5.1)")
            lines.append(line)
        return lines


def as_tuple(pair: Iterable[bytes]) -> tuple[Any, ...]:
    """A field as a tuple. Raises TypeError where it is nothing of the kind."""
    try:
        return tuple(pair)
    except TypeError:
        raise TypeError(f"a response field is a pair of bytes, not {pair!r}") from None
