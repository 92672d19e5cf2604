"""Where TLS records begin and end in what has come (RFC 8446 section 5.1).

OpenSSL is given them one by one: so it is asked only for what it has whole, because "not yet" is an exception, and its
buffer, which never shrinks, grows no larger than a record. Used by `tls`. It must not know what is in a record.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEADER_BYTES", "RECORD_BYTES", "Records"]

HEADER_BYTES: Final = 5
"""The type, the version, and in the last two octets the length of what follows."""
RECORD_BYTES: Final = 16 * 1024
"""No record holds more than this."""
LONGEST_BYTES: Final = HEADER_BYTES + RECORD_BYTES + 2048
"""Nor is it longer, enciphered (RFC 5246 section 6.2.3; RFC 8446 section 5.2 allows less)."""
TYPES: Final = range(20, 24)
MAJOR_VERSION: Final = 3


class Records:
    """The records of one connection, in the order in which they come.

    Attributes:
        missing_bytes: what is still to come of the last one; 0 where it has come whole.
    """

    __slots__ = ("_scrap", "missing_bytes")

    def __init__(self) -> None:
        self.missing_bytes = 0
        self._scrap = b""

    def cut(self, data: bytes) -> tuple[list[memoryview], memoryview]:
        """Cut what has come where records end.

        What cannot be a record counts as whole, so that OpenSSL sees it at once and says what is wrong with it.

        Returns:
            the ends of whole records, most of them from their beginning; and the beginning of another.
        """
        missing = self.missing_bytes
        if self._scrap:
            data = self._scrap + data
            self._scrap = b""
            missing = 0
        octets = memoryview(data)
        whole: list[memoryview] = []
        start, size = 0, len(octets)
        while start < size:
            if not missing:
                if size - start < HEADER_BYTES:
                    self._scrap = bytes(octets[start:])
                    self.missing_bytes = HEADER_BYTES - len(self._scrap)
                    return whole, octets[size:]
                missing = HEADER_BYTES + (octets[start + 3] << 8 | octets[start + 4])
                if missing > size - start and not possible(octets[start], octets[start + 1], missing):
                    missing = size - start
            if missing > size - start:
                break
            whole.append(octets[start : start + missing])
            start += missing
            missing = 0
        self.missing_bytes = max(0, missing - (size - start))
        return whole, octets[start:]


def possible(kind: int, major_version: int, size_bytes: int) -> bool:
    """Whether something may be a record."""
    return kind in TYPES and major_version == MAJOR_VERSION and size_bytes <= LONGEST_BYTES
