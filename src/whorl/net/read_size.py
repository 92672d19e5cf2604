"""How much one read takes from a socket."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["READ_BYTES", "limit_read_size"]

# The transport of asyncio asks for 256 KiB per read. glibc serves that with mmap, mremap and munmap: 7 system calls for
# a request instead of 3. It does so from 128 KiB on; below, malloc(3) takes from its heap, and gives back what was not
# filled. A message of 64 KiB and its header must fit in one read: in two, it costs half as much again.
READ_BYTES: Final = 96 * 1024


def limit_read_size(transport: asyncio.BaseTransport) -> None:
    """Make a transport of asyncio read at most `READ_BYTES` at once."""
    if hasattr(transport, "max_size"):
        transport.max_size = READ_BYTES
