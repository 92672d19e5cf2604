"""How a response is written in HTTP/1.1 (RFC 9112 sections 4, 6 and 7.1): status line, fields, chunks, refusals.

Constants and small functions that return octets; the connection puts them together so that a response leaves in one
write. Whether a response has content, and how long it is, is decided above (RFC 9110); that HTTP/1.0 gets no chunks is
decided by the connection, who knows the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from whorl.http.error import Refusal

__all__ = [
    "CHUNKED_LINE",
    "CLOSE_LINE",
    "KEEP_ALIVE_LINE",
    "UPGRADE_LINE",
    "encode_field",
    "interim_response",
    "last_chunk",
    "refusal_content",
    "refusal_response",
    "status_line",
]

# RFC 9110 section 15, and the IANA registry where it says more. The phrase is for people; no client may depend on it.
REASONS: Final = {
    100: b"Continue",
    101: b"Switching Protocols",
    102: b"Processing",
    103: b"Early Hints",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    208: b"Already Reported",
    226: b"IM Used",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    422: b"Unprocessable Content",
    423: b"Locked",
    424: b"Failed Dependency",
    425: b"Too Early",
    426: b"Upgrade Required",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    451: b"Unavailable For Legal Reasons",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    506: b"Variant Also Negotiates",
    507: b"Insufficient Storage",
    508: b"Loop Detected",
    511: b"Network Authentication Required",
}

STATUS_LINES: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"")) for status in range(100, 600)}

CHUNKED_LINE: Final = b"transfer-encoding: chunked\r\n"
CLOSE_LINE: Final = b"connection: close\r\n"
KEEP_ALIVE_LINE: Final = b"connection: keep-alive\r\n"
UPGRADE_LINE: Final = b"connection: upgrade\r\n"


def status_line(status: int) -> bytes:
    """status-line, with its CRLF (RFC 9112 section 4). The space before an empty reason phrase is part of it."""
    return STATUS_LINES[status]


def encode_field(name: bytes, value: bytes) -> bytes:
    """field-line, with its CRLF (RFC 9112 section 5). The name and value were checked."""
    return b"%b: %b\r\n" % (name, value)


def last_chunk(trailer_lines: Sequence[bytes]) -> bytes:
    """last-chunk, trailer-section and the empty line (RFC 9112 section 7.1)."""
    if not trailer_lines:
        return b"0\r\n\r\n"
    return b"0\r\n%b\r\n" % b"".join(trailer_lines)


def interim_response(status: int, lines: Sequence[bytes]) -> bytes:
    """A whole 1xx response (RFC 9110 section 15.2)."""
    return b"%b%b\r\n" % (STATUS_LINES[status], b"".join(lines))


def refusal_content(refusal: Refusal) -> bytes:
    """What a refusal says to the person behind the client."""
    return b"%b: %b\n" % (REASONS[refusal.status], refusal.reason.encode("ascii"))


def refusal_response(refusal: Refusal, last_lines: bytes, with_content: bool) -> bytes:
    """The whole response that answers a refused request and ends the connection.

    Args:
        refusal: what is wrong.
        last_lines: the lines that every response of the server carries, Date among them, and the empty line.
        with_content: False where the request was HEAD.
    """
    content = refusal_content(refusal)
    return b"".join(
        (
            STATUS_LINES[refusal.status],
            refusal.lines,
            b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n" % len(content),
            last_lines,
            content if with_content else b"",
        )
    )
