"""Sends a file by the cheapest way there is.

With sendfile(2) and a plain socket, the kernel copies from the file to the socket, and no byte passes through Python.
The same code serves every loop: it waits on a duplicate of the socket's fd, which the loop does not know. Elsewhere a
thread reads the file in pieces.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Protocol

from whorl.net.write_buffer import WriteBuffer
from whorl.platform import HERE

__all__ = ["FileTarget", "send_file"]

# One call of sendfile(2) may block on the disk, and no other connection is served meanwhile.
SENDFILE_BYTES = 1024 * 1024
# After so many calls in a row, other connections are served.
SENDFILE_CALLS = 8
PIECE_BYTES = 256 * 1024


class FileTarget(Protocol):
    """A connection that a file is sent to."""

    output: WriteBuffer

    def send_data(self, data: bytes, ends: bool) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def restart_deadline(self) -> None: ...


async def send_file(
    target: FileTarget,
    file: BinaryIO,
    offset: int,
    count: int,
    wait_writable: Callable[[], Awaitable[None]],
) -> None:
    """Send bytes of a file.

    Args:
        target: where to.
        file: open, unbuffered.
        offset: where in the file to begin.
        count: how many bytes.
        wait_writable: waits until the target takes more; raises ConnectionError if it never will.

    Raises:
        ConnectionError: the client disconnected.
        RuntimeError: the file became shorter meanwhile.
    """
    output = target.output
    if HERE.has_sendfile and output.fileno() >= 0 and output.transport.get_extra_info("sslcontext") is None:
        await _sendfile(target, file, offset, count, wait_writable)
    else:
        await _read_and_write(target, file, offset, count, wait_writable)


async def _sendfile(
    target: FileTarget, file: BinaryIO, offset: int, count: int, wait_writable: Callable[[], Awaitable[None]]
) -> None:
    output = target.output
    transport = output.transport
    output.flush()
    # What was written before must have left: the kernel does not queue behind the transport's buffer.
    transport.set_write_buffer_limits(0)
    fd = os.dup(output.fileno())
    try:
        calls = 0
        while True:
            await wait_writable()
            if not count:
                return
            try:
                sent = os.sendfile(fd, file.fileno(), offset, min(count, SENDFILE_BYTES))
            except BlockingIOError:
                await _wait_socket(target, fd, wait_writable)
                continue
            if not sent:
                raise RuntimeError("the file became shorter while it was sent")
            target.restart_deadline()
            offset += sent
            count -= sent
            calls += 1
            if calls % SENDFILE_CALLS == 0:
                await asyncio.sleep(0)
    finally:
        os.close(fd)
        if not transport.is_closing():
            output.restore_water_marks()


async def _wait_socket(target: FileTarget, fd: int, wait_writable: Callable[[], Awaitable[None]]) -> None:
    """Wait until the socket takes more, or the client has disconnected."""
    loop = asyncio.get_running_loop()
    target.pause_writing()
    loop.add_writer(fd, target.resume_writing)
    try:
        await wait_writable()
    finally:
        loop.remove_writer(fd)
        target.resume_writing()


async def _read_and_write(
    target: FileTarget, file: BinaryIO, offset: int, count: int, wait_writable: Callable[[], Awaitable[None]]
) -> None:
    loop = asyncio.get_running_loop()
    file.seek(offset)
    while count:
        data = await loop.run_in_executor(None, file.read, min(count, PIECE_BYTES))
        if not data:
            raise RuntimeError("the file became shorter while it was sent")
        await wait_writable()  # raises if the client has disconnected meanwhile
        target.send_data(data, False)
        count -= len(data)
        await wait_writable()
