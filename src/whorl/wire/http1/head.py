"""The head of a request: request line and header section (RFC 9112 sections 2, 3, 5, 6 and 9.3; RFC 9110 sections 7.2
and 10.1.1).

`parse_head` turns the octets of a whole head into a `RequestHead`, or refuses. What it refuses is everything that two
servers could read in two ways: more than one Host, Content-Length beside Transfer-Encoding, white space where none
belongs. Called by `reader`. It must not know buffers or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from whorl.http.error import Refusal
from whorl.http.grammar import TARGET_TABLE, TOKEN, check_host, tokens
from whorl.http.request import Field
from whorl.wire.http1.fields import (
    CLOSE,
    CONNECTION,
    EXPECT,
    HOST,
    LENGTH,
    PROXIED,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    WEBSOCKET_KEY,
    FieldLines,
)

__all__ = [
    "CHUNKED",
    "SAYS_CLOSE",
    "SAYS_EXPECT",
    "SAYS_OF_PROXY",
    "SAYS_OLD",
    "SAYS_PROXIED",
    "SAYS_TRAILERS",
    "SAYS_UPGRADE",
    "SAYS_UPGRADE_LOST",
    "Limits",
    "RequestHead",
    "check_request_line",
    "parse_head",
]

# What stands in RequestHead.body_bytes where the length is not known beforehand.
CHUNKED: Final = -1

# What a head says beside its request, as bits of RequestHead.says. From SAYS_CLOSE on they decide about persistence.
SAYS_EXPECT: Final = 1
"""The client waits for 100 before it sends the body (RFC 9110 section 10.1.1)."""
SAYS_TRAILERS: Final = 2
"""It understands response trailers (RFC 9110 section 10.1.4)."""
SAYS_UPGRADE: Final = 4
"""It would rather speak another protocol from here on (RFC 9110 section 7.8)."""
SAYS_PROXIED: Final = 8
"""A proxy tells of its client in one of the fields."""
SAYS_UPGRADE_LOST: Final = 16
"""It is a handshake of WebSocket without the Upgrade that makes it one: a proxy in front has dropped that."""
SAYS_OF_PROXY: Final = SAYS_PROXIED | SAYS_UPGRADE_LOST
"""Either of the two: there is more to this request than the client's own words."""
SAYS_CLOSE: Final = 32
"""The connection ends with this request (RFC 9112 section 9.3)."""
SAYS_OLD: Final = 64
"""It is HTTP/1.0."""

SLASH: Final = 0x2F

METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request head may cost. The defaults' reasons stand in ARCHITECTURE.md.

    Attributes:
        request_line_bytes: longest request line, without its CRLF; longer is 414.
        header_section_bytes: longest header section, each line with its CRLF; longer is 431. A trailer
            section has the same limit.
        header_fields: most field lines; more is 431.
        harmless_bytes: a head no longer than this keeps both limits.
    """

    request_line_bytes: int = 16 * 1024
    header_section_bytes: int = 64 * 1024
    header_fields: int = 128
    harmless_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "harmless_bytes", min(self.request_line_bytes, self.header_section_bytes))


class RequestHead:
    """One request, as far as its head tells.

    Attributes:
        method: the method token, as sent.
        target: the origin-form of the request-target, path and query: what absolute-form named beyond it went
            into Host. `*` for asterisk-form.
        version: "1.1" or "1.0". A higher minor version is served as 1.1 (RFC 9110 section 2.5).
        fields: the field lines in order, names in lower case.
        body_bytes: the length of the body; 0 for none, CHUNKED where it comes in chunks.
        says: what else the head says, as bits; 0 where it says nothing of the kind, as most do.
    """

    __slots__ = ("body_bytes", "fields", "method", "says", "target", "version")

    def __init__(self, request_line: bytes) -> None:
        """request-line = method SP request-target SP HTTP-version (RFC 9112 section 3).

        Raises:
            Refusal: 400 or 505, where the line can never be served.
        """
        try:
            name, target, protocol = request_line.split(b" ")
        except ValueError:
            raise malformed_line() from None
        method = METHODS.get(name)
        self.method: str = _parse_method(name, target) if method is None else method
        self.version = "1.1"
        self.says = 0
        if protocol != b"HTTP/1.1":
            self._parse_version(protocol)
        if not target or target.translate(TARGET_TABLE) != target:
            raise Refusal(400, "The request-target holds an octet that no URI has (RFC 9112 section 3.2).")
        self.target: bytes = target
        self.fields: list[Field] = []
        self.body_bytes = 0

    def _parse_version(self, protocol: bytes) -> None:
        """HTTP-version = "HTTP/" DIGIT "." DIGIT, in capitals (RFC 9112 section 2.3)."""
        name, major, dot, minor = protocol[:5], protocol[5:6], protocol[6:7], protocol[7:]
        if name != b"HTTP/" or dot != b"." or not major.isdigit() or not minor.isdigit() or len(minor) != 1:
            raise Refusal(400, "The HTTP version is malformed (RFC 9112 section 2.3).")
        if major != b"1":
            raise Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0 here (RFC 9110 section 15.6.6).")
        if minor == b"0":
            self.version = "1.0"
            self.says = SAYS_OLD

    @property
    def keep_alive(self) -> bool:
        """Whether the connection outlives this request (RFC 9112 section 9.3)."""
        return not self.says & SAYS_CLOSE

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body."""
        return self.says & SAYS_EXPECT > 0

    @property
    def accepts_trailers(self) -> bool:
        """Whether the client understands response trailers (TE: trailers)."""
        return self.says & SAYS_TRAILERS > 0

    @property
    def upgrade(self) -> bytes:
        """The value of Upgrade where Connection names it, else empty."""
        if not self.says & SAYS_UPGRADE:
            return b""
        return b", ".join(value for name, value in self.fields if name == b"upgrade")


def parse_head(octets: bytes, limits: Limits, lines: FieldLines) -> RequestHead:
    """Read a whole head.

    Args:
        octets: request line and field lines, without the empty line that ends them.
        limits: what the head may cost.
        lines: the server's field lines.

    Returns:
        The request's head.

    Raises:
        Refusal: with the status that answers the request.
    """
    rest = octets.split(b"\r\n")
    first = rest.pop(0)
    if len(octets) > limits.harmless_bytes or len(rest) > limits.header_fields:
        _check_size(len(octets), len(first), len(rest), limits)
    head = RequestHead(first)
    fields = head.fields
    marked: list[tuple[int, bytes]] | None = None
    hosts = 0
    length_bytes = -1
    known = lines.known
    for line in rest:
        entry = known.get(line)
        if entry is None:
            entry = lines.parse(line)
        field, mark = entry
        fields.append(field)
        if mark:
            if mark == HOST:
                hosts += 1
            elif mark >= LENGTH:
                if length_bytes >= 0:
                    raise Refusal(400, "Content-Length stands more than once (RFC 9112 section 6.3).")
                length_bytes = mark - LENGTH
            elif marked is None:
                marked = [(mark, field[1])]
            else:
                marked.append((mark, field[1]))
    if hosts != 1 or head.says:
        _check_hosts(head, hosts)
    if length_bytes > 0:
        head.body_bytes = length_bytes
    if marked is not None:
        _interpret(head, marked, length_bytes)
    if head.target[0] != SLASH:
        _resolve_target(head)
    return head


def _check_hosts(head: RequestHead, hosts: int) -> None:
    """HTTP/1.0 needs no Host, and persists only where a field says so, which is PLAIN in HTTP/1.1."""
    if head.version == "1.0":
        said = b",".join(value for name, value in head.fields if name == b"connection")
        if b"keep-alive" not in tokens(said):
            head.says |= SAYS_CLOSE
    if hosts > 1 or (not hosts and head.version != "1.0"):
        raise Refusal(400, "A request has exactly one Host (RFC 9112 section 3.2).")


def _check_size(octets: int, first_line: int, lines: int, limits: Limits) -> None:
    if first_line > limits.request_line_bytes:
        raise Refusal(414, "The request line is too long (RFC 9112 section 3).")
    if octets - first_line > limits.header_section_bytes or lines > limits.header_fields:
        raise Refusal(431, "The header section is too large (RFC 6585 section 5).")


def check_request_line(line: bytes) -> None:
    """Refuse a request line that can never be served, before the rest of its head has come.

    Raises:
        Refusal: 400 or 505.
    """
    RequestHead(line)


def malformed_line() -> Refusal:
    return Refusal(400, "The request line is not a method, a target and a version (RFC 9112 section 3).")


def _parse_method(name: bytes, target: bytes) -> str:
    """A method that is not one of the usual: any token is one (RFC 9110 section 9.1)."""
    if not name or name.translate(None, TOKEN):
        raise Refusal(400, "The method is not a token (RFC 9110 section 9.1).")
    if name == b"CONNECT" and target[:1] == b"/":
        raise Refusal(400, "The target of CONNECT is not a host and a port (RFC 9112 section 3.2.3).")
    return name.decode("ascii")


def _interpret(head: RequestHead, marked: list[tuple[int, bytes]], length_bytes: int) -> None:
    """Draw the conclusions from the fields that decide framing and connection handling, or tell of a proxy's client."""
    codings: list[bytes] = []
    options: list[bytes] = []
    upgrade = has_key = False
    for mark, value in marked:
        if mark == PROXIED:
            head.says |= SAYS_PROXIED
        elif mark == CLOSE:
            head.says |= SAYS_CLOSE
        elif mark == CONNECTION:
            options += tokens(value)
        elif mark == TRANSFER_ENCODING:
            codings.append(value)
        elif mark == EXPECT:
            _expect(head, value)
        elif mark == TE:
            if b"trailers" in tokens(value):
                head.says |= SAYS_TRAILERS
        elif mark == UPGRADE:
            upgrade = upgrade or bool(value)
        elif mark == WEBSOCKET_KEY:
            has_key = True
    if options:
        _connection(head, options, upgrade)
    if has_key and not head.says & SAYS_UPGRADE:
        head.says |= SAYS_UPGRADE_LOST
    if codings:
        _transfer_coding(head, codings, length_bytes)


def _expect(head: RequestHead, value: bytes) -> None:
    """The only expectation there is, is 100-continue, and HTTP/1.0 has none (RFC 9110 section 10.1.1)."""
    if head.version == "1.0":
        return
    if set(tokens(value)) != {b"100-continue"}:
        raise Refusal(417, "The only expectation that can be met is 100-continue (RFC 9110 section 10.1.1).")
    head.says |= SAYS_EXPECT


def _connection(head: RequestHead, options: list[bytes], upgrade: bool) -> None:
    """Persistence (RFC 9112 section 9.3), and Upgrade where Connection names it (RFC 9110 section 7.8); HTTP/1.0 has
    no Upgrade."""
    if b"close" in options:
        head.says |= SAYS_CLOSE
    if upgrade and b"upgrade" in options and head.version == "1.1":
        head.says |= SAYS_UPGRADE


def _transfer_coding(head: RequestHead, codings: list[bytes], length_bytes: int) -> None:
    """RFC 9112 section 6.1 and 6.3: `chunked` alone is served. Anything else is how requests are smuggled."""
    if head.version == "1.0":
        raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1).")
    if length_bytes >= 0:
        raise Refusal(400, "Content-Length and Transfer-Encoding stand together (RFC 9112 section 6.3).")
    if len(codings) == 1 and codings[0].lower() == b"chunked":
        head.body_bytes = CHUNKED
        return
    names = tokens(b",".join(codings))
    if not names or names[-1] != b"chunked" or names.count(b"chunked") > 1:
        raise Refusal(400, "The final transfer coding is not chunked (RFC 9112 section 6.3).")
    if len(names) == 1:
        raise Refusal(400, "Transfer-Encoding has members that are empty (RFC 9110 section 5.6.1).")
    raise Refusal(501, "The only transfer coding understood is chunked (RFC 9112 section 6.1).")


def _resolve_target(head: RequestHead) -> None:
    """The forms of request-target beside origin-form (RFC 9112 section 3.2)."""
    target = head.target
    if target == b"*" and head.method == "OPTIONS":
        return
    if head.method == "CONNECT":
        host, colon, port = target.rpartition(b":")
        if not colon or not host or not port:
            raise Refusal(400, "The target of CONNECT is not a host and a port (RFC 9112 section 3.2.3).")
        check_host(target)
        raise Refusal(501, "This server opens no tunnels (RFC 9110 section 9.3.6).")
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise Refusal(400, "The request-target has none of the four forms (RFC 9112 section 3.2).")
    ends = [at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0]
    end = min(ends, default=len(rest))
    authority, path = rest[:end], rest[end:]
    check_host(authority)
    # The target's authority stands, whatever Host said (RFC 9112 section 3.2.2).
    meant = (b"host", authority)
    fields = [meant if field[0] == b"host" else field for field in head.fields]
    head.fields = fields if meant in fields else [meant, *fields]
    if not path and head.method == "OPTIONS":
        head.target = b"*"  # RFC 9112 section 3.2.4
    else:
        head.target = path if path[:1] == b"/" else b"/" + path
