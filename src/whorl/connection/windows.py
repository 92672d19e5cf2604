"""A connection on Windows, where loops do some things otherwise (WSARecv, WSASend).

Writes are portioned out, or a slow reader could not be told from one that does nothing. asyncio's Proactor closes a
socket in a way that is not always the right one, and on Python 3.11 it reads into a bytearray.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from whorl.connection.http1 import Http1Connection
from whorl.connection.write_chunker import WriteChunker

__all__ = ["WindowsConnection"]


class WindowsConnection(Http1Connection):
    """Serves one client.

    Args:
        context: what all connections of the server share.
    """

    __slots__ = ("_portions",)

    _portions: WriteChunker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the portions between the transport and the connection."""
        self._portions = WriteChunker(cast("asyncio.Transport", transport), self)
        super().connection_made(self._portions)

    def data_received(self, data: bytes | memoryview) -> None:
        """Bytes came; what are bytes already is not copied."""
        super().data_received(bytes(data))

    def resume_writing(self) -> None:
        """A portion has left: the next one follows, and only after the last the application goes on."""
        self.writing_blocked = False
        self._portions.go_on()
        if not self.writing_blocked:
            super().resume_writing()

    def reset(self) -> None:
        """Close at once, so that the client sees an error and not an end (RST)."""
        super().reset()
        # The Proactor would shut the socket down first, which shows the client an end. It leaves alone what is closed.
        handle = self._handle()
        if handle is not None:
            handle.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over."""
        super().connection_lost(error)
        handle = self._handle()
        if handle is not None:
            # As the Proactor would, which takes it for a failure where the client has reset already.
            try:
                handle.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            handle.close()

    def _handle(self) -> socket.socket | None:
        """The socket itself, where the loop is asyncio's: others close it as they should."""
        return getattr(self.output.transport.get_extra_info("socket"), "_sock", None)
