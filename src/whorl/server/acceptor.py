"""Accepting connections: bound sockets in, connections made by the loop's own server (accept(2)), or by a `Listener`
of ours where the loop's own is not sound.

The loop gets a duplicate of each socket and we keep the original, because some loops take away what they are given.
Called by `server`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from whorl.loops import Feature, MadeLoop
from whorl.loops.registry import ASYNCIO
from whorl.platform import HERE
from whorl.server.listener import Listener
from whorl.server.sockets import Bound

__all__ = ["Acceptor"]

Connect = Callable[[], asyncio.Protocol]

TURNS_TO_CONNECT = 3
"""Of the loop, from accept(2) to `connection_made`: a task is made, runs, and what it plans runs."""


class Acceptor:
    """Listens on some bound sockets.

    Args:
        made: the loop, and what it can do.
        bounds: the sockets.
        connector: gives, for each of them, what makes the protocol of a new connection; that must not raise, because
            there are loops that end the process then.
        backlog: how many connections the kernel holds for us.
        logger: where trouble with accepting is told.
    """

    __slots__ = ("_backlog", "_bounds", "_connects", "_listeners", "_logger", "_made")

    def __init__(
        self,
        made: MadeLoop,
        bounds: Sequence[Bound],
        connector: Callable[[Bound], Connect],
        backlog: int,
        logger: logging.Logger,
    ) -> None:
        self._made = made
        self._bounds = bounds
        self._connects = [connector(bound) for bound in bounds]
        self._backlog = backlog
        self._logger = logger
        self._listeners: list[tuple[asyncio.Server | Listener, int]] = []

    async def start(self) -> None:
        """Listen."""
        for bound, connect in zip(self._bounds, self._connects, strict=True):
            handle = bound.handle.dup()
            descriptor = handle.fileno()
            self._listeners.append((await self._listen(handle, bound.is_unix, connect), descriptor))

    async def _listen(self, handle: socket.socket, is_unix: bool, connect: Connect) -> asyncio.Server | Listener:
        loop = self._made.loop
        platform = self._made.platform
        handle.setblocking(False)
        try:
            if self._made.known is ASYNCIO and not platform.asyncio_bears_resets:
                return Listener(loop, handle, connect, self._backlog, self._logger)
            if is_unix:
                options = keep_path(loop)
                return await loop.create_unix_server(connect, sock=handle, backlog=self._backlog, **options)
            return await loop.create_server(connect, sock=handle, backlog=self._backlog)
        except BaseException:
            handle.close()
            raise

    async def stop(self) -> None:
        """Accept no more: whoever connects now is refused. Connections that are open stay as they are, and what the
        kernel had already accepted for us is served: closing its queue would reset clients that did nothing wrong."""
        keeps_clients = self._made.can(Feature.KEEPS_CLIENTS)
        await self._settle()
        waiting: list[tuple[Connect, socket.socket]] = []
        for (listener, descriptor), bound, connect in zip(self._listeners, self._bounds, self._connects, strict=False):
            if keeps_clients:
                if not bound.inherited and not isinstance(listener, Listener):
                    waiting += ((connect, client) for client in queued(bound.handle))
                listener.close()
                bound.close()
            elif bound.inherited:
                park(descriptor)
            else:
                # Closing this loop's server would close its connections too; a socket that was shut down accepts no
                # more either.
                try:
                    bound.handle.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for connect, client in waiting:
            try:
                await self._made.loop.connect_accepted_socket(connect, client)
            except OSError:  # it has left meanwhile
                client.close()

    async def _settle(self) -> None:
        """Have the loop finish what it has begun. asyncio makes a connection in the turn after it has accepted it, and
        loses it if the listener is closed meanwhile (CPython gh-109564)."""
        if self._made.known is not ASYNCIO:
            return
        for listener, descriptor in self._listeners:
            if not isinstance(listener, Listener):
                self._made.loop.remove_reader(descriptor)
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)

    def close(self) -> None:
        """Let go of the listeners, when no connection is left."""
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


def queued(handle: socket.socket) -> list[socket.socket]:
    """The connections that wait in a listening socket's queue."""
    clients = []
    try:
        while True:
            client, _ = handle.accept()
            client.setblocking(False)
            clients.append(client)
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
