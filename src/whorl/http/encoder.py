"""Response fields (RFC 9110 sections 5 and 6.5): from what the application gives to checked, encoded lines.

An injected CR or LF, a control character or a second Content-Length raises in the application and never reaches the
client. Lines that repeat from response to response are cached; a line that may carry a credential is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from whorl.http.grammar import DIGITS, FIELD_VALUE_TABLE, TOKEN, tokens

__all__ = ["HAS_CLOSE", "HAS_DATE", "HAS_SERVER", "HAS_UPGRADE", "ResponseFieldEncoder"]

# What the fields of a response decide, as bits. The server adds a field only if the application has not set it.
HAS_DATE: Final = 1
HAS_SERVER: Final = 2
HAS_CLOSE: Final = 4
HAS_UPGRADE: Final = 8
# Only within this module: DROP leaves a line out; the kind of a Content-Length is LENGTH plus its value.
DROP: Final = 16
LENGTH: Final = 32

# Fields of one connection are the server's business, not the application's (RFC 9110 section 7.6.1).
FIELD_KINDS: Final = {
    b"date": HAS_DATE,
    b"server": HAS_SERVER,
    b"content-length": LENGTH,
    b"connection": DROP,
    b"keep-alive": DROP,
    b"proxy-connection": DROP,
    b"transfer-encoding": DROP,
    b"upgrade": HAS_UPGRADE,
}

# Names whose values repeat from response to response and are not secret.
CACHEABLE: Final = frozenset(
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

MAX_CACHED_FIELDS: Final = 1024
MAX_CACHED_FIELD_BYTES: Final = 512

NO_FIELDS: Final = "the fields of a response are an iterable of pairs, not None"

Encode = Callable[[bytes, bytes], bytes]


class ResponseFieldEncoder:
    """Checks and encodes the response fields of one server in one version of HTTP.

    Args:
        encode: encodes a checked name and value.
    """

    __slots__ = ("_encode", "known")

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self.known: dict[tuple[bytes, ...], tuple[bytes, int]] = {}

    def encode_all(self, headers: Iterable[Iterable[bytes]]) -> tuple[list[bytes], int, int]:
        """Check and encode the fields of a response.

        Args:
            headers: the application's (name, value) pairs.

        Returns:
            The encoded lines, what they decide as flags, and the declared Content-Length; -1 without one.

        Raises:
            TypeError: a name or value is not bytes.
            ValueError: a name or value holds a byte that no field has, or Content-Length is not one number.
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
                entry = self.encode_pair(key)
            line, kind = entry
            if kind:
                if kind >= LENGTH:
                    if declared_bytes >= 0:
                        raise ValueError("Content-Length was given more than once (RFC 9110 section 8.6)")
                    declared_bytes = kind - LENGTH
                else:
                    flags |= kind
                    if kind & DROP:
                        continue
            lines.append(line)
        return lines, flags & ~DROP, declared_bytes

    def encode_pair(self, pair: tuple[Any, ...]) -> tuple[bytes, int]:
        """Check and encode what should be a pair of bytes. Raises as `encode_all`: `encode` itself, compiled, would
        raise mypyc's error."""
        if len(pair) != 2:
            raise TypeError(f"a response field is a pair of bytes, not {pair!r}")
        name, value = pair
        if type(name) is not bytes or type(value) is not bytes:
            raise TypeError(f"a response field is a pair of bytes, not ({name!r}, {type(value).__name__})")
        return self.encode(name, value)

    def encode(self, name: bytes, value: bytes) -> tuple[bytes, int]:
        """Check and encode one field; returns its line and kind. Raises as `encode_all`."""
        if not name or name.translate(None, TOKEN):
            raise ValueError(f"the name of response field {name!r} is not a token (RFC 9110 section 5.1)")
        value = value.strip(b" \t")
        if value.translate(FIELD_VALUE_TABLE) != value:
            raise ValueError(f"the value of response field {name!r} holds a control character (RFC 9110 section 5.5)")
        lower = name.lower()
        kind = FIELD_KINDS.get(lower, 0)
        if kind:
            if kind == LENGTH:
                if not value or value.translate(None, DIGITS):
                    raise ValueError("the response's Content-Length is not a number (RFC 9110 section 8.6)")
                kind += int(value)
            if lower == b"connection" and b"close" in tokens(value):
                kind |= HAS_CLOSE
        entry = (self._encode(name, value), kind)
        if lower in CACHEABLE and len(name) + len(value) <= MAX_CACHED_FIELD_BYTES:
            if len(self.known) >= MAX_CACHED_FIELDS:
                self.known.clear()
            self.known[name, value] = entry
        return entry

    def encode_trailers(self, headers: Iterable[Iterable[bytes]]) -> list[bytes]:
        """Check and encode trailer fields. Raises as `encode_all`, and ValueError for a field that may not be a
        trailer."""
        lines = []
        if headers is None:
            raise TypeError(NO_FIELDS)
        for pair in headers:
            key = as_tuple(pair)
            line, _ = self.encode_pair(key)
            name = key[0]
            if name.lower() in NOT_IN_TRAILERS:
                raise ValueError(f"{name!r} may not be a trailer field (RFC 9110 section 6.5.1)")
            lines.append(line)
        return lines


def as_tuple(pair: Iterable[bytes]) -> tuple[Any, ...]:
    """Return a field as a tuple. Raises TypeError if it is not iterable."""
    try:
        return tuple(pair)
    except TypeError:
        raise TypeError(f"a response field is a pair of bytes, not {pair!r}") from None
