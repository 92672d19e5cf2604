"""Reading on a loop that reads on in spite of `pause_reading`, as long as the client sends fast enough (rloop).

Such a loop asks a buffered protocol for room before each read, so a connection that is paused offers none. What is left
in the kernel then, the loop takes for read: it waits for more to come. So whoever resumes reads that first. There is
one class for each that may be the loop's protocol: the connection, its TLS, and the PROXY protocol before both.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from whorl.connection.http1 import Http1Connection
from whorl.connection.http1_state import CLOSED, CLOSING
from whorl.connection.proxy_protocol import ProxyProtocolReader
from whorl.connection.tls_transport import TlsTransport

__all__ = ["BufferedConnection", "BufferedProxyProtocolReader", "BufferedTlsTransport"]

NO_ROOM = bytearray()


def room(connection: Http1Connection) -> bytearray:
    """Where the loop reads to: nowhere, while reading is paused."""
    return NO_ROOM if connection.reading_paused or connection.reading_held else connection.context.read_buffer


def taken(connection: Http1Connection, size_bytes: int) -> bytes:
    """What the loop has read."""
    with memoryview(connection.context.read_buffer) as view:
        return bytes(view[:size_bytes])


def plan_catch_up(reader: asyncio.Protocol, connection: Http1Connection) -> None:
    """Have what was left in the kernel be read in the next turn of the loop."""
    app_context = connection.context.app_context
    app_context.loop.call_soon(catch_up, reader, connection, context=app_context.context)


def catch_up(reader: asyncio.Protocol, connection: Http1Connection) -> None:
    """Read what was left in the kernel, until nothing is or reading is paused again.

    Args:
        reader: the loop's protocol, or who gets its bytes.
        connection: who paused, and resumed.
    """
    while len(room(connection)) and not connection.their_eof and connection.phase not in (CLOSING, CLOSED):
        try:
            data = os.read(connection.fileno(), len(connection.context.read_buffer))
        except BlockingIOError:
            return
        except OSError:
            connection.reset()
            return
        if data:
            reader.data_received(data)
        else:
            reader.eof_received()


class BufferedConnection(Http1Connection, asyncio.BufferedProtocol):
    """Serves one client, and is read into a buffer that all connections share."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to."""
        return room(self)

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        self.data_received(taken(self, nbytes))

    def resume_reading(self) -> None:
        if self.reading_paused:
            plan_catch_up(self, self)
        super().resume_reading()


class BufferedTlsTransport(TlsTransport, asyncio.BufferedProtocol):
    """The TLS of one connection, read into that buffer."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to."""
        return room(cast("Http1Connection", self._connection))

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        self.data_received(taken(cast("Http1Connection", self._connection), nbytes))

    def _resume_inner(self) -> None:
        """Go on reading, and first what is there already."""
        plan_catch_up(self, cast("Http1Connection", self._connection))
        super()._resume_inner()


class BufferedProxyProtocolReader(ProxyProtocolReader, asyncio.BufferedProtocol):
    """The preamble of one connection, read into that buffer."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the loop reads to."""
        return room(self._connection)

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read."""
        self.data_received(taken(self._connection, nbytes))
