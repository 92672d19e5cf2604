"""One HTTP/1.1 connection: where octets meet the protocol (RFC 9112 section 9).

Octets come in from the loop's transport, the `RequestReader` makes heads and bodies of them, and each request becomes
an `Exchange`, one after the other in the order in which they came. The connection is the `Stream` its exchange talks
to. It says what it waits for (`Phase`); the server's one sweep asks every connection, and that is all there is of
timers. It must not know the application, nor ASGI's messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import BinaryIO

from whorl.asgi.exchange import Exchange
from whorl.asgi.scope import PeerFacts, http_scope
from whorl.asgi.states import Our
from whorl.asgi.websocket import Session
from whorl.compiled import mypyc_attr
from whorl.connection import upgrade
from whorl.connection.context import Shared
from whorl.connection.ending import Ending
from whorl.connection.listener_policy import Entrance
from whorl.connection.phase import CLOSED, CLOSING, DRAINING, EXCHANGE, HEAD, IDLE, UPGRADED
from whorl.connection.refusing import busy, tell, too_long
from whorl.connection.sendfile import send_file
from whorl.connection.write_buffer import LARGE_BYTES, SMALL_BYTES
from whorl.http.encoder import HAS_CLOSE, HAS_UPGRADE, FieldTable
from whorl.http.error import Refusal
from whorl.http.framing import LENGTH_COUNTED, LENGTH_DECLARED, LENGTH_UNKNOWN, NO_CONTENT_COUNTED, Framing
from whorl.net.io_batch import MANY
from whorl.observe.failures import bug
from whorl.platform import peer_has_ended
from whorl.wire.http1.head import SAYS_CLOSE, SAYS_OF_PROXY, SAYS_OLD, SAYS_UPGRADE, RequestHead
from whorl.wire.http1.writer import (
    CHUNKED_LINE,
    CLOSE_LINE,
    KEEP_ALIVE_LINE,
    STATUS_LINES,
    UPGRADE_LINE,
    interim_response,
    last_chunk,
    refusal_content,
    refusal_response,
)
from whorl.wire.websocket.deflate import Deflate
from whorl.wire.websocket.handshake import Handshake, HandshakeRefusal

__all__ = ["Connection"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection(Ending):
    """Serves one client.

    Args:
        shared: what all connections of the server share.
        entrance: what holds for those who come in by the same socket.
    """

    __slots__ = (
        "_chunked",
        "_says",
        "entrance",
        "exchange",
        "fields",
        "peer",
        "seen",
        "turn_planned",
        "websocket",
    )

    fields: FieldTable

    def __init__(self, shared: Shared, entrance: Entrance) -> None:
        Ending.__init__(self, shared)
        self.entrance = entrance
        self.fields = shared.fields
        self.exchange: Exchange | None = None
        self.websocket: Session | None = None
        self._says = 0
        self._chunked = False
        self.turn_planned = False

    # The loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.attach(transport)
        # `seen` is whom the present request comes from: the peer, or whom a proxy speaks for.
        self.peer: PeerFacts = self.entrance.welcome(transport)
        self.seen: PeerFacts = self.peer
        self.shared.connections.add(self)
        if self.shared.leaving:
            self.phase = CLOSING
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self.phase is CLOSED:
            return  # there is a loop that says so once more when it is told to abort
        self.phase = CLOSED
        self.shared.connections.discard(self)
        self.end_for_children()
        if not self.shared.prompt_close:
            self.hang_up()
        self._held.clear()
        self.reader.discard()
        self.writing_blocked = False
        self.leave_exchange()
        self.websocket = None  # it knows this connection: only the garbage collector could part the two
        changed = self.shared.changed
        if changed is not None and not changed.done():
            changed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Serve what has come, as far as it goes without waiting, and let everything that was said leave in one
        write."""
        phase = self.phase
        if phase is UPGRADED:
            self.take(data)
            return
        reader = self.reader
        if reader.buffer or self.turn_planned:
            reader.receive_data(data)
            if self.turn_planned:  # other connections come first
                self._pause_above_mark()
                return
        else:
            reader.buffer = data
        heads = self.shared.turn.heads
        if heads is None or not (phase is IDLE or phase < EXCHANGE):
            self.take(None)
            return
        try:
            head = reader.try_head()
            if head is None:
                self._await_head()
            else:
                self.phase = HEAD
                self.turn_planned = True  # an end that comes in the same turn does not overtake the request
                heads.append((self, head))
        except Exception as error:
            self._fail(error)

    def take(self, what: RequestHead | bytes | None) -> None:
        """Serve what is there.

        Args:
            what: the head of the request that begins, if it was looked for before; octets for a WebSocket.
        """
        self.in_turn = True
        try:
            phase = self.phase
            if phase is HEAD and isinstance(what, RequestHead):
                self.turn_planned = False
                self._begin(what)
                if self.phase is not IDLE or self.reader.buffer or self.their_eof or self.reading_paused:
                    self._serve(1)
            elif phase is UPGRADED and isinstance(what, bytes):
                self.since = 0.0
                if self.websocket is not None:
                    self.websocket.receive_octets(what, self.shared.pipeline)
            else:
                if what is not None:
                    self.turn_planned = False
                self._serve(0)
        except Exception as error:
            self._fail(error)
        self.in_turn = False
        if self._held:
            held = self.shared.turn.held
            if held is None:
                self.flush()
            elif not self.flush_planned:
                self.flush_planned = True
                held.append(self)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, Refusal):
            self.refuse(error)
        else:
            bug(self.shared.service.logger, error)
            session = self.websocket
            if self.phase is not UPGRADED or session is None or not session.reading_failed(error):
                self.reset()

    def eof_received(self) -> bool:
        """The client will send nothing more, so it has left, as far as the application asks. One that has a request
        under way still gets its whole response."""
        self.their_eof = True
        exchange = self.exchange
        if exchange is not None and self.phase is EXCHANGE and self.reader.chunks_wait:
            return True  # `_planned_turn` reads them, and comes back
        if exchange is not None and self.phase is EXCHANGE and self.reader.body_complete:
            exchange.client_ended()
            return True
        if exchange is not None:
            self.leave_exchange()
            self._cut()
        elif not (self.turn_planned or (self.writing_blocked and self.reader.buffer)):
            self.close()  # else requests that were pipelined come first
        return True

    def pause_writing(self) -> None:
        self.writing_blocked = True
        self.since = self.untaken_since = 0.0
        if self.phase < UPGRADED and self.reader.body_complete:
            self._pause_transport()  # what comes now asks for more responses, and those before it are not read

    def resume_writing(self) -> None:
        self.writing_blocked = False
        self.since = 0.0  # what comes now, the next piece or idleness, is counted from here
        if self.exchange is not None:
            self.exchange.resume_writing()
        if self.reading_paused and self.phase < UPGRADED and self.reader.body_complete:
            if self.exchange is None and self.reader.buffer:
                self._plan_turn()
            elif self.reader.buffered_bytes <= self.shared.high_bytes:
                self._resume_transport()

    # Reading

    def _serve(self, served: int) -> None:
        """Go through what is buffered, as far as it goes. So many requests were served in this turn."""
        reader = self.reader
        while True:
            phase = self.phase
            if phase is IDLE:
                if not reader.buffer:
                    if served == self.shared.pipeline:
                        self._plan_turn()  # as in `_planned_turn`
                    elif self.their_eof or self.reading_paused:
                        self._await_head()
                    return
            elif phase is EXCHANGE:
                self._read_body()
                if self.phase is EXCHANGE:
                    return
                continue
            elif phase is DRAINING:
                self._drain_body()
                if self.phase is DRAINING:
                    return
                continue
            elif phase >= UPGRADED:
                self._discard()
                return
            elif not reader.buffer:
                self._await_head()
                return
            if self.writing_blocked:
                self._pause_transport()  # until the client has read some of its responses
                return
            if served == self.shared.pipeline:
                self._plan_turn()
                return
            head = reader.try_head()
            if head is None:
                self._await_head()
                return
            self._begin(head)
            served += 1

    def _plan_turn(self) -> None:
        """Go on with what is buffered in the next iteration of the loop: other connections come first, and no request
        runs inside the task of the one before."""
        self._pause_above_mark()
        if not self.turn_planned:
            self.turn_planned = True
            service = self.shared.service
            service.loop.call_soon(self._planned_turn, context=service.context)

    def _planned_turn(self) -> None:
        self.turn_planned = False
        if self.phase < UPGRADED:
            waiting_bytes = self.reader.buffered_bytes
            self.take(None)
            if self.their_eof and self.phase is EXCHANGE:
                self.eof_received()
            if (self.phase < EXCHANGE or self.phase is IDLE) and self.reader.buffered_bytes < waiting_bytes:
                self._plan_turn()  # what comes in this iteration waits too, or it would serve the limit twice

    def _pause_above_mark(self) -> None:
        """Read no more while much of what was read waits; `_await_head` reads on."""
        if self.reader.buffered_bytes > self.shared.high_bytes:
            self._pause_transport()

    def _await_head(self) -> None:
        """What is buffered is no whole head: wait for its rest, or for its beginning."""
        if self.their_eof:
            self.close()
            return
        if self.reader.buffer:
            if self.phase is not HEAD:
                self.phase = HEAD
                self.since = 0.0
        elif self.phase is HEAD:
            self.phase = IDLE
        if self.reading_paused and not self.writing_blocked:
            self._resume_transport()

    def _begin(self, head: RequestHead) -> None:
        """Start the exchange of a request whose head has come, with as much of its body as came along."""
        shared = self.shared
        service = shared.service
        seen = self.peer
        self._says = says = head.says
        if says & SAYS_OF_PROXY or seen.special:
            if not self._look(head):
                return
            seen = self.seen
        limit = shared.limit_concurrency
        if limit is not None and len(service.running) >= limit:
            self.refuse(busy(), head)
            return
        service.requests = requests = service.requests + 1
        if requests == service.limit_requests:
            service.limit_reached()
        exchange: Exchange | None
        if not says & SAYS_UPGRADE:
            exchange = Exchange(service, self, head, http_scope(head, seen, service))
        elif (exchange := self._upgrade(head)) is None:
            return
        self.exchange = exchange
        self.phase = EXCHANGE
        if head.body_bytes:
            self.since = 0.0
            limit_bytes = service.limit_body_bytes
            if limit_bytes is not None and head.body_bytes > limit_bytes:
                raise too_long()
            self._body_bytes = 0
            self._read_body()
            if self.their_eof and not self.reader.body_complete:
                self.leave_exchange()  # the rest will never come
                self.close()
                return
        exchange.start()

    def _upgrade(self, head: RequestHead) -> Exchange | None:
        """The exchange of a request that would rather speak another protocol: as plain HTTP where that is none of ours
        (RFC 9110 section 7.8). None where it was refused."""
        try:
            session = upgrade.begin(self, head)
        except HandshakeRefusal as refusal:
            upgrade.refuse(self, refusal, head)
            return None
        service = self.shared.service
        return session or Exchange(service, self, head, http_scope(head, self.seen, service))

    def _look(self, head: RequestHead) -> bool:
        """See whom a request comes from, where that is not the peer alone. Returns False where it was refused."""
        entrance = self.entrance
        self.seen = entrance.look(head, self.peer)
        try:
            entrance.check(head)
        except Refusal as refusal:
            self.refuse(refusal, head)
            return False
        return True

    def _read_body(self) -> None:
        """Hand the exchange what has come of its request's body. What comes after that waits its turn."""
        reader = self.reader
        exchange = self.exchange
        if exchange is None or not reader.buffer:
            return
        if reader.body_complete:
            self._pause_above_mark()
            return
        data = reader.read_body()
        complete = reader.body_complete
        if not data and not complete:
            return
        self.since = 0.0
        self._body_bytes += len(data)
        limit_bytes = self.shared.service.limit_body_bytes
        if limit_bytes is not None and self._body_bytes > limit_bytes:
            raise too_long()
        if not exchange.deliver(data, complete) or (self.writing_blocked and reader.body_complete):
            self._pause_transport()
        elif self.reading_paused:
            self._resume_transport()
        if reader.chunks_wait:
            self._plan_turn()

    def _drain_body(self) -> None:
        """Throw away a body that nobody will read, as far as that is cheaper than a new connection."""
        reader = self.reader
        self._body_bytes += len(reader.read_body())
        if reader.body_complete:
            self._between()
        elif self._body_bytes > self.shared.drain_bytes:
            self._linger()
        elif reader.chunks_wait:
            self._plan_turn()
        elif self.reading_paused:
            self._resume_transport()

    # What the exchange asks (whorl.asgi.stream.Stream)

    def client_ended(self) -> bool:
        # While reading is paused, the end waits in the kernel behind what was not read.
        return self.their_eof or (self.reading_paused and peer_has_ended(self.fileno()))

    @property
    def client_text(self) -> str:
        return self.seen.client_text

    def send_head(
        self, status: int, lines: list[bytes], flags: int, framing: Framing, content: bytes, ends: bool
    ) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        shared = self.shared
        held = self._held
        held.append(STATUS_LINES[status])
        held += lines
        if framing is not LENGTH_DECLARED:
            if framing is LENGTH_COUNTED or framing is NO_CONTENT_COUNTED:
                held.append(b"content-length: %d\r\n" % len(content))
            elif framing is LENGTH_UNKNOWN and not self._says & SAYS_OLD:
                self._chunked = True
                held.append(CHUNKED_LINE)
            if framing < LENGTH_DECLARED:
                content = b""
        if flags >= HAS_CLOSE or self._says >= SAYS_CLOSE or not shared.keeps_alive or not self.reader.body_complete:
            self._tell_persistence(exchange, flags, framing)
        held.append(shared.defaults.last_lines(flags))
        if content:
            size_bytes = len(content)
            if size_bytes < LARGE_BYTES and not self._chunked:
                held.append(content)
                self._held_bytes += size_bytes
            else:
                self.send_data(content)
        if ends:
            self._end()
        elif not self.in_turn:
            self.plan_flush()

    def _tell_persistence(self, exchange: Exchange, flags: int, framing: Framing) -> None:
        """Decide whether the connection outlives this response, and say what does not go without saying (RFC 9112
        section 9.3)."""
        old = self._says & SAYS_OLD > 0
        self._until_close = old and framing is LENGTH_UNKNOWN
        if (
            flags & HAS_CLOSE
            or self._until_close
            or not self.shared.keeps_alive
            or not (self.reader.body_complete or self._body_is_cheap(exchange))
        ):
            self._says |= SAYS_CLOSE
        if self._says & SAYS_CLOSE:
            self._held.append(CLOSE_LINE)
        elif old:
            self._held.append(KEEP_ALIVE_LINE)
        elif flags & HAS_UPGRADE:
            self._held.append(UPGRADE_LINE)

    def _body_is_cheap(self, exchange: Exchange) -> bool:
        """Whether what is still to come of the request body may be thrown away to keep the connection.

        A client that was never told to continue may or may not send its body: nobody knows where its next request
        begins (RFC 9110 section 10.1.1).
        """
        left_bytes = exchange.head.body_bytes - self._body_bytes
        return not exchange.expects_continue and left_bytes <= self.shared.drain_bytes

    def send_data(self, data: bytes) -> None:
        if self.exchange is None:
            return
        if not self._chunked:
            self.write(data)
            return
        size_bytes = len(data)
        if size_bytes <= SMALL_BYTES:
            self.write(b"%x\r\n%b\r\n" % (size_bytes, data))
        else:
            self._held.append(b"%x\r\n" % size_bytes)
            self.write(data)
            self.write(b"\r\n")

    def send_end(self, trailers: Sequence[bytes]) -> None:
        if self.exchange is None:
            return
        if self._chunked:
            self._chunked = False
            self._held.append(last_chunk(trailers))
        self._end()

    def _end(self) -> None:
        """The response is complete."""
        self.exchange = None
        if not self.in_turn:
            if len(self.shared.service.running) < MANY:
                self.flush()
            else:
                self.plan_flush()
        if self._says & SAYS_CLOSE:
            self._finish()
        elif self.reader.body_complete:
            self.phase = IDLE
            self.since = 0.0
            if not self.in_turn or not self.shared.keeps_alive:
                self._between()
        else:
            self.phase = DRAINING
            self.since = 0.0
            self._body_bytes = 0  # from here on, what is thrown away
            self._resume_transport()

    def send_interim(self, status: int, lines: Sequence[bytes]) -> None:
        if self.exchange is not None and not self._says & SAYS_OLD:
            self.write(interim_response(status, lines))

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        exchange = self.exchange
        if exchange is not None:
            await send_file(self, exchange, file, offset, count)

    def resume_reading(self) -> None:
        if self.reading_paused:
            self._resume_transport()

    # And, once it has become a WebSocket, its session (whorl.asgi.websocket_transport.Carrier)

    def accept_websocket(
        self, handshake: Handshake, subprotocol: str | None, deflate: Deflate | None, lines: list[bytes], flags: int
    ) -> None:
        if isinstance(self.exchange, Session):
            upgrade.switch(self, self.exchange, handshake, subprotocol, deflate, lines, flags)

    def pause_reading(self) -> None:
        self._pause_transport()

    def websocket_ended(self, broken: bool) -> None:
        if self.phase is not UPGRADED:
            return
        self.exchange = None
        if broken:
            self._linger()
        else:
            self.close()

    def abort(self) -> None:
        if self.exchange is None:
            return
        self.exchange = None
        self._cut()

    # Endings

    def _between(self) -> None:
        """A request and its response are over; the next one may follow."""
        self.phase = IDLE
        self.since = 0.0
        if not self.shared.keeps_alive:
            self.close()
        elif not self.in_turn:
            if self.reader.buffer or self.their_eof:
                self._plan_turn()
            elif self.writing_blocked:
                self._pause_transport()
            elif self.reading_paused:
                self._resume_transport()

    def refuse(self, refusal: Refusal, head: RequestHead | None = None) -> None:
        """Answer with a status and end the connection; where a response is under way, cut it instead."""
        shared = self.shared
        exchange = self.exchange
        if exchange is not None:
            head = exchange.head
            if exchange.our_state > Our.STARTED:
                self.leave_exchange()
                self._cut()
                return
        elif self.phase is DRAINING:
            self._linger()  # the request has its response, and a second one would answer nothing
            return
        with_content = not self.reader.is_head_request() if head is None else head.method != "HEAD"
        tell(self, refusal, head, len(refusal_content(refusal)) if with_content else 0)
        self.leave_exchange()
        self._held.append(refusal_response(refusal, shared.defaults.last_lines(0), with_content))
        self._linger()

    def leave_exchange(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.client_left()

    # What the server asks

    def leave_websocket(self) -> None:
        """Have a WebSocket end, as soon as its application has dealt with what came."""
        if self.phase is UPGRADED and self.websocket is not None:
            self.websocket.server_leaves()
