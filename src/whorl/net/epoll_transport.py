"""One connected socket as an `asyncio.Transport`, told by a `Poller` when it is ready.

A connection reads once in a turn, `READ_BYTES` at most, so that others get theirs. What it has read it hands on when
all have read, and what is written meanwhile goes to the kernel when all have been served (`Turn`); what is large, or
written at any other time, goes at once. What the kernel does not take is kept until it does. To whoever is above, this
is a transport of the loop's: the protocol hears the same calls in the same order, and `connection_lost` once, in a
later turn.

| state | is left by | for |
|---|---|---|
| OPEN | `write_eof` | HALF: what was written before still leaves, and then our half is shut |
| OPEN, HALF | `close` | CLOSING: what was written before still leaves |
| any of these | `abort`, or an error; CLOSING also when all has left | LOST: `connection_lost` is planned |
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

# The most that one writev(2) takes (IOV_MAX).
IOV_MAX: Final = 1024
HIGH_BYTES: Final = 64 * 1024

Octets = bytes | bytearray | memoryview


class State(IntEnum):
    """What is still to come from us."""

    OPEN = 0
    """Anything."""
    HALF = 1
    """What has been written; then our half of the connection is shut."""
    CLOSING = 2
    """What has been written; then the connection is closed."""
    LOST = 3
    """Nothing: `connection_lost` is on its way, or has been called."""


class Reading(IntEnum):
    """What becomes of what the peer sends."""

    ON = 0
    """It is read."""
    PAUSED = 1
    """It stays in the kernel. That the peer is gone is noticed all the same."""
    OVER = 2
    """There is nothing more, or nobody wants it."""


# What system calls say of a descriptor that the application closed, and may have opened again for something else.
CLOSED_BY_OTHERS: Final = frozenset((errno.EBADF, errno.ENOENT, errno.EEXIST, errno.EPERM))

OPEN: Final = State.OPEN
HALF: Final = State.HALF
CLOSING: Final = State.CLOSING
LOST: Final = State.LOST

ON: Final = Reading.ON
PAUSED: Final = Reading.PAUSED
OVER: Final = Reading.OVER


class EpollTransport(asyncio.Transport):
    """The transport of one connection.

    Args:
        poller: tells when the socket is ready.
        handle: the socket, which does not block; the wire closes it.
        peername: its other end, as accept(2) told it.
        protocol: who is above.
    """

    __slots__ = (
        *("_batch", "_descriptor", "_early", "_handle", "_high_bytes", "_low_bytes", "_peername", "_pieces"),
        *("_poller", "_protocol", "_reading", "_state", "_unsent_bytes", "_watched", "_writing_paused"),
    )

    def __init__(self, poller: Poller, handle: socket.socket, peername: Any, protocol: asyncio.Protocol) -> None:
        self._poller = poller
        self._batch = poller.batch
        self._handle = handle
        self._descriptor = handle.fileno()
        self._peername = peername
        self._protocol: asyncio.BaseProtocol = protocol
        self._state: State = OPEN
        self._reading: Reading = ON
        self._early = b""
        self._watched = 0
        self._pieces: list[Octets] = []
        self._unsent_bytes = 0
        self._high_bytes = HIGH_BYTES
        self._low_bytes = HIGH_BYTES // 4
        self._writing_paused = False

    def start(self) -> None:
        """Tell the protocol that it is connected, and read."""
        try:
            self._protocol.connection_made(self)
            self._watch()
        except Exception as error:
            self._blame(error, "connection_made()")

    # What the poller says

    def ready(self, events: int) -> None:
        """The socket is readable, writable or broken."""
        if events != READABLE:
            if events & ENDS and self._reading is not ON:
                self._notice_end()
                return
            if events != WRITABLE:
                self.ready(READABLE)
            if self._pieces:
                self._send_on()  # which finds out what is wrong, where something is
            return
        if self._reading is not ON or self._early:
            return  # who was called before in the same turn has seen to that
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if self._batch.defers_reads and len(data) <= MAX_BATCHED_BYTES:
            self._batch.read(self, data)
        else:
            self.deliver_read(data)

    def deliver_read(self, data: bytes) -> None:
        """Hand on what was read."""
        if self._reading is not ON:  # somebody else's turn came first, and changed that
            if self._reading is PAUSED:
                self._early = data
            return
        try:
            if data:
                self._protocol.data_received(data)  # type: ignore[attr-defined]
            else:
                self._read_end()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._blame(error, "data_received()" if data else "eof_received()")

    def _read_end(self) -> None:
        self._reading = OVER
        if not self._protocol.eof_received():  # type: ignore[attr-defined]
            self.close()
        self._watch()  # not before: most connections are lost by now, and were forgotten with one system call

    def _notice_end(self) -> None:
        """The peer is gone, and nobody reads. What it sent before is worth nothing: it takes no answer."""
        try:
            number = self._handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            self._lose(error)
            return
        if number or self._state is not HALF:
            number = number or errno.EPIPE
            self._lose(OSError(number, os.strerror(number)))
        else:  # both halves are shut in order, and what came before can still be read; but this would be said for ever
            self._watched = 0
            self._poller.forget(self._descriptor, self)

    def _watch(self) -> None:
        """Have the poller look for what is waited for now. In a turn nobody waits for the kernel to take
        something: what is written then is offered to it when the turn ends."""
        if self._state is LOST:
            return
        events = READABLE | ENDS if self._reading is ON else ENDS
        if self._pieces:
            events |= self._watched & WRITABLE if self._batch.defers_writes else WRITABLE
        if events != self._watched:
            try:
                self._poller.watch(self._descriptor, self, events)
            except OSError as error:
                if error.errno not in CLOSED_BY_OTHERS:
                    raise
                self._lose(error)
            else:
                self._watched = events

    # Reading

    def is_reading(self) -> bool:
        return self._reading is ON

    def pause_reading(self) -> None:
        if self._reading is ON:
            self._reading = PAUSED
            self._watch()

    def resume_reading(self) -> None:
        if self._reading is PAUSED:
            self._reading = ON
            self._watch()
            if self._early:
                self._poller.loop.call_soon(self._take_early, context=self._poller.context)

    def _take_early(self) -> None:
        """Hand on what was read before reading was paused."""
        data = self._early
        if data:
            self._early = b""
            self.deliver_read(data)

    # Writing

    def write(self, data: Octets) -> None:
        if self._pieces or self._state is not OPEN:
            self._keep((data,), 0)
            return
        if self._batch.defers_writes and 0 < len(data) <= MAX_BATCHED_BYTES:
            self._batch.write(self)
            self._pieces.append(data)
            self._unsent_bytes = len(data)
            return
        try:
            sent_bytes = os.write(self._descriptor, data)
        except BlockingIOError:
            sent_bytes = 0
        except OSError as error:
            self._lose(error)
            return
        if sent_bytes < len(data):
            self._keep((data,), sent_bytes)

    def writelines(self, list_of_data: Iterable[Octets]) -> None:
        pieces = [data for data in list_of_data if data]
        sent_bytes = 0
        if not self._pieces and self._state is OPEN:
            try:
                sent_bytes = os.writev(self._descriptor, pieces[:IOV_MAX])
            except BlockingIOError:
                pass
            except OSError as error:
                self._lose(error)
                return
        self._keep(pieces, sent_bytes)

    def _keep(self, pieces: Iterable[Octets], sent_bytes: int) -> None:
        """Send later what the kernel did not take."""
        if self._state is HALF:
            raise RuntimeError("nothing can be written after write_eof()")
        if self._state is not OPEN:
            return
        for piece in pieces:
            size_bytes = len(piece)
            if sent_bytes >= size_bytes:
                sent_bytes -= size_bytes
                continue
            self._pieces.append(memoryview(piece)[sent_bytes:] if sent_bytes else piece)
            self._unsent_bytes += size_bytes - sent_bytes
            sent_bytes = 0
        if self._batch.defers_writes:
            self._batch.write(self)
        else:
            self._watch()
        self._look_at_marks()

    def flush(self) -> None:
        """Send what was written in the turn that ends now."""
        pieces = self._pieces
        seldom = self._writing_paused or self._watched & WRITABLE or self._state is not OPEN
        if len(pieces) == 1 and not seldom:
            try:
                sent_bytes = os.write(self._descriptor, pieces[0])
            except BlockingIOError:
                sent_bytes = 0
            except OSError as error:
                self._lose(error)
                return
            if sent_bytes == self._unsent_bytes:
                self._unsent_bytes = 0
                pieces.clear()
                return
            self._unsent_bytes -= sent_bytes
            pieces[0] = memoryview(pieces[0])[sent_bytes:]
        elif pieces:
            self._send_on()
        if self._pieces:
            self._watch()
            self._look_at_marks()

    def _send_on(self) -> None:
        """Have the kernel take more of what was kept."""
        pieces = self._pieces
        try:
            if len(pieces) == 1:
                sent_bytes = os.write(self._descriptor, pieces[0])
            else:
                sent_bytes = os.writev(self._descriptor, pieces[:IOV_MAX])
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self._unsent_bytes -= sent_bytes
        if not self._unsent_bytes:
            pieces.clear()
            if self._watched & WRITABLE:
                self._watch()
            if self._state is not OPEN:
                self._all_is_sent()
        else:
            drop(pieces, sent_bytes)
        if self._writing_paused:
            self._look_at_marks()

    def _all_is_sent(self) -> None:
        if self._state is CLOSING:
            self._lose(None)
        elif self._state is HALF:
            try:
                self._handle.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._lose(error)

    # The protocol's pace

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
        if self._pieces:
            self._look_at_marks()

    def _look_at_marks(self) -> None:
        """Tell the protocol when enough waits to be sent, and when little does."""
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
            self._complain(error, "pause_writing()" if self._writing_paused else "resume_writing()")

    # Ending

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._state is OPEN:
            self._state = HALF
            if not self._pieces:
                self._handle.shutdown(socket.SHUT_WR)

    def is_closing(self) -> bool:
        return self._state >= CLOSING

    def close(self) -> None:
        if self._state < CLOSING:
            if self._pieces:
                self._state = CLOSING
                self._reading = OVER
                self._watch()
            else:
                self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        """The connection is over. The protocol hears of it in a later turn, as nobody expects to be called by what he
        calls; and only then the number of the socket is free for another."""
        if self._state is not LOST:
            self._state = LOST
            self._reading = OVER
            self._pieces.clear()
            self._unsent_bytes = 0
            if self._watched:
                self._watched = 0
                if not self._poller.forget(self._descriptor, self):
                    self._handle.detach()  # the application closed it, and the number may be another file's by now
            self._poller.loop.call_soon(self._end, error, context=self._poller.context)

    def _end(self, error: Exception | None) -> None:
        protocol = self._protocol
        self._protocol = NOBODY  # or the two would hold each other until the next collection
        self._descriptor = -1
        try:
            protocol.connection_lost(error)
        finally:
            self._handle.close()

    def _blame(self, error: BaseException, where: str) -> None:
        """The protocol failed: that is its connection's end, and nobody else's."""
        self._complain(error, where)
        self._lose(error if isinstance(error, Exception) else None)

    def _complain(self, error: BaseException, where: str) -> None:
        self._poller.loop.call_exception_handler(
            {"message": f"{where} failed", "exception": error, "transport": self, "protocol": self._protocol}
        )

    # Facts

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


def drop(pieces: list[Octets], sent_bytes: int) -> None:
    """Take what was sent off the beginning of some pieces, of which it is not all."""
    whole = 0
    while sent_bytes >= len(pieces[whole]):
        sent_bytes -= len(pieces[whole])
        whole += 1
    del pieces[:whole]
    if sent_bytes:
        pieces[0] = memoryview(pieces[0])[sent_bytes:]


NOBODY: Final = asyncio.Protocol()
"""What stands in for the protocol of a connection that is over."""
