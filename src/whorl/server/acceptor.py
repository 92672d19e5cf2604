"""Accepting connections: bound sockets in, connections made by the loop's own server (accept(2)), by a `Listener` of
ours where that is not sound, or by a `EpollListener` where a `Poller` of ours serves them.

The loop gets a duplicate of each socket and we keep the original, because some loops take away what they are given.

Where descriptors run short (`room`), no more is accepted until there is room again: whoever connects meanwhile waits in
the queue, or is accepted by another worker. A loop that cannot stop accepting turns them away.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import select
import socket
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from whorl.loops import Feature, LoopInfo
from whorl.loops.registry import ASYNCIO
from whorl.net.epoll import Poller
from whorl.net.io_batch import IoBatch
from whorl.platform import HERE
from whorl.server.fd_budget import FdBudget, Headroom, RejectConnection
from whorl.server.listen import ListenSocket
from whorl.server.listen.epoll_listener import EpollListener, adopt_socket
from whorl.server.listen.loop_listener import Listener

__all__ = ["Acceptor"]

Connect = Callable[[], asyncio.Protocol]

TURNS_TO_CONNECT = 3
"""Of the loop, from accept(2) to `connection_made`: a task is made, runs, and what it plans runs."""
PAUSE_SECONDS = 0.5
"""How often to look whether there is room again."""
SAY_SECONDS = 10.0
"""How often to say that there is none, at most."""


class Acceptor:
    """Listens on some bound sockets.

    Args:
        made: the loop, and what it can do.
        bounds: the sockets.
        connector: gives, for each of them, what makes the protocol of a new connection; that must not raise, because
            there are loops that end the process then.
        backlog: how many connections the kernel holds for us.
        batch: that of the connections.
        logger: where trouble with accepting is told.
    """

    __slots__ = (
        *("_backlog", "_bounds", "_connects", "_listeners", "_logger", "_made"),
        *("_poller", "_room", "_said", "_waiting"),
    )

    def __init__(
        self,
        made: LoopInfo,
        bounds: Sequence[ListenSocket],
        connector: Callable[[ListenSocket], Connect],
        backlog: int,
        batch: IoBatch,
        logger: logging.Logger,
    ) -> None:
        self._made = made
        self._bounds = bounds
        self._connects = [connector(bound) for bound in bounds]
        self._backlog = backlog
        self._logger = logger
        self._room = FdBudget()
        self._said = float("-inf")
        self._waiting: asyncio.Task[None] | None = None  # for room
        self._listeners: list[tuple[asyncio.Server | Listener | EpollListener, int]] = []
        self._poller: Poller | None = None
        if made.takes_poller:
            if hasattr(select, "epoll"):
                self._poller = Poller(made.loop, batch)
            else:
                logger.info(
                    "the application has removed select.epoll, as gevent's monkey patching does: "
                    "the event loop's own transports are used, which cost more"
                )

    async def start(self) -> None:
        """Listen."""
        for bound, connect in zip(self._bounds, self._connects, strict=True):
            handle = bound.handle.dup()
            descriptor = handle.fileno()
            self._listeners.append((await self._listen(handle, bound.is_unix, connect), descriptor))
            if self._made.known is ASYNCIO and self._made.platform.asyncio_bears_resets:
                bound.handle.listen(self._backlog)  # the queue is longer than what is accepted at once

    async def _listen(
        self, handle: socket.socket, is_unix: bool, connect: Connect
    ) -> asyncio.Server | Listener | EpollListener:
        loop = self._made.loop
        is_asyncio = self._made.known is ASYNCIO
        handle.setblocking(False)
        admit = partial(self._admit, connect)
        # asyncio accepts so many at once, and from 3.14 on one more, before it asks for the first one's protocol.
        backlog = max(1, self._room.batch - 1) if is_asyncio else self._backlog
        try:
            if self._poller is not None:
                batch = self._room.batch
                return EpollListener(self._poller, handle, is_unix, admit, self._backlog, batch, self._logger)
            if is_asyncio and not self._made.platform.asyncio_bears_resets:
                return Listener(loop, handle, connect, self._backlog, self._logger)
            if is_unix:
                options = keep_path(loop)
                return await loop.create_unix_server(admit, sock=handle, backlog=backlog, **options)
            return await loop.create_server(admit, sock=handle, backlog=backlog)
        except BaseException:
            handle.close()
            raise

    def is_deaf(self) -> bool:
        """Whether nothing can be heard of any socket any more, because the application closed the poller's own."""
        return self._poller is not None and not self._poller.is_intact()

    # Lookups

    def _admit(self, connect: Connect) -> asyncio.Protocol:
        """The protocol of a connection that was accepted. It must not raise."""
        space = self._room.admit()
        if space is not Headroom.OK and self._waiting is None:
            self._waiting = self._made.loop.create_task(self._wait_for_room())
        return (
            RejectConnection(self._room, self._made.can(Feature.PROMPT_CLOSE)) if space is Headroom.NONE else connect()
        )

    async def _wait_for_room(self) -> None:
        """Accept no more until there is room."""
        stops = self._made.can(Feature.KEEPS_CLIENTS)
        self._say_scarce("wait in the queue" if stops else "are turned away")
        if stops:
            await self._settle()
            self._close_listeners()
        while not (self._has_room() and await self._accept_again()):
            await asyncio.sleep(PAUSE_SECONDS)
        self._waiting = None

    def _has_room(self) -> bool:
        if not self._made.can(Feature.PROMPT_CLOSE):
            gc.collect()  # this loop gives back what was closed when its objects go, and they refer to each other
        return self._room.fits(self._room.batch + len(self._bounds))

    async def _accept_again(self) -> bool:
        """Go on. Returns False where somebody has taken the room meanwhile."""
        if not self._made.can(Feature.KEEPS_CLIENTS):
            for bound in self._bounds:
                knock(bound.handle)
            return True
        try:
            await self.start()
        except OSError:
            self._close_listeners()
            return False
        return True

    def _say_scarce(self, follows: str) -> None:
        now = monotonic()
        if now - self._said >= SAY_SECONDS:
            self._said = now
            self._logger.error(
                "no room for more connections: most of the %d file descriptors are in use; until some are closed, new "
                "clients %s; raise the limit (ulimit -n, LimitNOFILE=)",
                self._room.limit,
                follows,
            )

    async def _stop_waiting(self) -> None:
        waiting = self._waiting
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})

    # The end

    async def stop(self) -> None:
        """Accept no more: whoever connects now is refused. Connections that are open stay as they are, and what the
        kernel had already accepted for us is served: closing its queue would reset clients that did nothing wrong."""
        await self._stop_waiting()
        await self._settle()
        clients: list[tuple[ListenSocket, Connect, socket.socket, Any]] = []
        if self._made.can(Feature.KEEPS_CLIENTS):
            loops_own = not any(isinstance(listener, Listener) for listener, _ in self._listeners)
            for bound, connect in zip(self._bounds, self._connects, strict=True):
                if not bound.inherited and loops_own:
                    clients += ((bound, connect, *client) for client in queued(bound.handle))
            self._close_listeners()
            for bound in self._bounds:
                bound.close()
        else:
            self._stop_accepting_alone()
        for bound, connect, client, peername in clients:
            if self._poller is not None:
                adopt_socket(self._poller, client, peername, bound.is_unix, connect(), self._logger)
                continue
            try:
                await self._made.loop.connect_accepted_socket(connect, client)
            except OSError:  # it has left meanwhile
                client.close()

    def _stop_accepting_alone(self) -> None:
        """Where closing the loop's server would close its connections too."""
        for (_, descriptor), bound in zip(self._listeners, self._bounds, strict=False):
            if bound.inherited:
                park(descriptor)
                continue
            try:
                bound.handle.shutdown(socket.SHUT_RDWR)  # a socket that was shut down accepts no more either
            except OSError:
                pass

    async def _settle(self) -> None:
        """Have the loop finish what it has begun. asyncio makes a connection in the turn after it has accepted it, and
        loses it if the listener is closed meanwhile (CPython gh-109564)."""
        if self._made.known is not ASYNCIO or self._poller is not None:
            return
        for listener, descriptor in self._listeners:
            if not isinstance(listener, Listener):
                self._made.loop.remove_reader(descriptor)
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)

    def close(self) -> None:
        """Let go of the listeners, when no connection is left."""
        self._close_listeners()
        if self._poller is not None:
            self._poller.close()
        self._room.close()

    def _close_listeners(self) -> None:
        for listener, _ in self._listeners:
            listener.close()
        self._listeners.clear()


def park(descriptor: int) -> None:
    """Have a loop that cannot close its listener alone accept from a queue that stays empty: the socket that it knows
    by this number becomes another one, of no address. Whoever shares the old one with us accepts its clients."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as empty:
        empty.setblocking(False)
        if HERE.has_nameless_sockets:
            empty.bind("")
            empty.listen(1)
        os.dup2(empty.fileno(), descriptor, inheritable=False)


def knock(handle: socket.socket) -> None:
    """Have a loop look at its queue that does so only when somebody comes, and has left some there (EPOLLET)."""
    with socket.socket(handle.family, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        try:
            visitor.connect(handle.getsockname())
        except OSError:
            pass  # it is on its way


def queued(handle: socket.socket) -> list[tuple[socket.socket, Any]]:
    """The connections that wait in a listening socket's queue, and who they are."""
    clients = []
    try:
        while True:
            client, peername = handle.accept()
            client.setblocking(False)
            clients.append((client, peername))
    except OSError:  # there is no other, or no room for it
        return clients


def keep_path(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """The argument that keeps a loop from removing a Unix socket's path: that is our business, or the business of who
    handed us the socket. asyncio removes it from 3.13 on, and where the argument is unknown nobody does."""
    try:
        known = inspect.signature(loop.create_unix_server).parameters
    except (TypeError, ValueError):  # compiled code need not tell its signature
        return {}
    return {"cleanup_socket": False} if "cleanup_socket" in known else {}
