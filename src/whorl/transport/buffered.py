"""A connection for a loop that reads on in spite of `pause_reading`, as long as the client sends fast enough (rloop).

Such a loop asks a buffered protocol for room before each read, so a connection that is paused offers none. What is left
in the kernel then, the loop takes for read: it waits for more to come. So whoever resumes reads that first. Made by
`server`. It must not know which loop it serves.
"""

from __future__ import annotations

import asyncio
import os

from whorl.transport.connection import Connection
from whorl.transport.phase import CLOSING

__all__ = ["BufferedConnection"]

NO_ROOM = bytearray()


class BufferedConnection(Connection, asyncio.BufferedProtocol):
    """Serves one client, and is read into a buffer that all connections share."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to: nowhere, while reading is paused."""
        return NO_ROOM if self.reading_paused else self.shared.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        with memoryview(self.shared.read_buffer) as view:
            data = bytes(view[:nbytes])
        self.data_received(data)

    def _resume_transport(self) -> None:
        if self.reading_paused:
            service = self.shared.service
            service.loop.call_soon(self._catch_up, context=service.context)
        super()._resume_transport()

    def _catch_up(self) -> None:
        """Read what was left in the kernel, until nothing is or reading is paused again."""
        while not self.reading_paused and not self.their_eof and self.phase < CLOSING:
            try:
                data = os.read(self.fileno(), len(self.shared.read_buffer))
            except BlockingIOError:
                return
            except OSError:
                self.reset()
                return
            if data:
                self.data_received(data)
            else:
                self.eof_received()
