"""What all HTTP/1 connections of one server share: limits, deadlines, tables of remembered lines, and the set of
connections itself.

Made once by `server`. A connection keeps one reference to it, so that an idle connection costs little.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from whorl.asgi.app_context import Service
from whorl.asgi.websocket import WebSocketLimits
from whorl.connection.phase import Phase
from whorl.http.default_fields import DefaultFields
from whorl.http.encoder import FieldTable
from whorl.net.io_batch import Sender, Turn
from whorl.wire.http1.fields import FieldLines
from whorl.wire.http1.head import Limits
from whorl.wire.http1.writer import encode_field

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["Deadlines", "Shared"]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a connection may wait for its client, in seconds; infinity for ever.

    Attributes:
        first_byte: for the first octet after it was accepted.
        request_head: for a whole request head, from its first octet.
        request_body: for progress of a request body.
        response: for progress of a response that the client does not read.
        keep_alive: for the next request.
        handshake: for the end of the TLS handshake.
        linger: for a client that goes on sending after our last words, in all, before the connection is closed under
            it; counted from when it has taken them.
        linger_silence: for the next bytes of such a client.
        ping_interval: for anything to come from the peer of a WebSocket, before it is pinged.
        ping_timeout: for anything to come after that.
        close_handshake: for the Close frame that answers ours.
        by_phase: how long each phase of a connection may last.
    """

    first_byte: float = 10.0
    request_head: float = 30.0
    request_body: float = 30.0
    response: float = 60.0
    keep_alive: float = 75.0
    handshake: float = 10.0
    linger: float = 30.0
    linger_silence: float = 5.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_handshake: float = 10.0
    by_phase: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        waits = {
            Phase.HANDSHAKE: self.handshake,
            Phase.FRESH: self.first_byte,
            Phase.HEAD: self.request_head,
            Phase.EXCHANGE: self.request_body,
            Phase.DRAINING: self.request_body,
            Phase.IDLE: self.keep_alive,
            Phase.UPGRADED: inf,  # whorl.connection.websocket_deadlines knows more
            Phase.LINGERING: min(self.linger, self.linger_silence),
            Phase.CLOSING: self.response,
            Phase.CLOSED: inf,
        }
        object.__setattr__(self, "by_phase", tuple(waits[phase] for phase in Phase))

    @property
    def shortest(self) -> float:
        """The shortest of them."""
        return min(*self.by_phase, self.ping_interval, self.ping_timeout, self.close_handshake)


@dataclass(slots=True)
class Shared:
    """What the connections of a server have in common.

    Attributes:
        service: the application's side of it.
        defaults: fields that every response carries.
        limits: what a request head may cost.
        deadlines: how long a client may be waited for.
        limit_concurrency: most requests in flight, None without a limit; more are answered with 503.
        websocket: what a WebSocket may cost; None where none is served.
        drain_bytes: how much of a request body that nobody read is thrown away to keep a connection.
        linger_bytes: how much is thrown away after our last words.
        pipeline: how many pipelined requests one connection is served in one turn of the loop.
        high_bytes: how much of a response may wait unsent before the application waits.
        low_bytes: when it goes on.
        read_buffer: where connections are read to that have no buffer of the loop's.
        turn: what connections do together in one turn of the poller, where there is one.
        to_openssl, from_openssl: what OpenSSL reads from and writes to; `tls_transport` leaves both empty.
        prompt_close: whether the loop closes a socket when it is told to, and notices that a client reset one.
        leaving: whether the server is shutting down: whoever connects now is turned away.
        keeps_alive: whether a connection may outlive its exchange.
        connections: the open ones.
        changed: done when a connection has closed, for who waits until all have.
        unflushed: outside of a turn of the poller, those that hold what is to leave when the turn of the loop ends.
    """

    service: Service
    defaults: DefaultFields
    limits: Limits = field(default_factory=Limits)
    deadlines: Deadlines = field(default_factory=Deadlines)
    limit_concurrency: int | None = None
    websocket: WebSocketLimits | None = field(default_factory=WebSocketLimits)
    drain_bytes: int = 1024 * 1024
    linger_bytes: int = 64 * 1024 * 1024
    pipeline: int = 16
    high_bytes: int = 64 * 1024
    low_bytes: int = 16 * 1024
    read_buffer: bytearray = field(default_factory=lambda: bytearray(64 * 1024))
    turn: Turn = field(default_factory=Turn)
    to_openssl: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    from_openssl: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    prompt_close: bool = True
    leaving: bool = False
    keeps_alive: bool = True
    connections: set[Connection] = field(default_factory=set)
    changed: asyncio.Future[None] | None = None
    unflushed: list[Sender] = field(default_factory=list)
    lines: FieldLines = field(default_factory=FieldLines)
    fields: FieldTable = field(default_factory=lambda: FieldTable(encode_field))

    def plan_flush(self) -> None:
        """Have what outputs hold leave when the turn of the loop ends. One callback does it for all: an event that goes
        to many clients goes in one turn."""
        self.service.loop.call_soon(self.flush_all, context=self.service.context)

    def flush_all(self) -> None:
        """The turn of the loop ends."""
        unflushed = self.unflushed
        self.unflushed = []
        self.turn.send(unflushed)
