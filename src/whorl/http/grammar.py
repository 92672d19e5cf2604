"""The bytes that HTTP/1.1 allows where (RFC 9110 section 5, RFC 9112, RFC 3986), and the checks that need nothing
else.

A check is one call into C. `bytes.translate(None, allowed)` deletes what is allowed, and whatever is left is wrong. On
the way of every request there is a cheaper one, because that call begins by making a table: `bytes.translate(TABLE)`
gives back the very same bytes where all are allowed.
"""

from __future__ import annotations

import re
from typing import Final

from whorl.http.error import HttpError

__all__ = ["CHUNK_EXT", "DIGITS", "FIELD_VALUE_TABLE", "HEX", "TARGET_TABLE", "TOKEN", "check_host", "table", "tokens"]


def table(allowed: bytes) -> bytes:
    """A table for `bytes.translate` that changes every byte but those allowed."""
    return bytes(octet if octet in allowed else allowed[0] for octet in range(256))


ALPHA: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = b"0123456789"
HEX: Final = DIGITS + b"abcdefABCDEF"

# token = 1*tchar (RFC 9110 section 5.6.2)
TOKEN: Final = b"!#$%&'*+-.^_`|~" + DIGITS + ALPHA

# field-value = *field-content, of VCHAR, obs-text, SP and HTAB (RFC 9110 section 5.5). NUL, CR, LF and the other
# controls are left out.
FIELD_VALUE_TABLE: Final = table(b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)))

# request-target (RFC 9112 section 3.2). RFC 3986 allows less than VCHAR, but browsers send `|`, `"`, `{` and the like
# in queries; none of them is ambiguous. "#" would start a fragment, which a request-target has not.
TARGET_TABLE: Final = table(bytes(octet for octet in range(0x21, 0x7F) if octet != 0x23))

# reg-name (RFC 3986 section 3.2.2) without the comma: "a,b" is a list in every other field, and no host has such a
# name.
REG_NAME: Final = b"-._~%!$&'()*+;=" + DIGITS + ALPHA
IPV6_ADDRESS: Final = HEX + b":."

# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ) (RFC 9112 section 7.1.1), a value being a
# token or a quoted-string (RFC 9110 section 5.6.4). Rare and short, so a pattern may say it. Possessive, so that what
# does not match is not tried again in pieces.
CHUNK_EXT: Final = re.compile(
    rb"""(?: [ \t]*+ ; [ \t]*+ TOKEN++ (?: [ \t]*+ = [ \t]*+
            (?: TOKEN++ | " QDTEXT*+ (?: \\ QUOTED QDTEXT*+ )* " )
        )? )*""".replace(b"TOKEN", b"[%b]" % re.escape(TOKEN))
    .replace(b"QDTEXT", rb"[\t\x20-\x21\x23-\x5B\x5D-\x7E\x80-\xFF]")
    .replace(b"QUOTED", rb"[\t\x20-\x7E\x80-\xFF]"),
    re.VERBOSE,
)


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, lower-cased, empty members left out (RFC 9110 section 5.6.1)."""
    return [member.strip(b" \t") for member in value.lower().split(b",") if member.strip(b" \t")]


def is_hex(octets: bytes) -> bool:
    """Whether these bytes are hexadecimal digits."""
    return not octets.translate(None, HEX)


def is_ipv6_address(octets: bytes) -> bool:
    """Whether these bytes are an IPv6address (RFC 3986 section 3.2.2). A zone is not for the wire."""
    if octets.translate(None, IPV6_ADDRESS):
        return False
    import ipaddress  # hosts that are IPv6 addresses are rare, and each is checked once

    try:
        ipaddress.IPv6Address(octets.decode("ascii"))
    except ValueError:
        return False
    return True


def check_host(value: bytes) -> None:
    """Refuse what is not `uri-host [ ":" port ]` (RFC 9110 section 7.2).

    An empty value is refused too: RFC 9112 section 3.2 leaves it to targets without an authority, and an http URI
    always has one (RFC 9110 section 4.2.1). Userinfo, a path, white space and a list are no uri-host.

    Raises:
        HttpError: 400.
    """
    if value[:1] == b"[":
        literal, bracket, rest = value[1:].partition(b"]")
        valid = bool(bracket) and is_ipv6_address(literal) and rest[:1] in (b"", b":")
        port = rest[1:]
    else:
        name, _, port = value.partition(b":")
        valid = bool(name) and not name.translate(None, REG_NAME)
        if name.find(b"%") >= 0:
            valid = valid and all(len(part) > 1 and is_hex(part[:2]) for part in name.split(b"%")[1:])
    if not valid or port.translate(None, DIGITS) or len(port) > 5 or (port and int(port) > 65535):
        raise HttpError(400, "Host is not a host name or address with an optional port (RFC 9112 section 3.2).")
