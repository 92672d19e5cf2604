"""The requests of one connection as they are read (RFC 9112 sections 2.2, 6 and 9.3): heads and bodies in turn.

`receive_data` takes bytes however they are cut; `next_request` and `read_body` return what is complete. Pipelined
requests stay in the buffer until the connection asks for the next one.
"""

from __future__ import annotations

from typing import Final

from whorl.http.error import HttpError
from whorl.http.grammar import TOKEN
from whorl.http.request import UNKNOWN_LENGTH, Request
from whorl.wire.http1.chunks import ChunkedBody
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import HeadLimits, check_request_line, parse_head

__all__ = ["RequestReader"]

# RFC 9112 section 2.2 asks for tolerance of at least one empty line before a request line. A client that sends many
# does not speak HTTP.
MAX_EMPTY_LINES: Final = 4

# The access log shows at most this much of a refused request line.
MAX_LOGGED_BYTES: Final = 1024

CR: Final = 0x0D


class RequestReader:
    """Parses the requests of one connection.

    Args:
        limits: what one head may cost.
        cache: the server's field lines.

    Attributes:
        body_complete: whether the body of the last request has been read to its end.
        buffer: the last bytes received, of which some are not read yet; empty if all are.
    """

    __slots__ = (
        "_cache",
        "_chunks",
        "_empty_lines",
        "_limits",
        "_pos",
        "_remaining_bytes",
        "_scanned",
        "body_complete",
        "buffer",
    )

    _remaining_bytes: int
    """What is missing of a body of known length (RFC 9112 section 6.2)."""

    def __init__(self, limits: HeadLimits, cache: FieldLineCache) -> None:
        self._limits = limits
        self._cache = cache
        self.buffer = b""
        self._pos = 0
        self._scanned = 0
        self._empty_lines = 0
        self.body_complete = True
        self._chunks: ChunkedBody | None = None

    @property
    def buffered_bytes(self) -> int:
        """Return how much has been received and not read."""
        return len(self.buffer) - self._pos

    @property
    def has_unread_chunks(self) -> bool:
        """Return whether the last `read_body` may have left chunks in the buffer."""
        return self._chunks is not None and self._chunks.is_stopped and not self.body_complete and self.buffer != b""

    def receive_data(self, data: bytes) -> None:
        """Append bytes from the network."""
        if self.buffer:
            data = self.buffer[self._pos :] + data
            self._scanned = max(0, self._scanned - self._pos)
            self._pos = 0
        self.buffer = data

    def next_request(self) -> Request | None:
        """Parse the next request's head. The body of the previous request must have been read.

        Returns:
            The request; None while its head is not complete.

        Raises:
            HttpError: no valid head can begin with what has been received.
        """
        buffer = self.buffer
        at = self._pos
        end = buffer.find(b"\r\n\r\n", self._scanned)
        if end < 0:
            self._check_partial_head()
            return None
        try:
            request = parse_head(buffer[at:end], self._limits, self._cache)
        except HttpError:
            if self._skip_empty_lines():
                return self.next_request()
            self._refuse_early(at, end)  # of two errors, report the first one, however the bytes were cut
            raise
        self._empty_lines = 0
        end += 4
        if end == len(buffer):
            self.buffer = b""
            end = 0
        self._pos = self._scanned = end
        if request.body_bytes:
            self.body_complete = False
            self._remaining_bytes = request.body_bytes
            self._chunks = ChunkedBody(self._limits, self._cache) if request.body_bytes == UNKNOWN_LENGTH else None
        return request

    def read_body(self) -> bytes:
        """Return what has been received of the body since the last call. `body_complete` tells whether it has ended.

        Raises:
            HttpError: the body is malformed.
        """
        buffer = self.buffer
        if not buffer or self.body_complete:
            return b""
        at = self._pos
        if self._chunks is not None:
            data, end = self._chunks.read(buffer, at)
            self.body_complete = self._chunks.complete
            self._consume(end)
            return data
        end = at + self._remaining_bytes
        left_bytes = end - len(buffer)
        if left_bytes < 0:
            self._pos = self._scanned = end
            self.body_complete = True
            return buffer[at:end]
        self.buffer = b""
        self._pos = self._scanned = 0
        if left_bytes:
            self._remaining_bytes = left_bytes
        else:
            self.body_complete = True
        return buffer[at:]

    def _consume(self, at: int) -> None:
        """Mark what stands before `at` as read."""
        if at == len(self.buffer):
            self.buffer = b""
            at = 0
        self._pos = self._scanned = at

    def request_line(self) -> bytes:
        """Return the beginning of the request line that was refused, or that took too long."""
        line, _, _ = self.buffer[self._pos : self._pos + MAX_LOGGED_BYTES].partition(b"\n")
        return line.removesuffix(b"\r")

    def is_head_request(self) -> bool:
        """Return whether the request that was refused, or is not complete, is a HEAD: its method comes first, and its
        response has no content (RFC 9110 section 9.3.2)."""
        return self.buffer.startswith(b"HEAD ", self._pos)

    def take_remaining(self) -> bytes:
        """Return what has not been read: the connection switches to another protocol."""
        rest = self.buffer[self._pos :]
        self.discard()
        return rest

    def discard(self) -> None:
        """Drop what is buffered."""
        self.buffer = b""
        self._pos = self._scanned = 0

    def _check_partial_head(self) -> None:
        """Refuse a partial head that cannot become valid, and remember how far it was scanned for its end."""
        self._skip_empty_lines()
        if self.buffer:
            self._refuse_early(self._pos, -1)
            self._scanned = max(self._pos, len(self.buffer) - 3)

    def _skip_empty_lines(self) -> bool:
        """Skip the empty lines before a request line. Returns whether there were any."""
        at = self._pos
        while self.buffer.startswith(b"\r\n", at):
            at += 2
            self._empty_lines += 1
        if at == self._pos:
            return False
        self._consume(at)
        if self._empty_lines > MAX_EMPTY_LINES:
            raise HttpError(400, "Too many empty lines stand before the request line (RFC 9112 section 2.2).")
        return True

    def _refuse_early(self, at: int, head_end: int) -> None:
        """Refuse an invalid head before it is complete, and not only at its deadline.

        Args:
            at: where the head begins.
            head_end: where it ends; -1 if its end has not been received.
        """
        buffer = self.buffer
        limits = self._limits
        first = buffer[at : at + 1]
        if first.translate(None, TOKEN) and first != b"\r":
            raise HttpError(400, "This is not HTTP (RFC 9112 section 3).")
        bare_newline = self._bare_newline(at, head_end if head_end >= 0 else len(buffer))
        newline = buffer.find(b"\n", at)  # ten times as fast as a search for two bytes
        line_end = newline - 1 if newline > at and buffer[newline - 1] == CR else -1
        line_limit = at + limits.request_line_bytes
        if 0 <= bare_newline <= line_limit and (line_end < 0 or bare_newline < line_end):
            raise error_bare_lf()
        if line_end > line_limit or (line_end < 0 and len(buffer) > line_limit + 1):
            if not buffer[at:line_limit].translate(None, TOKEN):
                raise HttpError(501, "The method is longer than any (RFC 9112 section 3).")
            raise HttpError(414, "The request line is too long (RFC 9112 section 3).")
        if line_end < 0:
            return
        if line_end >= self._scanned:  # else it was checked when it was complete, not for each piece of the fields
            check_request_line(buffer[at:line_end])
        section_limit = line_end + limits.header_section_bytes
        if 0 <= bare_newline <= section_limit:
            raise error_bare_lf()
        if head_end > section_limit or (head_end < 0 and len(buffer) > section_limit + 3):
            raise HttpError(431, "The header section is too large (RFC 6585 section 5).")

    def _bare_newline(self, at: int, end: int) -> int:
        """Return where the first LF without CR stands in what has not been scanned; -1 for nowhere."""
        buffer = self.buffer
        found = max(at, self._scanned) - 1
        while (found := buffer.find(b"\n", found + 1, end)) >= 0:
            if found == at or buffer[found - 1] != CR:
                return found
        return -1


def error_bare_lf() -> HttpError:
    return HttpError(400, "A line ends in a bare LF (RFC 9112 section 2.2).")
