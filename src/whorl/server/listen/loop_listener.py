"""A listener of our own (listen(2), accept(2)), for loops whose own does not bear a client that leaves too early.

A client may reset its connection before it was accepted. On Windows, asyncio's Proactor then closes the listener for
good (CPython gh-93821), and its Selector logs a traceback each time. What died cannot be revived: Windows gives a
socket to a completion port once, its duplicates included. One level lower, at `sock_accept`, both loops are sound.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from whorl.observe.failures import log_internal_error

__all__ = ["Listener"]

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""The system has no room for another connection, and trying again at once would change nothing."""
PAUSE_SECONDS = 1.0

TWIN_NAME = "accept_coro"

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class Listener:
    """Accepts connections, one after the other, from now on until `close`.

    Args:
        loop: whose connections they become.
        handle: a bound socket that does not block; the listener closes it.
        connect: makes the protocol of a new connection.
        backlog: how many connections the kernel holds for us.
        logger: where to say that the system has no room.
    """

    __slots__ = ("_connect", "_handle", "_logger", "_loop", "_task")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: socket.socket,
        connect: Callable[[], asyncio.Protocol],
        backlog: int,
        logger: logging.Logger,
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._connect = connect
        self._logger = logger
        ProactorAcceptFilter.install(loop)
        handle.listen(backlog)
        self._task = loop.create_task(self._accept())
        self._task.add_done_callback(lambda _: handle.close())

    def close(self) -> None:
        """Accept no more. The socket is closed with the next turn of the loop."""
        self._task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._handle)
            except OSError as error:
                await self._pause(error)
            else:
                await self._serve(client)

    async def _serve(self, client: socket.socket) -> None:
        try:
            # The Proactor makes sockets without a protocol number, and by that asyncio turns Nagle's algorithm off.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._connect, client)
        except OSError:  # it has left meanwhile
            client.close()
        except Exception as error:
            client.close()
            log_internal_error(self._logger, error)

    async def _pause(self, error: OSError) -> None:
        """Before the next try: a turn of the loop after a client that left, longer where the system has no room."""
        if error.errno in EXHAUSTED:
            self._logger.error("no more connections can be accepted for now: %s", error.strerror or error)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            await asyncio.sleep(0)


class ProactorAcceptFilter:
    """An exception handler for a loop: it drops one complaint, and passes on all others.

    The Proactor awaits each accept a second time, in a task of its own that nobody awaits. When a client leaves too
    early, that task ends with the failure that was dealt with here, and would be logged with a traceback.

    Args:
        before: the handler that the loop had, None for the loop's default.
    """

    __slots__ = ("_before",)

    def __init__(self, before: Handler | None) -> None:
        self._before = before

    @classmethod
    def install(cls, loop: asyncio.AbstractEventLoop) -> None:
        """Give a loop this handler, unless it has one. It stays: it holds nothing of the listener."""
        before = loop.get_exception_handler()
        if not isinstance(before, cls):
            loop.set_exception_handler(cls(before))

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("future")
        is_twin = isinstance(task, asyncio.Task) and getattr(task.get_coro(), "__name__", "") == TWIN_NAME
        if is_twin and isinstance(context.get("exception"), OSError):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)
