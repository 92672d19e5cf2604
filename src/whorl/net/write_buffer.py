"""Joins what a connection writes, so that it leaves in one system call: a call costs more than a response does.

What a connection writes while it handles what it has read, or while its application does not wait in between, is
joined. It leaves when the connection flushes, when the batch or the iteration of the loop ends, or when there is much.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextvars import Context
from typing import Final

from whorl.net.io_batch import IoBatch
from whorl.net.read_size import limit_read_size
from whorl.observe.failures import log_internal_error
from whorl.platform import has_forked, reset_on_close

__all__ = ["INLINE_CHUNK_MAX_BYTES", "NO_COPY_MIN_BYTES", "FlushScheduler", "WriteBuffer"]

# From this size on, copying into one buffer costs more than a second piece in the transport.
NO_COPY_MIN_BYTES: Final = 32 * 1024
# Up to this size, copying costs less than one more piece to join.
INLINE_CHUNK_MAX_BYTES: Final = 4 * 1024
FLUSH_BYTES: Final = 64 * 1024


class FlushScheduler:
    """Flushes write buffers when the iteration of the loop ends. One callback serves them all: an event that goes to
    many clients leaves in one batch.

    Args:
        loop: the running loop.
        context: the callback's.
        batch: encrypts and writes for all of them.

    Attributes:
        batch: the same.
    """

    __slots__ = ("_context", "_loop", "_waiting", "batch")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context, batch: IoBatch) -> None:
        self._loop = loop
        self._context = context
        self.batch = batch
        self._waiting: list[WriteBuffer] = []

    def schedule(self, buffer: WriteBuffer) -> None:
        """Flush a buffer with its batch, or else at the end of the iteration."""
        if self.batch.defers_flush:
            self.batch.flush(buffer)
            return
        if not self._waiting:
            self._loop.call_soon(self._flush_all, context=self._context)
        self._waiting.append(buffer)

    def _flush_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.batch.send(waiting)


class WriteBuffer:
    """The writing half of a connection.

    Args:
        transport: the loop's.
        scheduler: flushes what nothing else flushes.
        logger: for errors of the transport.
        high_bytes: the transport's high-water mark.
        low_bytes: its low-water mark.

    Attributes:
        corked: whether the connection flushes by itself when it is done.
        flush_scheduled: whether that is scheduled.
        pending: what is written and not flushed. The connection may append to it, if it flushes.
        transport: the same as above.
    """

    __slots__ = (
        "_high_bytes",
        "_logger",
        "_low_bytes",
        "_pending_bytes",
        "_scheduler",
        "corked",
        "flush_scheduled",
        "pending",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        scheduler: FlushScheduler,
        logger: logging.Logger,
        high_bytes: int,
        low_bytes: int,
    ) -> None:
        self.transport = transport
        self._scheduler = scheduler
        self._logger = logger
        self._high_bytes = high_bytes
        self._low_bytes = low_bytes
        self.corked = False
        self.flush_scheduled = False
        self.pending: list[bytes] = []
        self._pending_bytes = 0
        self.restore_water_marks()
        limit_read_size(transport)

    def restore_water_marks(self) -> None:
        """Set the transport's water marks."""
        self.transport.set_write_buffer_limits(self._high_bytes, self._low_bytes)

    # Writing

    def write(self, data: bytes) -> bool:
        """Send bytes, at the latest when the iteration of the loop ends. Returns whether they were sent at once."""
        size_bytes = len(data)
        if size_bytes >= NO_COPY_MIN_BYTES:
            if self.pending:
                self.write_header_and_payload(self.pending.pop(), data)
            else:
                self.transport.write(data)
            return True
        self.pending.append(data)
        self._pending_bytes += size_bytes
        if self._pending_bytes >= FLUSH_BYTES:
            self.flush()
            return True
        if not self.corked:
            self.schedule_flush()
        return False

    def write_header_and_payload(self, header: bytes, payload: bytes) -> None:
        """Send bytes at once. The payload is so long that it must not be copied."""
        pending = self.pending
        if pending:
            pending.append(header)
            header = b"".join(pending)
            pending.clear()
        self._pending_bytes = 0
        self.transport.writelines((header, payload))
        # Before CPython 3.12.9 and 3.13.2, `writelines` does not check the water marks (CVE-2024-12254); this does.
        self.restore_water_marks()

    def schedule_flush(self) -> None:
        """Send what is pending when the batch or the iteration of the loop ends."""
        if not self.flush_scheduled:
            self.flush_scheduled = True
            self._scheduler.schedule(self)

    def flush(self) -> None:
        """Hand what is pending to the transport, in one write."""
        self.flush_scheduled = False
        pending = self.pending
        if pending:
            data = b"".join(pending)  # a single piece is not copied
            pending.clear()
            self._pending_bytes = 0
            try:
                self.transport.write(data)
            except Exception as error:  # of this transport; the others of the batch must not suffer
                log_internal_error(self._logger, error)
                self.reset()

    def is_closing(self) -> bool:
        """Return whether the transport is closing: what is written is lost."""
        return self.transport.is_closing()

    # Ending

    def discard(self) -> None:
        """Drop what is pending."""
        self.pending.clear()
        self._pending_bytes = 0

    def reset(self) -> None:
        """Close at once, so that the client sees an error and not an end (RST)."""
        self.discard()
        try:
            reset_on_close(self.fileno())
        except (OSError, ValueError):
            pass  # a transport without a socket, or one that is gone
        self.transport.abort()

    def shut_down_if_forked(self) -> None:
        """End the connection although a child process that the application forked holds its socket too: to close the fd
        is not enough then, and the client would see no end."""
        if has_forked():
            try:
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError, TypeError):
                pass  # the other end is gone, or the loop's transport has given its socket up already

    def force_close_fd(self) -> None:
        """Close the socket on a loop that closes it only at some later time (rloop).

        The loop keeps the number of the fd, and will close /dev/null instead.
        """
        try:
            null = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            return  # there is no fd left; the loop gives some back in time
        try:
            os.dup2(null, self.fileno(), inheritable=False)
        finally:
            os.close(null)

    def fileno(self) -> int:
        """Return the fd of the transport's socket; -1 without one."""
        handle = self.transport.get_extra_info("socket")
        return -1 if handle is None else int(handle.fileno())
