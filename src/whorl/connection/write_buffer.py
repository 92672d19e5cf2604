"""The writing half of a connection: what is said in one turn of the loop leaves in one write.

Whatever is written while the connection is reading, or by an application that does not wait in between, is held and
joined, and leaves when the turn ends, when there is much of it, or with the end of a response. A system call costs
more than a response does. The half also knows whether the client keeps up (the transport's water marks). It must not
know HTTP.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final, cast

from whorl.compiled import mypyc_attr
from whorl.connection.context import Shared
from whorl.net.read_size import limit_read_size
from whorl.observe.failures import bug
from whorl.platform import has_forked, reset_on_close

__all__ = ["LARGE_BYTES", "SMALL_BYTES", "Output"]

# From here on, copying into one buffer costs more than handing over two.
LARGE_BYTES: Final = 32 * 1024
# Up to here, copying costs less than one more piece to hold.
SMALL_BYTES: Final = 4 * 1024
FLUSH_BYTES: Final = 64 * 1024


@mypyc_attr(allow_interpreted_subclasses=True)
class Output(asyncio.Protocol):
    """Writes for a connection.

    Args:
        shared: what all connections of the server share.

    Attributes:
        shared: the same.
        flush_planned: whether what is held leaves when the turn of the loop ends.
        in_turn: whether a turn is under way, at whose end everything leaves.
        transport: the loop's transport; only between `connection_made` and `connection_lost`.
        writing_blocked: whether the client has more than the high-water mark to read.
    """

    __slots__ = ("_held", "_held_bytes", "flush_planned", "in_turn", "shared", "transport", "writing_blocked")

    transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.writing_blocked = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.in_turn = False
        self.flush_planned = False

    def attach(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and set its water marks."""
        self.transport = cast("asyncio.Transport", transport)
        shared = self.shared
        self.transport.set_write_buffer_limits(shared.high_bytes, shared.low_bytes)
        limit_read_size(transport)

    def write(self, data: bytes) -> None:
        """Send octets, at the latest when the turn of the loop ends."""
        size = len(data)
        if size >= LARGE_BYTES:
            if self._held:
                self.write_long(self._held.pop(), data)
            else:
                self.transport.write(data)
                self._look_for_client()
            return
        self._held.append(data)
        self._held_bytes += size
        if self._held_bytes >= FLUSH_BYTES:
            self.flush()
            self._look_for_client()
        elif not self.in_turn and not self.flush_planned:
            self.plan_flush()

    def write_long(self, header: bytes, payload: bytes) -> None:
        """Send octets of which the second piece is so long that it should not be copied, and does not wait."""
        held = self._held
        if held:
            held.append(header)
            header = b"".join(held)
            held.clear()
        self._held_bytes = 0
        self.transport.writelines((header, payload))
        shared = self.shared
        # Before CPython 3.12.9 and 3.13.2, `writelines` forgets the water marks (CVE-2024-12254); this looks.
        self.transport.set_write_buffer_limits(shared.high_bytes, shared.low_bytes)
        self._look_for_client()

    def _look_for_client(self) -> None:
        """Much was said at once, by somebody who may never wait. Where the client has left, he shall: until the loop
        comes to `connection_lost`, which is on its way."""
        if self.transport.is_closing():
            self.writing_blocked = True

    def plan_flush(self) -> None:
        """Have what is held leave when the turn of the loop ends."""
        if not self.flush_planned:
            self.flush_planned = True
            shared = self.shared
            held = shared.turn.held
            if held is None:
                held = shared.unflushed
                if not held:
                    shared.plan_flush()
            held.append(self)

    def flush(self) -> None:
        """Hand what is held to the transport, in one write."""
        self.flush_planned = False
        held = self._held
        if held:
            data = b"".join(held)  # one alone is not copied
            held.clear()
            self._held_bytes = 0
            try:
                self.transport.write(data)
            except Exception as error:  # of this transport; others in the turn are not to pay for it
                bug(self.shared.service.logger, error)
                self.reset()

    def reset(self) -> None:
        """Close at once, so that the client sees an error and not an end (RST)."""
        self._held.clear()
        try:
            reset_on_close(self.fileno())
        except (OSError, ValueError):
            pass  # a transport without a socket of its own, or one that is gone
        self.transport.abort()

    def end_for_children(self) -> None:
        """End the connection although a child process that the application has forked holds its socket too: closing
        the fd is not enough then, and the client would see no end."""
        if has_forked():
            try:
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError, TypeError):
                pass  # the other end is gone, or the loop's transport has given its socket up already

    def hang_up(self) -> None:
        """Close the socket for a loop that does so only when it happens to clear up (rloop).

        The loop keeps the number of its file descriptor, and will close /dev/null.
        """
        try:
            null = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            return  # no descriptor is left; the loop gives some back in time
        try:
            os.dup2(null, self.fileno(), inheritable=False)
        finally:
            os.close(null)

    def fileno(self) -> int:
        """The file descriptor of the transport's socket, -1 without one."""
        handle = self.transport.get_extra_info("socket")
        return -1 if handle is None else int(handle.fileno())

    def pause_writing(self) -> None:
        """The transport is above its high-water mark."""
        self.writing_blocked = True

    def resume_writing(self) -> None:
        """The transport is below its low-water mark."""
        self.writing_blocked = False
