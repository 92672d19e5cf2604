"""Where TLS records begin and end in what has come (RFC 8446 section 5.1).

OpenSSL is given them whole and one by one: so it is asked only for what it has, because "not yet" is an exception, and
the memory that it reads from is empty whenever it has answered.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEADER_BYTES", "RECORD_BYTES", "cut"]

HEADER_BYTES: Final = 5
"""The type, the version, and in the last two bytes the length of what follows."""
RECORD_BYTES: Final = 16 * 1024
"""No record holds more than this."""
LONGEST_BYTES: Final = HEADER_BYTES + RECORD_BYTES + 2048
"""Nor is it longer, enciphered (RFC 5246 section 6.2.3; RFC 8446 section 5.2 allows less)."""
FIRST_TYPE: Final = 20
LAST_TYPE: Final = 23
MAJOR_VERSION: Final = 3

Octets = bytes | memoryview


def cut(part: bytes, data: bytes, most: int) -> tuple[list[Octets], bytes]:
    """Cut what has come where records end.

    What cannot be a record counts as whole, so that OpenSSL sees it at once and says what is wrong with it.

    Args:
        part: what was left the time before.
        data: what has come since.
        most: so many records are cut off.

    Returns:
        whole records; and what is left. Where there are fewer than `most`, that is the beginning of another, shorter
        than a record may be.
    """
    if len(part) > HEADER_BYTES and record_bytes(part[:HEADER_BYTES], len(part)):
        part, data = b"", part + data
    octets = memoryview(data)
    records: list[Octets] = []
    start = 0
    if part:
        header = part + octets[:HEADER_BYTES]
        start = record_bytes(header, len(part) + len(octets)) - len(part)
        if start <= 0:
            return records, part + data
        records.append(part + octets[:start])
    while start < len(octets) and len(records) < most:
        size = record_bytes(octets[start : start + HEADER_BYTES], len(octets) - start)
        if not size:
            break
        records.append(octets[start : start + size])
        start += size
    return records, bytes(octets[start:])


def record_bytes(header: Octets, there_bytes: int) -> int:
    """How long a record is.

    Args:
        header: what is there of its header.
        there_bytes: how much is there of it, and of what follows it.

    Returns:
        0 where it is not there whole; and all that is there where it cannot be a record.
    """
    if len(header) < HEADER_BYTES:
        return 0
    size = HEADER_BYTES + (header[3] << 8 | header[4])
    if size <= there_bytes:
        return size
    possible = FIRST_TYPE <= header[0] <= LAST_TYPE and header[1] == MAJOR_VERSION and size <= LONGEST_BYTES
    return 0 if possible else there_bytes
