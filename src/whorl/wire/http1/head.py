"""The head of a request: request line and header section (RFC 9112 sections 2, 3, 5, 6 and 9.3; RFC 9110 sections 7.2
and 10.1.1).

`parse_head` refuses everything that two servers could read in two ways (request smuggling): more than one Host,
Content-Length beside Transfer-Encoding, white space where the grammar has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from whorl.http.error import HttpError
from whorl.http.grammar import TARGET_TABLE, TOKEN, check_host, tokens
from whorl.http.request import EXPECT_CONTINUE, FORWARDED, TE_TRAILERS, UNKNOWN_LENGTH, UPGRADE_DROPPED, Request
from whorl.wire.http1.fields import (
    FIELD_CLOSE,
    FIELD_CONNECTION,
    FIELD_EXPECT,
    FIELD_FORWARDED,
    FIELD_HOST,
    FIELD_LENGTH,
    FIELD_TE,
    FIELD_TRANSFER_ENCODING,
    FIELD_UPGRADE,
    FIELD_WEBSOCKET_KEY,
    FieldLineCache,
)

__all__ = ["CLOSE", "HTTP_1_0", "UPGRADE", "HeadLimits", "check_request_line", "parse_head"]

# Bits of Request.flags that only HTTP/1 has. From CLOSE on they decide about persistence.
UPGRADE: Final = 16
"""Connection names Upgrade, which has a value (RFC 9110 section 7.8)."""
CLOSE: Final = 32
"""The connection ends with this request (RFC 9112 section 9.3)."""
HTTP_1_0: Final = 64

SLASH: Final = 0x2F

METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")}


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What one request head may cost.

    Attributes:
        request_line_bytes: longest request line, without its CRLF; a longer one is answered 414.
        header_section_bytes: longest header section, each line with its CRLF; a longer one is answered 431. A trailer
            section has the same limit.
        header_fields: most field lines; more are answered 431.
        fast_path_bytes: a head of this length keeps both limits.
    """

    request_line_bytes: int = 16 * 1024
    header_section_bytes: int = 64 * 1024
    header_fields: int = 128
    fast_path_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fast_path_bytes", min(self.request_line_bytes, self.header_section_bytes))


def parse_head(data: bytes, limits: HeadLimits, cache: FieldLineCache) -> Request:
    """Parse a whole head.

    Args:
        data: request line and field lines, without the empty line that ends them.
        limits: what the head may cost.
        cache: the server's field lines.

    Raises:
        HttpError: the head is malformed, too large, or asks for what HTTP/1 here does not have.
    """
    lines = data.split(b"\r\n")
    first = lines.pop(0)
    if len(data) > limits.fast_path_bytes or len(lines) > limits.header_fields:
        _check_size(len(data), len(first), len(lines), limits)
    request = _parse_request_line(first)
    fields = request.fields
    special: list[tuple[int, bytes]] | None = None
    hosts = 0
    length_bytes = -1
    known = cache.known
    for line in lines:
        entry = known.get(line)
        if entry is None:
            entry = cache.parse(line)
        field, kind = entry
        fields.append(field)
        if kind:
            if kind == FIELD_HOST:
                hosts += 1
            elif kind >= FIELD_LENGTH:
                if length_bytes >= 0:
                    raise HttpError(400, "Content-Length stands more than once (RFC 9112 section 6.3).")
                length_bytes = kind - FIELD_LENGTH
            elif special is None:
                special = [(kind, field[1])]
            else:
                special.append((kind, field[1]))
    if hosts != 1 or request.flags:
        _check_hosts(request, hosts)
    if length_bytes > 0:
        request.body_bytes = length_bytes
    if special is not None:
        _apply_special_fields(request, special, length_bytes)
    if request.target[0] != SLASH:
        _resolve_target(request)
    return request


def _check_size(head_bytes: int, first_line_bytes: int, lines: int, limits: HeadLimits) -> None:
    if first_line_bytes > limits.request_line_bytes:
        raise HttpError(414, "The request line is too long (RFC 9112 section 3).")
    if head_bytes - first_line_bytes > limits.header_section_bytes or lines > limits.header_fields:
        raise HttpError(431, "The header section is too large (RFC 6585 section 5).")


# The request line


def check_request_line(line: bytes) -> None:
    """Refuse a request line that can never be served, before the rest of its head has come.

    Raises:
        HttpError: 400, 501 or 505.
    """
    _parse_request_line(line)


def _parse_request_line(line: bytes) -> Request:
    """request-line = method SP request-target SP HTTP-version (RFC 9112 section 3)."""
    try:
        name, target, protocol = line.split(b" ")
    except ValueError:
        reason = "The request line is not a method, a target and a version (RFC 9112 section 3)."
        raise HttpError(400, reason) from None
    method = METHODS.get(name)
    if method is None:
        method = _parse_method(name, target)
    version, flags = "1.1", 0
    if protocol != b"HTTP/1.1" and _parse_minor_version(protocol) == 0:
        version, flags = "1.0", HTTP_1_0
    if not target or target.translate(TARGET_TABLE) != target:
        raise HttpError(400, "The request-target holds a byte that no URI has (RFC 9112 section 3.2).")
    return Request(method, target, version, flags)


def _parse_method(name: bytes, target: bytes) -> str:
    """A method that is not in `METHODS`: any token is one (RFC 9110 section 9.1)."""
    if not name or name.translate(None, TOKEN):
        raise HttpError(400, "The method is not a token (RFC 9110 section 9.1).")
    if name == b"CONNECT" and target[:1] == b"/":
        raise HttpError(400, "The target of CONNECT is not a host and a port (RFC 9112 section 3.2.3).")
    return name.decode("ascii")


def _parse_minor_version(protocol: bytes) -> int:
    """HTTP-version = "HTTP/" DIGIT "." DIGIT, in capitals (RFC 9112 section 2.3). A minor version above 1 is served as
    1.1 (RFC 9110 section 2.5)."""
    name, major, dot, minor = protocol[:5], protocol[5:6], protocol[6:7], protocol[7:]
    if name != b"HTTP/" or dot != b"." or not major.isdigit() or not minor.isdigit() or len(minor) != 1:
        raise HttpError(400, "The HTTP version is malformed (RFC 9112 section 2.3).")
    if major != b"1":
        raise HttpError(505, "This server speaks HTTP/1.1 and HTTP/1.0 here (RFC 9110 section 15.6.6).")
    return int(minor)


# What fields mean


def _check_hosts(request: Request, hosts: int) -> None:
    """HTTP/1.0 needs no Host, and persists only if a field says so; that is NO_MEANING in HTTP/1.1."""
    if request.flags & HTTP_1_0:
        connection = b",".join(value for name, value in request.fields if name == b"connection")
        if b"keep-alive" not in tokens(connection):
            request.flags |= CLOSE
    if hosts > 1 or (not hosts and not request.flags & HTTP_1_0):
        raise HttpError(400, "A request has exactly one Host (RFC 9112 section 3.2).")


def _apply_special_fields(request: Request, special: list[tuple[int, bytes]], length_bytes: int) -> None:
    """Apply the fields that decide framing and connection handling, or that a proxy adds."""
    codings: list[bytes] = []
    options: list[bytes] = []
    has_upgrade = has_key = False
    for kind, value in special:
        if kind == FIELD_FORWARDED:
            request.flags |= FORWARDED
        elif kind == FIELD_CLOSE:
            request.flags |= CLOSE
        elif kind == FIELD_CONNECTION:
            options += tokens(value)
        elif kind == FIELD_TRANSFER_ENCODING:
            codings.append(value)
        elif kind == FIELD_EXPECT:
            _apply_expect(request, value)
        elif kind == FIELD_TE:
            if b"trailers" in tokens(value):
                request.flags |= TE_TRAILERS
        elif kind == FIELD_UPGRADE:
            has_upgrade = has_upgrade or bool(value)
        elif kind == FIELD_WEBSOCKET_KEY:
            has_key = True
    if options:
        _apply_connection(request, options, has_upgrade)
    if has_key and not request.flags & UPGRADE:
        request.flags |= UPGRADE_DROPPED
    if codings:
        _apply_transfer_coding(request, codings, length_bytes)


def _apply_expect(request: Request, value: bytes) -> None:
    """100-continue is the only expectation, and HTTP/1.0 has none (RFC 9110 section 10.1.1)."""
    if request.flags & HTTP_1_0:
        return
    if set(tokens(value)) != {b"100-continue"}:
        raise HttpError(417, "The only expectation that can be met is 100-continue (RFC 9110 section 10.1.1).")
    request.flags |= EXPECT_CONTINUE


def _apply_connection(request: Request, options: list[bytes], has_upgrade: bool) -> None:
    """Persistence (RFC 9112 section 9.3), and Upgrade if Connection names it; HTTP/1.0 has no Upgrade (RFC 9110 section
    7.8)."""
    if b"close" in options:
        request.flags |= CLOSE
    if has_upgrade and b"upgrade" in options and not request.flags & HTTP_1_0:
        request.flags |= UPGRADE


def _apply_transfer_coding(request: Request, codings: list[bytes], length_bytes: int) -> None:
    """Only `chunked` is served (RFC 9112 sections 6.1 and 6.3): anything else is how requests are smuggled."""
    if request.flags & HTTP_1_0:
        raise HttpError(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1).")
    if length_bytes >= 0:
        raise HttpError(400, "Content-Length and Transfer-Encoding stand together (RFC 9112 section 6.3).")
    if len(codings) == 1 and codings[0].lower() == b"chunked":
        request.body_bytes = UNKNOWN_LENGTH
        return
    names = tokens(b",".join(codings))
    if not names or names[-1] != b"chunked" or names.count(b"chunked") > 1:
        raise HttpError(400, "The final transfer coding is not chunked (RFC 9112 section 6.3).")
    if len(names) == 1:
        raise HttpError(400, "Transfer-Encoding has members that are empty (RFC 9110 section 5.6.1).")
    raise HttpError(501, "The only transfer coding understood is chunked (RFC 9112 section 6.1).")


def _resolve_target(request: Request) -> None:
    """The forms of request-target beside origin-form (RFC 9112 section 3.2)."""
    target = request.target
    if target == b"*" and request.method == "OPTIONS":
        return
    if request.method == "CONNECT":
        host, colon, port = target.rpartition(b":")
        if not colon or not host or not port:
            raise HttpError(400, "The target of CONNECT is not a host and a port (RFC 9112 section 3.2.3).")
        check_host(target)
        raise HttpError(501, "This server opens no tunnels (RFC 9110 section 9.3.6).")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise HttpError(400, "The request-target has none of the four forms (RFC 9112 section 3.2).")
    ends = [at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0]
    end = min(ends, default=len(rest))
    authority, path = rest[:end], rest[end:]
    check_host(authority)
    # The target's authority replaces Host (RFC 9112 section 3.2.2).
    host_field = (b"host", authority)
    fields = [host_field if field[0] == b"host" else field for field in request.fields]
    request.fields = fields if host_field in fields else [host_field, *fields]
    if not path and request.method == "OPTIONS":
        request.target = b"*"  # RFC 9112 section 3.2.4
    else:
        request.target = path if path[:1] == b"/" else b"/" + path
