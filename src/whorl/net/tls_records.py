"""Splits what was received into TLS records (RFC 8446 section 5.1).

OpenSSL gets whole records, one at a time: to ask it for what it does not have yet is an exception, and so the memory
BIO is empty whenever it has answered.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEADER_BYTES", "RECORD_BYTES", "split_records"]

HEADER_BYTES: Final = 5
"""Type, version, and in the last two bytes the length of what follows."""
RECORD_BYTES: Final = 16 * 1024
"""The most content of one record."""
LONGEST_BYTES: Final = HEADER_BYTES + RECORD_BYTES + 2048
"""The longest record (RFC 5246 section 6.2.3; RFC 8446 section 5.2 allows less)."""
FIRST_TYPE: Final = 20
LAST_TYPE: Final = 23
MAJOR_VERSION: Final = 3

Buffer = bytes | memoryview


def split_records(part: bytes, data: bytes, most: int) -> tuple[list[Buffer], bytes]:
    """Split off whole records.

    What cannot be a record counts as whole, so that OpenSSL reports the error at once.

    Args:
        part: what was left by the previous call.
        data: what was received since.
        most: how many records to split off at most.

    Returns:
        The records, and what is left. If there are fewer than `most`, that is the beginning of a record.
    """
    if len(part) > HEADER_BYTES and record_bytes(part[:HEADER_BYTES], len(part)):
        part, data = b"", part + data
    view = memoryview(data)
    records: list[Buffer] = []
    start = 0
    if part:
        header = part + view[:HEADER_BYTES]
        start = record_bytes(header, len(part) + len(view)) - len(part)
        if start <= 0:
            return records, part + data
        records.append(part + view[:start])
    while start < len(view) and len(records) < most:
        size = record_bytes(view[start : start + HEADER_BYTES], len(view) - start)
        if not size:
            break
        records.append(view[start : start + size])
        start += size
    return records, bytes(view[start:])


def record_bytes(header: Buffer, available_bytes: int) -> int:
    """Return the length of a record.

    Args:
        header: its header, as far as it was received.
        available_bytes: how much was received of it and of what follows.

    Returns:
        0 if the record is not complete; all that is available if it cannot be a record.
    """
    if len(header) < HEADER_BYTES:
        return 0
    size = HEADER_BYTES + (header[3] << 8 | header[4])
    if size <= available_bytes:
        return size
    possible = FIRST_TYPE <= header[0] <= LAST_TYPE and header[1] == MAJOR_VERSION and size <= LONGEST_BYTES
    return 0 if possible else available_bytes
