"""One connection's requests as they come in (RFC 9112 sections 2.2, 6 and 9.3): heads and bodies in turn.

`receive_data` takes octets however they are cut; `try_head` and `read_body` give what is complete. Requests that were
sent ahead of their answers wait in the buffer until the connection asks for the next head. Called by
`transport.connection`. It must not know what is done with a request, nor wait, nor look at a clock.
"""

from __future__ import annotations

from typing import Final

from whorl.http.error import Refusal
from whorl.http.grammar import TOKEN
from whorl.wire.http1.chunks import ChunkedBody
from whorl.wire.http1.fields import FieldLines
from whorl.wire.http1.head import CHUNKED, Limits, RequestHead, check_request_line, parse_head

__all__ = ["RequestReader"]

# RFC 9112 section 2.2 wants at least one empty line tolerated before a request line; a client that sends many is not
# speaking HTTP.
EMPTY_LINES: Final = 4

# As much of a refused request line is shown as tells what it was; all of it is for those that are served.
SHOWN_BYTES: Final = 1024

CR: Final = 0x0D


class RequestReader:
    """Reads requests from octets.

    Attributes:
        body_complete: whether the body of the request whose head came last has been read to its end.
        buffer: the octets that hold what was not read yet; empty when all was.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_empty_lines",
        "_limits",
        "_lines",
        "_remaining_bytes",
        "_sought",
        "body_complete",
        "buffer",
    )

    _remaining_bytes: int
    """What is still to come of a body of known length (RFC 9112 section 6.2)."""

    def __init__(self, limits: Limits, lines: FieldLines) -> None:
        self._limits = limits
        self._lines = lines
        self.buffer = b""
        self._at = 0
        self._sought = 0
        self._empty_lines = 0
        self.body_complete = True
        self._chunks: ChunkedBody | None = None

    @property
    def buffered_bytes(self) -> int:
        """How much has come that was not read yet."""
        return len(self.buffer) - self._at

    @property
    def chunks_wait(self) -> bool:
        """Whether `read_body` may have left chunks that have come."""
        return self._chunks is not None and self._chunks.is_stopped and not self.body_complete and self.buffer != b""

    def receive_data(self, data: bytes) -> None:
        """Take octets from the network."""
        if self.buffer:
            data = self.buffer[self._at :] + data
            self._sought = max(0, self._sought - self._at)
            self._at = 0
        self.buffer = data

    def try_head(self) -> RequestHead | None:
        """The next request's head, or None while it is not complete. The body of the one before must have been read.

        Raises:
            Refusal: as soon as it is certain that no valid head can come of what is here.
        """
        buffer = self.buffer
        at = self._at
        end = buffer.find(b"\r\n\r\n", self._sought)
        if end < 0:
            self._head_is_coming()
            return None
        try:
            head = parse_head(buffer[at:end], self._limits, self._lines)
        except Refusal:
            if self._skip_empty_lines():
                return self.try_head()
            self._refuse_early(at, end)  # of two faults the first is told, however the octets were cut
            raise
        self._empty_lines = 0
        end += 4
        if end == len(buffer):
            self.buffer = b""
            end = 0
        self._at = self._sought = end
        if head.body_bytes:
            self.body_complete = False
            self._remaining_bytes = head.body_bytes
            self._chunks = ChunkedBody(self._limits, self._lines) if head.body_bytes == CHUNKED else None
        return head

    def read_body(self) -> bytes:
        """What has come of the body since the last call; `body_complete` tells whether that was the end of it.

        Raises:
            Refusal: where the body is malformed.
        """
        buffer = self.buffer
        if not buffer or self.body_complete:
            return b""
        at = self._at
        if self._chunks is not None:
            data, end = self._chunks.read(buffer, at)
            self.body_complete = self._chunks.complete
            self._consume(end)
            return data
        end = at + self._remaining_bytes
        left_bytes = end - len(buffer)
        if left_bytes < 0:
            self._at = self._sought = end
            self.body_complete = True
            return buffer[at:end]
        self.buffer = b""
        self._at = self._sought = 0
        if left_bytes:
            self._remaining_bytes = left_bytes
        else:
            self.body_complete = True
        return buffer[at:]

    def _consume(self, at: int) -> None:
        """What stands before `at` was read. A buffer that was read whole is let go."""
        if at == len(self.buffer):
            self.buffer = b""
            at = 0
        self._at = self._sought = at

    def request_line(self) -> bytes:
        """What has come of the request line that was refused, or waited for too long; its beginning, if it is long."""
        line, _, _ = self.buffer[self._at : self._at + SHOWN_BYTES].partition(b"\n")
        return line.removesuffix(b"\r")

    def is_head_request(self) -> bool:
        """Return whether the request that was refused, or has not come whole, is a HEAD: its method is known before
        the rest of its head is (RFC 9110 section 9.3.2)."""
        return self.buffer.startswith(b"HEAD ", self._at)

    def take_rest(self) -> bytes:
        """Everything that has come and was not read: the connection goes on in another protocol."""
        rest = self.buffer[self._at :]
        self.discard()
        return rest

    def discard(self) -> None:
        """Forget what is buffered: the connection is ending."""
        self.buffer = b""
        self._at = self._sought = 0

    def _head_is_coming(self) -> None:
        """Look at what is here of a head that is not complete, and remember how far its end was sought."""
        self._skip_empty_lines()
        if self.buffer:
            self._refuse_early(self._at, -1)
            self._sought = max(self._at, len(self.buffer) - 3)

    def _skip_empty_lines(self) -> bool:
        """Pass by empty lines before a request line, of which there may be some. Returns whether there were any."""
        at = self._at
        while self.buffer.startswith(b"\r\n", at):
            at += 2
            self._empty_lines += 1
        if at == self._at:
            return False
        self._consume(at)
        if self._empty_lines > EMPTY_LINES:
            raise Refusal(400, "Too many empty lines stand before the request line (RFC 9112 section 2.2).")
        return True

    def _refuse_early(self, at: int, head_end: int) -> None:
        """Say no to a head that is not complete but can no longer become valid: a deadline would only say it later.

        Args:
            at: where the head begins.
            head_end: where it ends, -1 if that has not come.
        """
        buffer = self.buffer
        limits = self._limits
        first = buffer[at : at + 1]
        if first.translate(None, TOKEN) and first != b"\r":
            raise Refusal(400, "This is not HTTP (RFC 9112 section 3).")
        bare_newline = self._bare_newline(at, head_end if head_end >= 0 else len(buffer))
        newline = buffer.find(b"\n", at)  # one octet is found faster than two, by a whole order
        line_end = newline - 1 if newline > at and buffer[newline - 1] == CR else -1
        line_limit = at + limits.request_line_bytes
        if 0 <= bare_newline <= line_limit and (line_end < 0 or bare_newline < line_end):
            raise bare_lf()
        if line_end > line_limit or (line_end < 0 and len(buffer) > line_limit + 1):
            if not buffer[at:line_limit].translate(None, TOKEN):
                raise Refusal(501, "The method is longer than any (RFC 9112 section 3).")
            raise Refusal(414, "The request line is too long (RFC 9112 section 3).")
        if line_end < 0:
            return
        if line_end >= self._sought:  # else it was checked when it had come, and not for each piece of the fields
            check_request_line(buffer[at:line_end])
        section_limit = line_end + limits.header_section_bytes
        if 0 <= bare_newline <= section_limit:
            raise bare_lf()
        if head_end > section_limit or (head_end < 0 and len(buffer) > section_limit + 3):
            raise Refusal(431, "The header section is too large (RFC 6585 section 5).")

    def _bare_newline(self, at: int, end: int) -> int:
        """Where the first LF without CR stands among what has come since the last look; -1 for nowhere."""
        buffer = self.buffer
        found = max(at, self._sought) - 1
        while (found := buffer.find(b"\n", found + 1, end)) >= 0:
            if found == at or buffer[found - 1] != CR:
                return found
        return -1


def bare_lf() -> Refusal:
    return Refusal(400, "A line ends in a bare LF (RFC 9112 section 2.2).")
