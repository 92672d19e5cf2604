"""Sending a file as content (ASGI extension http.response.pathsend) by the cheapest way there is.

Where the system has sendfile(2) and the transport has a plain socket, the kernel copies from the file to the socket:
no octet passes through Python, and the same code serves every loop, because it waits on a duplicate of the socket's
descriptor, which the loop does not know. Elsewhere the file is read in pieces in a thread. Called by `connection`.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO

from whorl.asgi.exchange import Exchange
from whorl.asgi.states import Our
from whorl.asgi.stream import ClientLeft
from whorl.platform import HERE

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["send_file"]

# One call of sendfile(2) may block on the disk, and no other connection is served meanwhile.
SENDFILE_BYTES = 1024 * 1024
# After so many calls in a row, others get their turn.
SENDFILE_CALLS = 8
READ_BYTES = 256 * 1024


async def send_file(connection: Connection, exchange: Exchange, file: BinaryIO, offset: int, count: int) -> None:
    """Send octets of a file.

    Args:
        connection: where to.
        exchange: whose content it is.
        file: open, unbuffered.
        offset: where in the file to begin.
        count: how many octets.

    Raises:
        ClientLeft: the client left.
        RuntimeError: the file became shorter meanwhile.
    """
    descriptor = connection.fileno()
    if HERE.has_sendfile and descriptor >= 0 and connection.transport.get_extra_info("sslcontext") is None:
        await _sendfile(connection, exchange, file, offset, count)
    else:
        await _read_and_write(connection, exchange, file, offset, count)


async def _sendfile(connection: Connection, exchange: Exchange, file: BinaryIO, offset: int, count: int) -> None:
    loop = exchange.service.loop
    transport = connection.transport
    shared = connection.shared
    connection.flush()
    # What was written before must be out: the kernel does not queue behind the transport's buffer.
    transport.set_write_buffer_limits(0)
    target = os.dup(connection.fileno())
    try:
        calls = 0
        while True:
            await exchange.drained()
            if not count:
                return
            try:
                sent = os.sendfile(target, file.fileno(), offset, min(count, SENDFILE_BYTES))
            except BlockingIOError:
                await _writable(connection, exchange, loop, target)
                continue
            except OSError:
                connection.leave_exchange()
                transport.abort()
                raise ClientLeft from None
            if not sent:
                raise RuntimeError("the file became shorter while it was sent")
            connection.progressed()
            offset += sent
            count -= sent
            calls += 1
            if calls % SENDFILE_CALLS == 0:
                await asyncio.sleep(0)
    finally:
        os.close(target)
        if not transport.is_closing():
            transport.set_write_buffer_limits(shared.high_bytes, shared.low_bytes)


async def _writable(
    connection: Connection, exchange: Exchange, loop: asyncio.AbstractEventLoop, descriptor: int
) -> None:
    """Wait until the socket takes more, or the client has left."""
    connection.pause_writing()
    loop.add_writer(descriptor, connection.resume_writing)
    try:
        await exchange.drained()
    finally:
        loop.remove_writer(descriptor)
        connection.writing_blocked = False


async def _read_and_write(connection: Connection, exchange: Exchange, file: BinaryIO, offset: int, count: int) -> None:
    loop = exchange.service.loop
    file.seek(offset)
    while count:
        data = await loop.run_in_executor(None, file.read, min(count, READ_BYTES))
        if not data:
            raise RuntimeError("the file became shorter while it was sent")
        if exchange.our_state is Our.CUT:
            raise ClientLeft
        connection.send_data(data)
        count -= len(data)
        await exchange.drained()
