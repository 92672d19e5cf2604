"""One HTTP/1 connection (RFC 9112 section 9): where bytes meet the protocol.

`RequestReader` parses what is read. Each request becomes an `Exchange`, in the order of arrival; the connection is its
`Stream`, and `WriteBuffer` sends what it writes. `phase` says what the connection waits for. It has no timer: the
server's sweep calls `check_deadlines`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from math import inf
from typing import BinaryIO, cast

from whorl.asgi.exchange import Exchange
from whorl.asgi.scope import ConnectionInfo
from whorl.asgi.states import ABORTED, STARTED
from whorl.asgi.stream import ClientDisconnected
from whorl.asgi.websocket import WebSocketSession
from whorl.compiled import mypyc_attr
from whorl.connection.admission import admit, body_too_large, log_error
from whorl.connection.context import ServerContext
from whorl.connection.http1_state import (
    AWAITING_REQUEST,
    CLOSED,
    CLOSING,
    DISCARDING_BODY,
    ENDING,
    IDLE,
    IN_EXCHANGE,
    LINGERING,
    NEW,
    READING_HEAD,
    TLS_HANDSHAKE,
    UPGRADED,
    Phase,
)
from whorl.connection.listener_policy import ListenerPolicy
from whorl.connection.websocket_deadlines import WebSocketDeadlines
from whorl.http.encoder import HAS_CLOSE, HAS_UPGRADE
from whorl.http.error import HttpError
from whorl.http.framing import LENGTH_COMPUTED, LENGTH_DECLARED, LENGTH_UNKNOWN, NO_CONTENT_COMPUTED, Framing
from whorl.http.request import Request
from whorl.net.io_batch import MIN_BATCH_SIZE
from whorl.net.sendfile import send_file
from whorl.net.write_buffer import INLINE_CHUNK_MAX_BYTES, NO_COPY_MIN_BYTES, WriteBuffer
from whorl.observe.failures import log_internal_error
from whorl.platform import peer_has_ended, peer_is_gone
from whorl.wire.http1.head import CLOSE, HTTP_1_0, UPGRADE
from whorl.wire.http1.reader import RequestReader
from whorl.wire.http1.writer import (
    CHUNKED,
    CHUNKED_LINE,
    CLOSE_LINE,
    KEEP_ALIVE_LINE,
    LENGTH,
    STATUS_LINES,
    UNTIL_CLOSE,
    UPGRADE_LINE,
    BodyEncoding,
    encode_field,
    error_content,
    error_response,
    interim_response,
    last_chunk,
)
from whorl.wire.websocket.deflate import Deflate
from whorl.wire.websocket.handshake import Handshake, HandshakeRefusal, is_upgrade, read_handshake, response_fields

__all__ = ["Http1Connection"]


@mypyc_attr(allow_interpreted_subclasses=True)
class Http1Connection(asyncio.Protocol):
    """Serves one client.

    Args:
        context: what the server's connections share.
        policy: what holds for the clients of its listening socket.

    Attributes:
        client: the client of the present request: the peer, or the one that a proxy names.
        context: the same as above.
        exchange: the present one.
        output: sends what is written; from `connection_made` on.
        peer: the two ends of the connection.
        phase: what the connection waits for.
        policy: the same as above.
        reader: parses what is read.
        reading_held: whether the transport reads nothing more for now, for a reason of its own (TLS).
        reading_paused: whether the connection has paused reading.
        their_eof: whether the client has ended its side.
        waiting_since: when the present wait began, in seconds of the sweep's clock; 0 until the sweep has seen it.
        websocket: what the connection has become.
        writing_blocked: whether more than the high-water mark is unsent.
    """

    __slots__ = (
        "_body_bytes",
        "_encoding",
        "_flags",
        "_handshake",
        "_last_unsent_bytes",
        "_lingering_since",
        "_resume_scheduled",
        "_unsent_since",
        "_websocket_deadlines",
        "client",
        "context",
        "exchange",
        "field_encoder",
        "output",
        "peer",
        "phase",
        "policy",
        "reader",
        "reading_held",
        "reading_paused",
        "their_eof",
        "waiting_since",
        "websocket",
        "writing_blocked",
    )

    client: ConnectionInfo
    output: WriteBuffer
    peer: ConnectionInfo
    _handshake: Handshake  # of a request that asks for WebSocket

    def __init__(self, context: ServerContext, policy: ListenerPolicy) -> None:
        self.context = context
        self.policy = policy
        self.field_encoder = context.caches.response_fields
        self.reader = RequestReader(context.head_limits, context.caches.request_fields)
        self.phase: Phase = NEW
        self.exchange: Exchange | None = None
        self.websocket: WebSocketSession | None = None
        self._websocket_deadlines: WebSocketDeadlines | None = None
        self.reading_held = False
        self.reading_paused = False
        self.writing_blocked = False
        self.their_eof = False
        self.waiting_since = 0.0
        self._flags = 0  # of the present request
        self._encoding: BodyEncoding = LENGTH  # of the present response
        self._body_bytes = 0  # received or discarded, of the present body
        self._resume_scheduled = False
        self._last_unsent_bytes = 0
        self._unsent_since = 0.0
        self._lingering_since = 0.0

    # The loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        context = self.context
        limits = context.limits
        self.output = WriteBuffer(
            cast("asyncio.Transport", transport),
            context.scheduler,
            context.app_context.logger,
            limits.buffer_response_high,
            limits.buffer_response_low,
        )
        self.client = self.peer = self.policy.peer_of(transport)
        context.add(self)
        if context.rejects_new:
            self.phase = CLOSING
            self.output.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self.phase is CLOSED:
            return  # a loop may call this twice after abort()
        self.phase = CLOSED
        output = self.output
        output.shut_down_if_forked()
        if not self.context.loop_closes_promptly:
            output.force_close_fd()
        output.discard()
        self.reader.discard()
        self.writing_blocked = False
        self.disconnect_exchange()
        if self.websocket is not None:  # it refers to this connection: break the cycle
            self.websocket = self._websocket_deadlines = None
        self.context.discard(self)

    def data_received(self, data: bytes) -> None:
        """Serve what was read, as far as that does not wait, and send in one write what is answered."""
        phase = self.phase
        if phase is UPGRADED:
            self._receive_websocket_data(data)
            return
        reader = self.reader
        if reader.buffer or self._resume_scheduled:
            reader.receive_data(data)
            if self._resume_scheduled:  # other connections come first
                self._pause_above_mark()
                return
        else:
            reader.buffer = data
        batch = self.context.batch
        if not batch.defers_requests or phase not in AWAITING_REQUEST:
            self._serve()
            return
        try:
            request = reader.next_request()
            if request is None:
                self._await_head()
            else:
                if phase is not READING_HEAD:
                    self.phase = READING_HEAD
                self._resume_scheduled = True  # an EOF in the same batch must not overtake the request
                batch.request(self, request)
        except Exception as error:
            self._handle_error(error)

    def eof_received(self) -> bool:
        """The client has ended its side, which counts as disconnected. A request in flight still gets its response."""
        self.their_eof = True
        exchange = self.exchange
        if exchange is not None and self.phase is IN_EXCHANGE and self.reader.has_unread_chunks:
            return True  # `_resume` reads them, and calls this again
        if exchange is not None and self.phase is IN_EXCHANGE and self.reader.body_complete:
            exchange.client_ended()
            return True
        if exchange is not None:
            self.disconnect_exchange()
            self._abort_response()
        elif not (self._resume_scheduled or (self.writing_blocked and self.reader.buffer)):
            self.close()  # else pipelined requests come first
        return True

    def pause_writing(self) -> None:
        self.writing_blocked = True
        self.waiting_since = self._unsent_since = 0.0
        if self.phase not in ENDING and self.phase is not UPGRADED and self.reader.body_complete:
            self.pause_reading()  # a further request would only add to what the client does not read

    def resume_writing(self) -> None:
        self.writing_blocked = False
        self.waiting_since = 0.0
        if self.exchange is not None:
            self.exchange.resume_writing()
        if not self.reading_paused or self.phase in ENDING or self.phase is UPGRADED or not self.reader.body_complete:
            return
        if self.exchange is None and self.reader.buffer:
            self._schedule_resume()
        elif self.reader.buffered_bytes <= self.context.limits.buffer_response_high:
            self.resume_reading()

    # Serving

    def start_request(self, request: Request) -> None:
        """Start a request that waited for the others of its batch (`RequestSink`)."""
        self._resume_scheduled = False
        phase = self.phase
        if phase is not READING_HEAD:
            self._serve()  # the connection ended meanwhile
            return
        output = self.output
        output.corked = True
        try:
            self._start_exchange(request)
            if self.phase is not IDLE or self.reader.buffer or self.their_eof or self.reading_paused:
                self._serve_buffered(1)
        except Exception as error:
            self._handle_error(error)
        output.corked = False
        if output.pending:
            self._flush(output)

    def _serve(self) -> None:
        """Serve what is buffered."""
        output = self.output
        output.corked = True
        try:
            self._serve_buffered(0)
        except Exception as error:
            self._handle_error(error)
        output.corked = False
        if output.pending:
            self._flush(output)

    def _flush(self, output: WriteBuffer) -> None:
        """Send what was answered, with the responses of the batch if there is one."""
        if not self.context.batch.defers_flush:
            output.flush()
        elif not output.flush_scheduled:
            output.schedule_flush()

    def _serve_buffered(self, served: int) -> None:
        """Go through what is buffered.

        Args:
            served: how many requests this connection has been served in this iteration of the loop.
        """
        reader = self.reader
        limit = self.context.limits.limit_pipeline
        while True:
            phase = self.phase
            if phase is IDLE:
                if not reader.buffer:
                    if served == limit:
                        self._schedule_resume()  # what comes in this iteration waits too: see `_resume`
                    elif self.their_eof or self.reading_paused:
                        self._await_head()
                    return
            elif phase is IN_EXCHANGE:
                self._read_body()
                if self.phase is IN_EXCHANGE:
                    return
                continue
            elif phase is DISCARDING_BODY:
                self._discard_body()
                if self.phase is DISCARDING_BODY:
                    return
                continue
            elif phase not in AWAITING_REQUEST:
                self._drop_input()
                return
            elif not reader.buffer:
                self._await_head()
                return
            if self.writing_blocked:
                self.pause_reading()  # until the client has read some of its responses
                return
            if served == limit:
                self._schedule_resume()
                return
            request = reader.next_request()
            if request is None:
                self._await_head()
                return
            self._start_exchange(request)
            served += 1

    def _schedule_resume(self) -> None:
        """Go on with what is buffered in the next iteration of the loop: other connections come first, and no request
        runs inside the task of the previous one."""
        self._pause_above_mark()
        if not self._resume_scheduled:
            self._resume_scheduled = True
            app_context = self.context.app_context
            app_context.loop.call_soon(self._resume, context=app_context.context)

    def _resume(self) -> None:
        self._resume_scheduled = False
        if self.phase in ENDING or self.phase is UPGRADED:
            return
        waiting_bytes = self.reader.buffered_bytes
        self._serve()
        if self.their_eof and self.phase is IN_EXCHANGE:
            self.eof_received()
        if self.phase in AWAITING_REQUEST and self.reader.buffered_bytes < waiting_bytes:
            self._schedule_resume()  # what comes in this iteration waits too, or the limit would be served twice

    def _pause_above_mark(self) -> None:
        """Pause reading if much of what was read waits. `_await_head` resumes."""
        if self.reader.buffered_bytes > self.context.limits.buffer_response_high:
            self.pause_reading()

    def _await_head(self) -> None:
        """Wait for the rest of a head, or for its beginning."""
        if self.their_eof:
            self.close()
            return
        if self.reader.buffer:
            if self.phase is not READING_HEAD:
                self.phase = READING_HEAD
                self.waiting_since = 0.0
        elif self.phase is READING_HEAD:
            self.phase = IDLE
        if self.reading_paused and not self.writing_blocked:
            self.resume_reading()

    def _start_exchange(self, request: Request) -> None:
        """Start the exchange of a request, with as much of its body as has been read."""
        self._flags = request.flags
        try:
            exchange = admit(request, self) if not request.flags & UPGRADE else self._admit_upgrade(request)
        except HttpError as error:
            self.refuse(error, request)
            return
        self.exchange = exchange
        self.phase = IN_EXCHANGE
        if request.body_bytes:
            self.waiting_since = 0.0
            self._body_bytes = 0
            self._read_body()
            if self.their_eof and not self.reader.body_complete:
                self.disconnect_exchange()  # the rest will never come
                self.close()
                return
        exchange.start()

    def _admit_upgrade(self, request: Request) -> Exchange:
        """Admit a request that asks for another protocol. If that is not WebSocket, it is served as plain HTTP (RFC
        9110 section 7.8)."""
        if self.context.websocket_limits is None or not is_upgrade(request.version, request.fields):
            return admit(request, self)
        try:
            self._handshake = read_handshake(request.method, request.fields)
        except HandshakeRefusal as refusal:
            raise HttpError(refusal.status, refusal.reason, refusal.fields) from None
        return admit(request, self, self._handshake)

    def _read_body(self) -> None:
        """Deliver what has been read of the request body. What follows the body stays in the buffer."""
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
        self.waiting_since = 0.0
        self._body_bytes += len(data)
        limit_bytes = self.context.limits.limit_body_size
        if limit_bytes is not None and self._body_bytes > limit_bytes:
            raise body_too_large()
        if not exchange.deliver(data, complete) or (self.writing_blocked and reader.body_complete):
            self.pause_reading()
        elif self.reading_paused:
            self.resume_reading()
        if reader.has_unread_chunks:
            self._schedule_resume()

    def _discard_body(self) -> None:
        """Discard the rest of a body, as long as that is cheaper than a new connection."""
        reader = self.reader
        self._body_bytes += len(reader.read_body())
        if reader.body_complete:
            self._next_request()
        elif self._body_bytes > self.context.limits.limit_body_drain:
            self._linger()
        elif reader.has_unread_chunks:
            self._schedule_resume()
        else:
            self.resume_reading()

    # asgi.Stream

    def client_ended(self) -> bool:
        # While reading is paused, the EOF waits in the kernel behind what has not been read.
        return self.their_eof or (self.reading_paused and peer_has_ended(self.fileno()))

    def send_head(
        self, status: int, lines: list[bytes], flags: int, framing: Framing, content: bytes, ends: bool
    ) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        context = self.context
        output = self.output
        pending = output.pending
        pending.append(STATUS_LINES[status])
        pending += lines
        if framing is not LENGTH_DECLARED:
            if framing is LENGTH_COMPUTED or framing is NO_CONTENT_COMPUTED:
                pending.append(b"content-length: %d\r\n" % len(content))
            elif framing is LENGTH_UNKNOWN:
                if self._flags & HTTP_1_0:
                    self._encoding = UNTIL_CLOSE
                else:
                    self._encoding = CHUNKED
                    pending.append(CHUNKED_LINE)
            if framing < LENGTH_DECLARED:
                content = b""
        if flags >= HAS_CLOSE or self._flags >= CLOSE or not (context.keep_alive_enabled and self.reader.body_complete):
            self._write_connection_header(exchange, flags)
        pending.append(context.caches.default_headers.header_block(flags))
        if content:
            if len(content) < NO_COPY_MIN_BYTES and self._encoding is LENGTH:
                pending.append(content)
            else:
                self.send_data(content, False)
        if ends:
            self._response_complete()
        elif not output.corked:
            output.schedule_flush()

    def _write_connection_header(self, exchange: Exchange, flags: int) -> None:
        """Decide whether the connection persists, and say so if it is not the default (RFC 9112 section 9.3)."""
        if (
            flags & HAS_CLOSE
            or self._encoding is UNTIL_CLOSE
            or not self.context.keep_alive_enabled
            or not (self.reader.body_complete or self._can_discard_rest(exchange))
        ):
            self._flags |= CLOSE
        if self._flags & CLOSE:
            self.output.pending.append(CLOSE_LINE)
        elif self._flags & HTTP_1_0:
            self.output.pending.append(KEEP_ALIVE_LINE)
        elif flags & HAS_UPGRADE:
            self.output.pending.append(UPGRADE_LINE)

    def _can_discard_rest(self, exchange: Exchange) -> bool:
        """Return whether to discard the rest of the request body and keep the connection.

        A client that still waits for 100 may send its body or not: nothing tells where its next request begins (RFC
        9110 section 10.1.1).
        """
        left_bytes = exchange.request.body_bytes - self._body_bytes
        return not exchange.awaits_continue and left_bytes <= self.context.limits.limit_body_drain

    def send_data(self, data: bytes, ends: bool) -> None:
        if self.exchange is None:
            return
        output = self.output
        size_bytes = len(data)
        sent = False
        if self._encoding is not CHUNKED:
            if size_bytes:
                sent = output.write(data)
        elif size_bytes > INLINE_CHUNK_MAX_BYTES:
            output.pending.append(b"%x\r\n" % size_bytes)
            sent = output.write(data)
            output.write(b"\r\n0\r\n\r\n" if ends else b"\r\n")
        elif not ends:
            sent = output.write(b"%x\r\n%b\r\n" % (size_bytes, data))
        elif size_bytes:
            output.pending.append(b"%x\r\n%b\r\n0\r\n\r\n" % (size_bytes, data))
        else:
            output.pending.append(b"0\r\n\r\n")
        if ends:
            self._encoding = LENGTH
            self._response_complete()
        elif sent:
            self._block_if_closing()

    def send_trailers(self, lines: Sequence[bytes]) -> None:
        if self.exchange is None:
            return
        if self._encoding is CHUNKED:
            self._encoding = LENGTH
            self.output.pending.append(last_chunk(lines))
        self._response_complete()

    def _response_complete(self) -> None:
        self.exchange = None
        output = self.output
        corked = output.corked
        if not corked:
            if len(self.context.app_context.active) < MIN_BATCH_SIZE:
                output.flush()
            else:
                output.schedule_flush()
        if self._flags & CLOSE:
            self._close_after_last_response()
        elif not self.reader.body_complete:
            self.phase = DISCARDING_BODY
            self.waiting_since = 0.0
            self._body_bytes = 0  # from here on, what is discarded
            self.resume_reading()
        elif corked and self.context.keep_alive_enabled:
            self.phase = IDLE
            self.waiting_since = 0.0
        else:
            self._next_request()

    def _block_if_closing(self) -> None:
        """After a large write to a closing transport, block further writes until `connection_lost`: the application may
        never wait otherwise."""
        if self.output.is_closing():
            self.writing_blocked = True

    def send_interim(self, status: int, lines: Sequence[bytes]) -> None:
        if self.exchange is not None and not self._flags & HTTP_1_0:
            self.output.write(interim_response(status, lines))

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        try:
            await send_file(self, file, offset, count, exchange.wait_writable)
        except OSError:
            if exchange.response_state is not ABORTED:
                self.disconnect_exchange()
                self.output.transport.abort()
            raise ClientDisconnected from None

    def abort(self) -> None:
        if self.exchange is None:
            return
        self.exchange = None
        self._abort_response()

    def pause_reading(self) -> None:
        if not self.reading_paused:
            self.reading_paused = True
            self.output.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.reading_paused:
            self.reading_paused = False
            self.waiting_since = 0.0
            if self.phase is not CLOSING and self.phase is not CLOSED:
                self.output.transport.resume_reading()

    def hold_reading(self, held: bool) -> None:
        """Note whether the transport reads nothing more for a reason of its own."""
        self.reading_held = held

    def restart_deadline(self) -> None:
        """Restart the present wait: the client has done something that the transport does not tell."""
        self.waiting_since = 0.0

    # asgi.WebSocketTransport

    def accept_websocket(
        self, subprotocol: str | None, deflate: Deflate | None, fields: Iterable[tuple[bytes, bytes]]
    ) -> None:
        session = self.exchange
        if not isinstance(session, WebSocketSession):
            return
        lines, flags, _ = self.field_encoder.encode_all(fields)
        handshake_lines = [encode_field(*field) for field in response_fields(self._handshake, subprotocol, deflate)]
        context = self.context
        self.phase = UPGRADED
        self.websocket = session
        self._websocket_deadlines = WebSocketDeadlines(self, session, context.limits)
        header_block = context.caches.default_headers.header_block(flags & ~HAS_CLOSE)
        self.write(b"".join((STATUS_LINES[101], *handshake_lines, *lines, header_block)))
        session.accepted(101)
        rest = self.reader.take_remaining()
        if self.their_eof:
            self.disconnect_exchange()
            self.close()
            return
        self.resume_reading()
        self.waiting_since = 0.0
        if rest:
            session.receive_data(rest)
        if context.rejects_new:
            session.on_server_shutdown()

    def _receive_websocket_data(self, data: bytes) -> None:
        output = self.output
        output.corked = True
        try:
            self.waiting_since = 0.0
            if self.websocket is not None:
                self.websocket.receive_data(data, self.context.limits.limit_pipeline)
        except Exception as error:
            self._handle_error(error)
        output.corked = False
        if output.pending:
            self._flush(output)

    def write(self, data: bytes) -> None:
        if self.output.write(data):
            self._block_if_closing()

    def write_header_and_payload(self, header: bytes, payload: bytes) -> None:
        self.output.write_header_and_payload(header, payload)
        self._block_if_closing()

    def websocket_ended(self, protocol_error: bool) -> None:
        if self.phase is not UPGRADED:
            return
        self.exchange = None
        if protocol_error:
            self._linger()
        else:
            self.close()

    # Ending

    def _next_request(self) -> None:
        """Wait for the next request, which may be buffered."""
        self.phase = IDLE
        self.waiting_since = 0.0
        if not self.context.keep_alive_enabled:
            self.close()
        elif not self.output.corked:
            if self.reader.buffer or self.their_eof:
                self._schedule_resume()
            elif self.writing_blocked:
                self.pause_reading()
            else:
                self.resume_reading()

    def _handle_error(self, error: Exception) -> None:
        if isinstance(error, HttpError):
            self.refuse(error)
            return
        log_internal_error(self.context.app_context.logger, error)
        session = self.websocket
        if self.phase is not UPGRADED or session is None or not session.reading_failed(error):
            self.reset()

    def refuse(self, error: HttpError, request: Request | None = None) -> None:
        """Answer with an error and end the connection; or abort the response that has begun.

        Args:
            error: the answer.
            request: the request, if it was parsed and has no exchange.
        """
        exchange = self.exchange
        reader = self.reader
        if exchange is not None:
            request = exchange.request
            if exchange.response_state > STARTED:
                self.disconnect_exchange()
                self._abort_response()
                return
        elif self.phase is DISCARDING_BODY:
            self._linger()  # the request has its response already
            return
        with_content = not reader.is_head_request() if request is None else request.method != "HEAD"
        context = self.context
        log_error(
            context,
            self.peer if request is None else self.client,
            error,
            exchange,
            reader.request_line() if request is None else request,
            len(error_content(error)) if with_content else 0,
        )
        self.disconnect_exchange()
        header_block = context.caches.default_headers.header_block(0)
        self.output.pending.append(error_response(error, header_block, with_content))
        self._linger()

    def disconnect_exchange(self) -> None:
        """Tell the exchange, if there is one, that the client has disconnected."""
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.on_disconnect()

    def _close_after_last_response(self) -> None:
        if self.their_eof or (self.reader.body_complete and not self.reader.buffer):
            self.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """End our side, and let the client read what was sent: to close while it sends would destroy that on its way
        (RFC 9112 section 9.6). Many clients send their whole body before they read, so this lasts as long as they send,
        up to `timeout_linger` and `limit_linger`."""
        output = self.output
        output.flush()
        self.reader.discard()
        if self.their_eof or not output.transport.can_write_eof():
            self.close()
            return
        if self.phase in ENDING:
            return
        self.phase = LINGERING
        self.waiting_since = 0.0
        self._lingering_since = 0.0
        self._body_bytes = 0
        self.resume_reading()
        try:
            output.transport.write_eof()
        except OSError:  # the client has reset the connection, and asyncio's transport finds out here
            self.reset()

    def _drop_input(self) -> None:
        """Discard what comes after the last response."""
        reader = self.reader
        if reader.buffer:
            if self.phase is LINGERING and not self.writing_blocked:
                self.waiting_since = 0.0
            self._body_bytes += reader.buffered_bytes
            reader.discard()
        if self.phase is LINGERING and self._body_bytes > self.context.limits.limit_linger:
            self.close()

    def _abort_response(self) -> None:
        """Close inside a response so that the client notices: by a reset if the end of its body is the end of the
        connection (RFC 9112 section 8)."""
        if self._encoding is UNTIL_CLOSE:
            self.reset()
        else:
            self.close()

    def close(self) -> None:
        """Close when everything is sent. The sweep ends that if it takes too long."""
        if self.phase is not CLOSING and self.phase is not CLOSED:
            self.output.flush()
            self.phase = CLOSING
            self.waiting_since = self._unsent_since = 0.0
            self.output.transport.close()

    def reset(self) -> None:
        """Close at once, so that the client sees an error and not an end (RST)."""
        self.output.reset()

    def fileno(self) -> int:
        """Return the fd of the socket; -1 without one."""
        return self.output.fileno()

    # Managed

    def check_deadlines(self, read_up_to: float, now: float) -> None:
        """End the present wait if the client took too long."""
        if self.waiting_since == 0.0:
            self.waiting_since = now
            if self._websocket_deadlines is not None:
                self._websocket_deadlines.restart()
        if self.reading_paused or self.their_eof or not self.context.loop_closes_promptly:
            self._probe_client()
        phase = self.phase
        if self.writing_blocked or phase is CLOSING:
            self._check_unsent(read_up_to, now)  # after a complete response too
        elif phase is UPGRADED:
            if self._websocket_deadlines is not None:
                self._websocket_deadlines.check(read_up_to, now)
        elif read_up_to - self.waiting_since > self._timeout_seconds() or self._lingers_too_long(read_up_to, now):
            self._on_timeout()

    def _check_unsent(self, read_up_to: float, now: float) -> None:
        """Reset a client that takes nothing of what waits for it. What it sends meanwhile is no progress, nor is what
        is added to what waits."""
        unsent_bytes = self.output.transport.get_write_buffer_size()
        if self._unsent_since == 0.0 or unsent_bytes < self._last_unsent_bytes:
            self._unsent_since = now
            self._last_unsent_bytes = unsent_bytes
        elif read_up_to - self._unsent_since > self.context.limits.timeout_response:
            self.disconnect_exchange()
            self.reset()

    def _timeout_seconds(self) -> float:
        """Return how long the present wait may last; forever if the client waits for the server."""
        if self.phase is IN_EXCHANGE:
            exchange = self.exchange
            if exchange is None or self.reading_paused or exchange.awaits_continue or self.reader.body_complete:
                return inf
        return self.context.phase_timeouts[self.phase]

    def _lingers_too_long(self, read_up_to: float, now: float) -> bool:
        """Return whether the client has sent for too long after it took the last response."""
        if self.phase is not LINGERING or self.writing_blocked:
            return False
        if self._lingering_since == 0.0:
            self._lingering_since = now
        return read_up_to - self._lingering_since > self.context.limits.timeout_linger

    def _on_timeout(self) -> None:
        if self.phase is READING_HEAD:
            self.refuse(HttpError(408, "The request head took too long (RFC 9110 section 15.5.9)."))
        elif self.phase is IN_EXCHANGE:
            self.refuse(HttpError(408, "The request body took too long (RFC 9110 section 15.5.9)."))
        else:
            self.close()

    def _probe_client(self) -> None:
        """Find a client that has gone if the loop does not tell: most loops watch nothing while they do not read, and
        rloop does not notice a reset."""
        exchange = self.exchange
        if peer_is_gone(self.fileno()):
            self.reset()
        elif exchange is not None and exchange.awaits_disconnect and self.client_ended():
            exchange.client_ended()

    def start_drain(self) -> None:
        """Close a WebSocket with 1012 when its application has handled what it received. A response in flight is
        followed by the close anyway (`ServerContext.keep_alive_enabled`)."""
        if self.phase is UPGRADED and self.websocket is not None:
            self.websocket.on_server_shutdown()

    def close_if_idle(self) -> None:
        """Close if the connection waits for another request."""
        self._close_if_in(IDLE)

    def close_if_new(self) -> None:
        """Close if the client has sent nothing yet."""
        self._close_if_in(NEW)

    def close_if_handshaking(self) -> None:
        """Close if the TLS handshake is not complete."""
        self._close_if_in(TLS_HANDSHAKE)

    def _close_if_in(self, phase: Phase) -> None:
        if self.phase is phase and not self.reader.buffer:
            self.close()
