"""The parts of a response in HTTP/1.1 (RFC 9112 sections 4, 6 and 7.1): status line, fields, chunks, error responses.

The connection joins them, so that a response leaves in one write.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from whorl.http.error import HttpError

__all__ = [
    "CHUNKED_LINE",
    "CLOSE_LINE",
    "KEEP_ALIVE_LINE",
    "STATUS_LINES",
    "UPGRADE_LINE",
    "BodyEncoding",
    "encode_field",
    "error_content",
    "error_response",
    "interim_response",
    "last_chunk",
]

# RFC 9110 section 15 and the IANA registry. The phrase is for people: no client may depend on it.
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

# An empty reason phrase is preceded by a space too (RFC 9112 section 4).
STATUS_LINES: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"")) for status in range(100, 600)}

CHUNKED_LINE: Final = b"transfer-encoding: chunked\r\n"
CLOSE_LINE: Final = b"connection: close\r\n"
KEEP_ALIVE_LINE: Final = b"connection: keep-alive\r\n"
UPGRADE_LINE: Final = b"connection: upgrade\r\n"


class BodyEncoding(IntEnum):
    """How the end of a response body is told (RFC 9112 section 6.3)."""

    LENGTH = 0
    CHUNKED = 1
    UNTIL_CLOSE = 2


LENGTH: Final = BodyEncoding.LENGTH
CHUNKED: Final = BodyEncoding.CHUNKED
UNTIL_CLOSE: Final = BodyEncoding.UNTIL_CLOSE


def encode_field(name: bytes, value: bytes) -> bytes:
    """Encode a field line, with its CRLF (RFC 9112 section 5). Name and value must have been checked."""
    return b"%b: %b\r\n" % (name, value)


def last_chunk(trailer_lines: Sequence[bytes]) -> bytes:
    """Encode last-chunk, trailer-section and the empty line (RFC 9112 section 7.1)."""
    if not trailer_lines:
        return b"0\r\n\r\n"
    return b"0\r\n%b\r\n" % b"".join(trailer_lines)


def interim_response(status: int, lines: Sequence[bytes]) -> bytes:
    """Encode a whole 1xx response (RFC 9110 section 15.2)."""
    return b"%b%b\r\n" % (STATUS_LINES[status], b"".join(lines))


def error_content(error: HttpError) -> bytes:
    """Return the text that tells a person behind the client what is wrong."""
    return b"%b: %b\n" % (REASONS[error.status], error.reason.encode("ascii"))


def error_response(error: HttpError, header_block: bytes, with_content: bool) -> bytes:
    """Encode the whole response to a refused request, after which the connection closes.

    Args:
        error: what is wrong.
        header_block: the fields of every response of the server, Date among them, and the empty line.
        with_content: False if the request was HEAD.
    """
    content = error_content(error)
    return b"".join(
        (
            STATUS_LINES[error.status],
            *(encode_field(name, value) for name, value in error.fields),
            b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n" % len(content),
            header_block,
            content if with_content else b"",
        )
    )
