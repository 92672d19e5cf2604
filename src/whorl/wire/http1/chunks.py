"""The body of a request in chunks (RFC 9112 section 7.1).

A `ChunkedBody` takes bytes and gives back those that belong to the body, in as few pieces as it can; it holds no bytes
itself, so a body costs no memory here. `reader` feeds it and keeps what it did not take; a body whose length is known
needs nobody but the reader.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from whorl.http.error import HttpError
from whorl.http.grammar import CHUNK_EXT, HEX
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import HeadLimits

__all__ = ["ChunkedBody"]


class Part(IntEnum):
    """What comes next in a chunked body. The table of transitions is ChunkedBody.read."""

    SIZE = 0
    DATA = 1
    DATA_END = 2
    TRAILERS = 3
    END = 4


CR: Final = 0x0D

# More hexadecimal digits than any real chunk needs are an attack on integers (RFC 9112 section 7.1).
CHUNK_SIZE_DIGITS: Final = 15

# Size and extensions of one chunk; and the extensions of a whole body, which carry nothing that anybody here reads.
CHUNK_LINE_BYTES: Final = 4096
CHUNK_EXTENSIONS_BYTES: Final = 16 * 1024


# So many are read at once: a read of the socket holds 16,000 of one byte.
MAX_CHUNKS: Final = 256


class ChunkedBody:
    """A body in chunks (RFC 9112 section 7.1). Extensions and trailers are checked, bounded and dropped: nothing here
    becomes a header.

    Attributes:
        complete: whether the body and its trailer section have ended.
        is_stopped: whether as many chunks were read as are read at once, so that others may be left.
    """

    __slots__ = (
        "_extensions_bytes",
        "_limits",
        "_lines",
        "_part",
        "_remaining_bytes",
        "_trailer_fields",
        "_trailers_bytes",
        "is_stopped",
    )

    def __init__(self, limits: HeadLimits, lines: FieldLineCache) -> None:
        self._limits = limits
        self._lines = lines
        self._part = Part.SIZE
        self._remaining_bytes = 0
        self._extensions_bytes = 0
        self._trailers_bytes = 0
        self._trailer_fields = 0
        self.is_stopped = False

    @property
    def complete(self) -> bool:
        return self._part is Part.END

    def read(self, buffer: bytes, at: int) -> tuple[bytes, int]:
        """Take what belongs to the body, through as many chunks as have come.

        Args:
            buffer: bytes as they came.
            at: where to begin in them.

        Returns:
            The bytes of the body, and where the rest of the buffer begins: at its end, or at a line that is not
                complete yet.

        Raises:
            HttpError: 400 for what is no chunk (section 7.1), 431 for too large a trailer section.
        """
        pieces: list[bytes] = []
        self.is_stopped = False
        while True:
            part = self._part
            if part is Part.SIZE:
                if len(pieces) == MAX_CHUNKS:
                    self.is_stopped = True
                    break
                end = self._line_end(buffer, at, CHUNK_LINE_BYTES)
                if end < 0:
                    break
                self._remaining_bytes = self._chunk_size(buffer[at:end])
                self._part = Part.DATA if self._remaining_bytes else Part.TRAILERS
                at = end + 2
            elif part is Part.DATA:
                piece = buffer[at : at + self._remaining_bytes]
                pieces.append(piece)
                at += len(piece)
                self._remaining_bytes -= len(piece)
                if self._remaining_bytes:
                    break
                self._part = Part.DATA_END
            elif part is Part.DATA_END:
                follows = buffer[at : at + 2]
                if follows != b"\r\n":
                    if follows and follows != b"\r":
                        raise HttpError(400, "Chunk data is not followed by CRLF (RFC 9112 section 7.1).")
                    break
                at += 2
                self._part = Part.SIZE
            elif part is Part.TRAILERS:
                end = self._line_end(buffer, at, self._limits.header_section_bytes - self._trailers_bytes)
                if end < 0:
                    break
                self._trailer(buffer[at:end])
                at = end + 2
            else:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), at

    def _line_end(self, buffer: bytes, at: int, limit_bytes: int) -> int:
        """Where the line that begins at `at` has its CRLF; -1 if that has not come."""
        newline = buffer.find(b"\n", at)  # one byte is found faster than two, by a whole order
        ends_well = newline > at and buffer[newline - 1] == CR
        end = newline - 1 if ends_well else newline
        length_bytes = (end if newline >= 0 else len(buffer) - 1) - at
        if length_bytes > limit_bytes:
            if self._part is Part.TRAILERS:
                raise HttpError(431, "The trailer section is too large (RFC 6585 section 5).")
            raise HttpError(400, "A chunk's size line is too long (RFC 9112 section 7.1).")
        if newline >= 0 and not ends_well:
            raise HttpError(400, "A line of a chunked body ends in a bare LF (RFC 9112 section 2.2).")
        return end

    def _chunk_size(self, line: bytes) -> int:
        """chunk = chunk-size [ chunk-ext ] CRLF, chunk-size = 1*HEXDIG."""
        size, semicolon, _ = line.partition(b";")
        if semicolon:
            size = size.rstrip(b" \t")
            self._extensions_bytes += len(line) - len(size)
            if self._extensions_bytes > CHUNK_EXTENSIONS_BYTES:
                raise HttpError(400, "The chunk extensions are too large (RFC 9112 section 7.1.1).")
            if not CHUNK_EXT.fullmatch(line, len(size)):
                raise HttpError(400, "A chunk extension is malformed (RFC 9112 section 7.1.1).")
        if not size or size.translate(None, HEX) or len(size) > CHUNK_SIZE_DIGITS:
            raise HttpError(400, "A chunk size is not a hexadecimal number (RFC 9112 section 7.1).")
        return int(size, 16)

    def _trailer(self, line: bytes) -> None:
        """trailer-section = *( field-line CRLF ), then an empty line."""
        if not line:
            self._part = Part.END
            return
        self._trailers_bytes += len(line) + 2
        self._trailer_fields += 1
        limits = self._limits
        if self._trailers_bytes > limits.header_section_bytes or self._trailer_fields > limits.header_fields:
            raise HttpError(431, "The trailer section is too large (RFC 6585 section 5).")
        self._lines.parse(line)
