"""One epoll object for all sockets of a server (epoll(7)). The loop knows it as one readable fd.

A loop pays for each event of each socket: asyncio with a look-up in its selector's tables, a handle, a context. Here
that is paid once per iteration, and all sockets that are ready are read before any is served (`IoBatch`). A small
request then costs less than with the loop's own native code.

An iteration finds every socket that was ready when it began, and each about once: the sweep and the drain rely on what
the kernel held having been read. The fd of a handler that is unregistered must stay open until the next iteration: a
new socket with the same fd would get its events.
"""

from __future__ import annotations

import asyncio
import os
import select
from contextvars import copy_context
from typing import Final, Protocol

from whorl.net.io_batch import MIN_BATCH_SIZE, IoBatch

__all__ = ["ENDS", "READABLE", "WRITABLE", "Poller"]

READABLE: Final = 0x001  # EPOLLIN
WRITABLE: Final = 0x004  # EPOLLOUT
ENDS: Final = 0x018
"""EPOLLERR and EPOLLHUP: the peer has reset the connection, or both sides are shut down. They are reported for every fd
that is registered."""

MAX_EVENTS: Final = 64
"""The most sockets of one batch: it bounds what they have read, and how long the first one waits. The kernel moves fds
that it has reported to the end of its list."""


class EventHandler(Protocol):
    """Handles the events of its fd. Its errors are its own: other handlers follow."""

    def on_events(self, events: int) -> None:
        """Handle events."""


class Poller:
    """Calls handlers when their fds are ready, as long as they are (level-triggered).

    Args:
        loop: the running loop, which has `add_reader`.
        batch: what the connections do together.

    Attributes:
        loop, batch: the same.
        context: what the callbacks run in.
    """

    __slots__ = ("_epoll", "_handlers", "_witness", "batch", "context", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, batch: IoBatch) -> None:
        self.loop = loop
        self.batch = batch
        self.context = copy_context()
        self._epoll = select.epoll()
        self._witness = os.eventfd(0, os.EFD_CLOEXEC)  # never ready, and registered only here
        self._epoll.register(self._witness, 0)
        self._handlers: dict[int, EventHandler] = {}
        loop.add_reader(self._epoll.fileno(), self._on_readable)

    def __len__(self) -> int:
        return len(self._handlers)

    def register(self, fd: int, handler: EventHandler, events: int) -> None:
        """Call a handler for these events from now on, and for no others.

        Args:
            fd: of a socket, which is open.
            handler: the socket's.
            events: any of `READABLE`, `WRITABLE` and `ENDS`; 0 to unregister the fd.

        Raises:
            OSError: the kernel has no resources, or the application closed the fd.
        """
        if not events:
            self.unregister(fd, handler)
        elif self._handlers.get(fd) is handler:  # another handler's socket was closed by the application
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._handlers[fd] = handler

    def unregister(self, fd: int, handler: EventHandler) -> bool:
        """Stop calling a handler. It must be called before the fd is closed.

        Returns:
            False if the fd was not registered, or if the application closed it: it may be another file's by now.
        """
        if self._handlers.get(fd) is not handler:
            return self._epoll.closed
        del self._handlers[fd]
        try:
            self._epoll.unregister(fd)
        except OSError:
            return False
        return True

    def is_intact(self) -> bool:
        """Return whether the epoll object is still open. If the application has closed it by mistake, no event comes;
        the fd is free, or another file's."""
        try:
            self._epoll.modify(self._witness, 0)
        except OSError:
            return False
        return True

    def _on_readable(self) -> None:
        handlers = self._handlers
        left = len(handlers)
        while left > 0:
            ready = self._epoll.poll(0, MAX_EVENTS)
            if len(ready) >= MIN_BATCH_SIZE:
                self.batch.open()
            try:
                for fd, events in ready:
                    handler = handlers.get(fd)
                    if handler is not None:
                        handler.on_events(events)
            finally:  # after SystemExit too: what was read is not in the kernel any more
                self.batch.process()
            if len(ready) < MAX_EVENTS:
                return
            left -= MAX_EVENTS

    def close(self) -> None:
        """Call no handler any more."""
        self._handlers.clear()
        self.loop.remove_reader(self._epoll.fileno())
        if self.is_intact():  # else the fds may be other files' by now
            os.close(self._witness)
            self._epoll.close()
