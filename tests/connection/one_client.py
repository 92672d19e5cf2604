"""A connection whose client is simulated: what it sends comes as a kernel would give it, one read in each iteration of
the loop, and what it is sent waits until it takes it. No tests in this file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from whorl.asgi.app_context import AppContext
from whorl.asgi.types import ASGIApp
from whorl.asgi.websocket import WebSocketLimits
from whorl.config import Config
from whorl.connection.context import Http1Caches, ServerContext
from whorl.connection.http1 import Http1Connection
from whorl.connection.limits import Limits
from whorl.connection.listener_policy import ListenerPolicy
from whorl.net.read_size import READ_BYTES
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers


class OneClient(asyncio.Transport):
    """The loop's transport, with the client behind it.

    Args:
        takes: whether the client reads what it is sent.

    Attributes:
        data: what the client sends, and was not read yet.
        sent: what the client took.
        waiting: what it did not take yet.
    """

    def __init__(self, data: bytes, takes: bool = True) -> None:
        super().__init__()
        self.protocol: Any = None
        self.data = data
        self.sent = bytearray()
        self.waiting = bytearray()
        self.takes = takes
        self.reading = True
        self.closing = False
        self._blocked = False
        self._high_bytes = self._low_bytes = 0

    def step(self) -> None:
        """One iteration of the loop: the client takes what waits, and the server reads what has come."""
        if self.takes:
            self.take(len(self.waiting))
        if self.reading and self.data and not self.closing:
            piece, self.data = self.data[:READ_BYTES], self.data[READ_BYTES:]
            self.protocol.data_received(piece)

    def take(self, size_bytes: int) -> None:
        self.sent += self.waiting[:size_bytes]
        del self.waiting[:size_bytes]
        if self._blocked and len(self.waiting) <= self._low_bytes:
            self._blocked = False
            self.protocol.resume_writing()

    # What a connection asks of a transport

    def write(self, data: Any) -> None:
        if not self.closing:
            self.waiting += data
        if not self._blocked and len(self.waiting) > self._high_bytes:
            self._blocked = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_bytes, self._low_bytes = high or 0, low or 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


def server_context(app: ASGIApp, websocket: WebSocketLimits | None = None, **settings: Any) -> ServerContext:
    """What the connections of a server share; in a running loop."""
    app_context = AppContext(app, asyncio.get_running_loop(), copy_context(), logging.getLogger("test"))
    limits = Limits.of(Config("main:app", **settings))
    return ServerContext(app_context, limits, Http1Caches(b"", False, []), websocket or WebSocketLimits())


def connect(
    client: OneClient, app: ASGIApp, protocol: Callable[[Http1Connection], Any] = lambda it: it, **more: Any
) -> Any:
    """A connection for this client.

    Args:
        protocol: makes what stands between the two, such as TLS.
        more: of `server_context`.
    """
    connection = Http1Connection(server_context(app, **more), ListenerPolicy(TrustedPeers(()), MalformedCounts()))
    client.protocol = protocol(connection)
    client.protocol.connection_made(client)
    return connection


async def iterate(client: OneClient, count: int, look: Callable[[], object] = lambda: None) -> None:
    """So many iterations of the loop, with a look at the end of each: callbacks that were planned in the one before run
    first."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        loop.call_soon(client.step)  # outside of any task, as a loop reads
        await asyncio.sleep(0)
        look()
