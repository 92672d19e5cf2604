"""What the connections of one server share. An idle connection keeps one reference to it, and so costs little."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from whorl.asgi.app_context import AppContext
from whorl.asgi.websocket import WebSocketLimits
from whorl.connection.http1_state import phase_timeouts
from whorl.connection.limits import Limits
from whorl.connection.managed import Managed
from whorl.http.default_fields import DefaultFields
from whorl.http.encoder import ResponseFieldEncoder
from whorl.net.io_batch import IoBatch
from whorl.net.write_buffer import FlushScheduler
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import HeadLimits
from whorl.wire.http1.writer import encode_field

__all__ = ["Http1Caches", "ServerContext"]

READ_BUFFER_BYTES: Final = 64 * 1024


class Http1Caches:
    """What the HTTP/1 connections of a server remember of requests and responses.

    Args:
        server_name, with_date, extra: as for `DefaultFields`.
    """

    __slots__ = ("default_headers", "request_fields", "response_fields")

    def __init__(self, server_name: bytes, with_date: bool, extra: Sequence[tuple[bytes, bytes]]) -> None:
        self.request_fields = FieldLineCache()
        self.response_fields = ResponseFieldEncoder(encode_field)
        self.default_headers = DefaultFields(encode_field, server_name, with_date, extra)


class ServerContext:
    """What the connections of a server share.

    Args:
        app_context: what their exchanges share.
        limits: the settings that they keep to.
        caches: what they remember.
        websocket_limits: what a WebSocket may cost; None if the server has no WebSocket.
        loop_closes_promptly: whether the loop closes a socket when it is told to, and notices a reset.

    Attributes:
        app_context, limits, caches, websocket_limits, loop_closes_promptly: the same.
        batch: what they do together in one iteration of the loop.
        connection_closed: done when a connection has closed; None if nothing waits for that.
        connections: the open ones.
        head_limits: what a request head may cost.
        keep_alive_enabled: whether a connection may outlive its exchange.
        phase_timeouts: how long each phase of an HTTP/1 connection may last, in seconds.
        read_buffer: where connections read that cannot have a buffer of their own (rloop).
        rejects_new: whether new connections are closed at once.
        scheduler: flushes at the end of an iteration.
        tls_in, tls_out: what OpenSSL reads from and writes to. They are empty whenever TLS is not at work.
    """

    __slots__ = (
        "app_context",
        "batch",
        "caches",
        "connection_closed",
        "connections",
        "head_limits",
        "keep_alive_enabled",
        "limits",
        "loop_closes_promptly",
        "phase_timeouts",
        "read_buffer",
        "rejects_new",
        "scheduler",
        "tls_in",
        "tls_out",
        "websocket_limits",
    )

    def __init__(
        self,
        app_context: AppContext,
        limits: Limits,
        caches: Http1Caches,
        websocket_limits: WebSocketLimits | None,
        loop_closes_promptly: bool = True,
    ) -> None:
        self.app_context = app_context
        self.limits = limits
        self.caches = caches
        self.websocket_limits = websocket_limits
        self.loop_closes_promptly = loop_closes_promptly
        self.head_limits = HeadLimits(
            limits.limit_request_line, limits.limit_header_section, limits.limit_header_fields
        )
        self.phase_timeouts = phase_timeouts(limits)
        self.batch = IoBatch()
        self.scheduler = FlushScheduler(app_context.loop, app_context.context, self.batch)
        self.read_buffer = bytearray(READ_BUFFER_BYTES)
        self.tls_in = ssl.MemoryBIO()
        self.tls_out = ssl.MemoryBIO()
        self.keep_alive_enabled = limits.timeout_keep_alive != 0
        self.rejects_new = False
        self.connections: set[Managed] = set()
        self.connection_closed: asyncio.Future[None] | None = None

    def add(self, connection: Managed) -> None:
        """Add a connection that has opened."""
        self.connections.add(connection)

    def discard(self, connection: Managed) -> None:
        """Remove a connection that has closed."""
        self.connections.discard(connection)
        closed = self.connection_closed
        if closed is not None and not closed.done():
            closed.set_result(None)

    def stop_keep_alive(self) -> None:
        """Close each connection after its present response."""
        self.keep_alive_enabled = False

    def reject_new(self) -> None:
        """Close new connections at once."""
        self.rejects_new = True

    def wait_closed(self) -> asyncio.Future[None]:
        """Return a future that is done when a connection has closed."""
        self.connection_closed = self.app_context.loop.create_future()
        return self.connection_closed
