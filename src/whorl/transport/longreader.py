"""Reading of long WebSocket messages into a buffer that all connections share, for a loop that copies what it reads.

uvloop reads into a buffer of its own, and makes bytes of what is there before anybody sees it. A message of 64 KiB is
copied so for 4 % of what its echo costs in all, and then taken apart by a copy again. Asked for a buffer, uvloop reads
there, which takes two more calls: 8 % for a message of 32 octets. So only who has sent something long is read like
this, and from then on. Made by `connection`. It must not know frames.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from whorl.transport.phase import UPGRADED

if TYPE_CHECKING:
    from whorl.transport.connection import Connection

__all__ = ["LongReader", "read_long"]


def read_long(connection: Connection) -> None:
    """Read a WebSocket into the shared buffer from now on, where that saves anything.

    It does where the connection hears from the loop itself: TLS and the PROXY protocol hand on what is theirs.
    """
    if connection.shared.on_uvloop and connection.entrance.scheme == "http":
        transport = connection.transport
        if transport.get_protocol() is connection:
            transport.set_protocol(LongReader(connection))


class LongReader(asyncio.BufferedProtocol):
    """What the loop knows in place of the connection.

    Args:
        connection: a WebSocket; what it is given is good for one call.
    """

    __slots__ = ("_buffer", "_connection", "_view")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffer = connection.shared.long_buffer
        self._view = memoryview(self._buffer)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        view = self._view[:nbytes]
        connection = self._connection
        connection.data_received(view if connection.phase is UPGRADED else bytes(view))

    def eof_received(self) -> bool:
        return self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.connection_lost(error)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
