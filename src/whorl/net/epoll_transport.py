"""One connected socket as an `asyncio.Transport`, on a `Poller`.

A connection reads once per iteration, at most `READ_BYTES`, so that others get their share. What the kernel does not
take of a write is buffered. The protocol cannot tell this transport from one of the loop's: it gets the same calls in
the same order, and `connection_lost` once, in a later iteration.

| state | left by | for |
|---|---|---|
| OPEN | `write_eof` | HALF_CLOSED: what is buffered is sent, then our side is shut down |
| OPEN, HALF_CLOSED | `close` | CLOSING: what is buffered is sent |
| any of these | `abort`, or an error; CLOSING also when all is sent | CLOSED: `connection_lost` is scheduled |
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

from whorl.net.epoll import ENDS, READABLE, WRITABLE, Poller
from whorl.net.io_batch import MAX_BATCHED_BYTES
from whorl.net.read_size import READ_BYTES

__all__ = ["EpollTransport"]

# The most buffers that one writev(2) takes.
IOV_MAX: Final = 1024
HIGH_BYTES: Final = 64 * 1024

Buffer = bytes | bytearray | memoryview


class State(IntEnum):
    """What is still to be sent."""

    OPEN = 0
    """Anything."""
    HALF_CLOSED = 1
    """What is buffered; then our side is shut down."""
    CLOSING = 2
    """What is buffered; then the socket is closed."""
    CLOSED = 3
    """Nothing: `connection_lost` is scheduled, or has been called."""


class Reading(IntEnum):
    """Whether the socket is read."""

    ACTIVE = 0
    """It is."""
    PAUSED = 1
    """It is not, but the end of the connection is noticed."""
    ENDED = 2
    """It has ended, or the transport is closing."""


# Errors of an fd that the application closed, and may have opened again for another file.
FD_CLOSED_ERRORS: Final = frozenset((errno.EBADF, errno.ENOENT, errno.EEXIST, errno.EPERM))

OPEN: Final = State.OPEN
HALF_CLOSED: Final = State.HALF_CLOSED
CLOSING: Final = State.CLOSING
CLOSED: Final = State.CLOSED

ACTIVE: Final = Reading.ACTIVE
PAUSED: Final = Reading.PAUSED
ENDED: Final = Reading.ENDED


class EpollTransport(asyncio.Transport):
    """The transport of one connection.

    Args:
        poller: reports when the socket is ready.
        handle: the socket, non-blocking; the transport closes it.
        peername: the other end, from accept(2).
        protocol: the connection.
    """

    __slots__ = (
        *("_batch", "_fd", "_paused_data", "_handle", "_high_bytes", "_low_bytes", "_peername", "_write_buffer"),
        *("_poller", "_protocol", "_reading", "_state", "_unsent_bytes", "_registered_events", "_writing_paused"),
    )

    def __init__(self, poller: Poller, handle: socket.socket, peername: Any, protocol: asyncio.Protocol) -> None:
        self._poller = poller
        self._batch = poller.batch
        self._handle = handle
        self._fd = handle.fileno()
        self._peername = peername
        self._protocol: asyncio.BaseProtocol = protocol
        self._state: State = OPEN
        self._reading: Reading = ACTIVE
        self._paused_data = b""
        self._registered_events = 0
        self._write_buffer: list[Buffer] = []
        self._unsent_bytes = 0
        self._high_bytes = HIGH_BYTES
        self._low_bytes = HIGH_BYTES // 4
        self._writing_paused = False

    def start(self) -> None:
        """Call `connection_made`, and start reading."""
        try:
            self._protocol.connection_made(self)
            self._update_registration()
        except Exception as error:
            self._fatal_error(error, "connection_made()")

    # The poller's callback

    def on_events(self, events: int) -> None:
        """Handle a socket that is readable, writable or broken."""
        if events != READABLE:
            if events & ENDS and self._reading is not ACTIVE:
                self._on_end_while_paused()
                return
            if events != WRITABLE:
                self.on_events(READABLE)
            if self._write_buffer:
                self._write_buffered()  # which gets the error, if there is one
            return
        if self._reading is not ACTIVE or self._paused_data:
            return  # a callback of the same batch has paused or closed it
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._schedule_connection_lost(error)
            return
        if self._batch.defers_reads and len(data) <= MAX_BATCHED_BYTES:
            self._batch.read(self, data)
        else:
            self.deliver_read(data)

    def deliver_read(self, data: bytes) -> None:
        """Call `data_received` or `eof_received` with what was read."""
        if self._reading is not ACTIVE:  # another connection of the batch has paused or closed it
            if self._reading is PAUSED:
                self._paused_data = data
            return
        try:
            if data:
                self._protocol.data_received(data)  # type: ignore[attr-defined]
            else:
                self._read_end()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "data_received()" if data else "eof_received()")

    def _read_end(self) -> None:
        self._reading = ENDED
        if not self._protocol.eof_received():  # type: ignore[attr-defined]
            self.close()
        self._update_registration()  # not before: most connections are closed by now, which unregistered them

    def _on_end_while_paused(self) -> None:
        """The peer is gone while reading is paused. What it sent before is dropped: it takes no answer."""
        try:
            number = self._handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            self._schedule_connection_lost(error)
            return
        if number or self._state is not HALF_CLOSED:
            number = number or errno.EPIPE
            self._schedule_connection_lost(OSError(number, os.strerror(number)))
        else:  # both sides are shut down in order, and unread data remains; epoll would report this without end
            self._registered_events = 0
            self._poller.unregister(self._fd, self)

    def _update_registration(self) -> None:
        """Register for the events that matter now. While a batch writes, nothing waits for WRITABLE: what is written
        then is sent when the batch ends."""
        if self._state is CLOSED:
            return
        events = READABLE | ENDS if self._reading is ACTIVE else ENDS
        if self._write_buffer:
            events |= self._registered_events & WRITABLE if self._batch.defers_writes else WRITABLE
        if events != self._registered_events:
            try:
                self._poller.register(self._fd, self, events)
            except OSError as error:
                if error.errno not in FD_CLOSED_ERRORS:
                    raise
                self._schedule_connection_lost(error)
            else:
                self._registered_events = events

    # Reading

    def is_reading(self) -> bool:
        return self._reading is ACTIVE

    def pause_reading(self) -> None:
        if self._reading is ACTIVE:
            self._reading = PAUSED
            self._update_registration()

    def resume_reading(self) -> None:
        if self._reading is PAUSED:
            self._reading = ACTIVE
            self._update_registration()
            if self._paused_data:
                self._poller.loop.call_soon(self._deliver_paused_data, context=self._poller.context)

    def _deliver_paused_data(self) -> None:
        """Deliver what was read before reading was paused."""
        data = self._paused_data
        if data:
            self._paused_data = b""
            self.deliver_read(data)

    # Writing

    def write(self, data: Buffer) -> None:
        if self._write_buffer or self._state is not OPEN:
            self._buffer_unsent((data,), 0)
            return
        if self._batch.defers_writes and 0 < len(data) <= MAX_BATCHED_BYTES:
            self._batch.write(self)
            self._write_buffer.append(data)
            self._unsent_bytes = len(data)
            return
        try:
            sent_bytes = os.write(self._fd, data)
        except BlockingIOError:
            sent_bytes = 0
        except OSError as error:
            self._schedule_connection_lost(error)
            return
        if sent_bytes < len(data):
            self._buffer_unsent((data,), sent_bytes)

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        pieces = [data for data in list_of_data if data]
        sent_bytes = 0
        if not self._write_buffer and self._state is OPEN:
            try:
                sent_bytes = os.writev(self._fd, pieces[:IOV_MAX])
            except BlockingIOError:
                pass
            except OSError as error:
                self._schedule_connection_lost(error)
                return
        self._buffer_unsent(pieces, sent_bytes)

    def _buffer_unsent(self, pieces: Iterable[Buffer], sent_bytes: int) -> None:
        """Buffer what the kernel did not take."""
        if self._state is HALF_CLOSED:
            raise RuntimeError("nothing can be written after write_eof()")
        if self._state is not OPEN:
            return
        for piece in pieces:
            size_bytes = len(piece)
            if sent_bytes >= size_bytes:
                sent_bytes -= size_bytes
                continue
            self._write_buffer.append(memoryview(piece)[sent_bytes:] if sent_bytes else piece)
            self._unsent_bytes += size_bytes - sent_bytes
            sent_bytes = 0
        if self._batch.defers_writes:
            self._batch.write(self)
        else:
            self._update_registration()
        self._update_write_pause()

    def flush(self) -> None:
        """Send what was written in this batch."""
        pieces = self._write_buffer
        slow_path = self._writing_paused or self._registered_events & WRITABLE or self._state is not OPEN
        if len(pieces) == 1 and not slow_path:
            try:
                sent_bytes = os.write(self._fd, pieces[0])
            except BlockingIOError:
                sent_bytes = 0
            except OSError as error:
                self._schedule_connection_lost(error)
                return
            if sent_bytes == self._unsent_bytes:
                self._unsent_bytes = 0
                pieces.clear()
                return
            self._unsent_bytes -= sent_bytes
            pieces[0] = memoryview(pieces[0])[sent_bytes:]
        elif pieces:
            self._write_buffered()
        if self._write_buffer:
            self._update_registration()
            self._update_write_pause()

    def _write_buffered(self) -> None:
        """Send more of what is buffered."""
        pieces = self._write_buffer
        try:
            sent_bytes = os.write(self._fd, pieces[0]) if len(pieces) == 1 else os.writev(self._fd, pieces[:IOV_MAX])
        except BlockingIOError:
            return
        except OSError as error:
            self._schedule_connection_lost(error)
            return
        self._unsent_bytes -= sent_bytes
        if not self._unsent_bytes:
            pieces.clear()
            if self._registered_events & WRITABLE:
                self._update_registration()
            if self._state is not OPEN:
                self._on_drained()
        else:
            consume_prefix(pieces, sent_bytes)
        if self._writing_paused:
            self._update_write_pause()

    def _on_drained(self) -> None:
        if self._state is CLOSING:
            self._schedule_connection_lost(None)
        elif self._state is HALF_CLOSED:
            try:
                self._handle.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._schedule_connection_lost(error)

    # Flow control

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and that not negative")
        self._high_bytes = high
        self._low_bytes = low
        if self._write_buffer:
            self._update_write_pause()

    def _update_write_pause(self) -> None:
        """Call `pause_writing` above the high-water mark, and `resume_writing` at the low one."""
        if self._writing_paused:
            if self._unsent_bytes > self._low_bytes:
                return
        elif self._unsent_bytes <= self._high_bytes:
            return
        self._writing_paused = not self._writing_paused
        try:
            if self._writing_paused:
                self._protocol.pause_writing()
            else:
                self._protocol.resume_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._report_exception(error, "pause_writing()" if self._writing_paused else "resume_writing()")

    # Ending

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._state is OPEN:
            self._state = HALF_CLOSED
            if not self._write_buffer:
                self._handle.shutdown(socket.SHUT_WR)

    def is_closing(self) -> bool:
        return self._state >= CLOSING

    def close(self) -> None:
        if self._state < CLOSING:
            if self._write_buffer:
                self._state = CLOSING
                self._reading = ENDED
                self._update_registration()
            else:
                self._schedule_connection_lost(None)

    def abort(self) -> None:
        self._schedule_connection_lost(None)

    def _schedule_connection_lost(self, error: Exception | None) -> None:
        """End the connection. `connection_lost` comes in a later iteration: a protocol does not expect it inside a
        call, and the fd must not be reused within a batch."""
        if self._state is not CLOSED:
            self._state = CLOSED
            self._reading = ENDED
            self._write_buffer.clear()
            self._unsent_bytes = 0
            if self._registered_events:
                self._registered_events = 0
                if not self._poller.unregister(self._fd, self):
                    self._handle.detach()  # the application closed it: the fd may be another file's by now
            self._poller.loop.call_soon(self._connection_lost, error, context=self._poller.context)

    def _connection_lost(self, error: Exception | None) -> None:
        protocol = self._protocol
        self._protocol = DETACHED_PROTOCOL  # break the cycle
        self._fd = -1
        try:
            protocol.connection_lost(error)
        finally:
            self._handle.close()

    def _fatal_error(self, error: BaseException, where: str) -> None:
        """Report an exception of the protocol, and end its connection."""
        self._report_exception(error, where)
        self._schedule_connection_lost(error if isinstance(error, Exception) else None)

    def _report_exception(self, error: BaseException, where: str) -> None:
        self._poller.loop.call_exception_handler(
            {"message": f"{where} failed", "exception": error, "transport": self, "protocol": self._protocol}
        )

    # Lookups

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return self._peername
        if name == "sockname":
            try:
                return self._handle.getsockname()
            except OSError:
                return default
        return self._handle if name == "socket" else default

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol


def consume_prefix(pieces: list[Buffer], sent_bytes: int) -> None:
    """Remove what was sent from the beginning of buffers, which hold more."""
    whole = 0
    while sent_bytes >= len(pieces[whole]):
        sent_bytes -= len(pieces[whole])
        whole += 1
    del pieces[:whole]
    if sent_bytes:
        pieces[0] = memoryview(pieces[0])[sent_bytes:]


DETACHED_PROTOCOL: Final = asyncio.Protocol()
"""What stands in for the protocol of a connection that is over."""
