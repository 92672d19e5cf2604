"""One epoll object for all sockets of a server (epoll(7)), which the loop sees as a single file descriptor.

A loop pays for each event of each socket: asyncio with a look into its selector's tables, a handle, a context to run it
in. Here it pays once for a turn: when anything is ready, it calls `_turn`, which asks the kernel who is, and has all of
them read before any is served (`Turn`). That makes a small request cheaper than the loop's own native code does.
`LoopInfo.takes_poller` decides.

Two things hold besides. One turn finds whoever was ready when it began, however many, and each about once: the sweep
and the drain count on having read what the kernel held. And who is forgotten in a turn hears nothing more, but its
descriptor must stay open until the next one: a new socket of the same number would hear what was meant for the old one.
"""

from __future__ import annotations

import asyncio
import os
import select
from contextvars import copy_context
from typing import Final, Protocol

from whorl.net.io_batch import MIN_BATCH_SIZE, IoBatch

__all__ = ["ENDS", "READABLE", "WRITABLE", "Poller"]

READABLE: Final = 0x001
WRITABLE: Final = 0x004
"""EPOLLIN and EPOLLOUT."""
ENDS: Final = 0x018
"""EPOLLERR and EPOLLHUP: the peer has reset the connection, or nothing can pass either way any more. They come for
every descriptor that is watched at all."""

BATCH: Final = 64
"""So many are served together at most: that bounds what they have read, and how long the first one waits. The kernel
puts who has answered at the end of its list."""


class Waiting(Protocol):
    """Who waits for a descriptor."""

    def ready(self, events: int) -> None:
        """It is ready. Whatever goes wrong is dealt with here: others come after."""


class Poller:
    """Tells who waits when a descriptor is ready, as long as it is.

    Args:
        loop: the running loop, which has `add_reader`.
        batch: what the connections do together.

    Attributes:
        loop, batch: the same.
        context: what everything here runs in.
    """

    __slots__ = ("_epoll", "_waiting", "_witness", "batch", "context", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, batch: IoBatch) -> None:
        self.loop = loop
        self.batch = batch
        self.context = copy_context()
        self._epoll = select.epoll()
        self._witness = os.eventfd(0, os.EFD_CLOEXEC)  # is never ready, and is only in this epoll object
        self._epoll.register(self._witness, 0)
        self._waiting: dict[int, Waiting] = {}
        loop.add_reader(self._epoll.fileno(), self._turn)

    def __len__(self) -> int:
        return len(self._waiting)

    def watch(self, descriptor: int, waiting: Waiting, events: int) -> None:
        """Wait for these events from now on, and for no others.

        Args:
            descriptor: of a socket, which is open.
            waiting: who waits for it.
            events: any of `READABLE`, `WRITABLE` and `ENDS`; 0 to forget the descriptor.

        Raises:
            OSError: the kernel has no room for another; or the application closed the descriptor.
        """
        if not events:
            self.forget(descriptor, waiting)
        elif self._waiting.get(descriptor) is waiting:  # another's is of a socket that the application closed
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
            self._waiting[descriptor] = waiting

    def forget(self, descriptor: int, waiting: Waiting) -> bool:
        """Wait for a descriptor no more, which is needed before it is closed.

        Returns:
            False where it was not watched, or the application closed it: the number may be another file's by now.
        """
        if self._waiting.get(descriptor) is not waiting:
            return self._epoll.closed
        del self._waiting[descriptor]
        try:
            self._epoll.unregister(descriptor)
        except OSError:
            return False
        return True

    def is_whole(self) -> bool:
        """Whether the epoll object is still there. An application that closes descriptors that it did not open may have
        closed it, and then nothing ever comes: the number is free, or another file's."""
        try:
            self._epoll.modify(self._witness, 0)
        except OSError:
            return False
        return True

    def _turn(self) -> None:
        waiting = self._waiting
        left = len(waiting)
        while left > 0:
            answers = self._epoll.poll(0, BATCH)
            if len(answers) >= MIN_BATCH_SIZE:
                self.batch.open()
            try:
                for descriptor, events in answers:
                    one = waiting.get(descriptor)
                    if one is not None:
                        one.ready(events)
            finally:  # even where somebody ends the process: what the others have read is in no kernel any more
                self.batch.process()
            if len(answers) < BATCH:
                return
            left -= BATCH

    def close(self) -> None:
        """Wait for nothing more. Whoever still does is forgotten."""
        self._waiting.clear()
        self.loop.remove_reader(self._epoll.fileno())
        if self.is_whole():  # else the numbers may be other files' by now
            os.close(self._witness)
            self._epoll.close()
