"""One WebSocket: its handshake, its messages, and one call of the application (ASGI WebSocket 2.5, RFC 6455).

Until the application accepts, a `WebSocketSession` is an `Exchange` that can be answered like any request: that is how
it is refused. Then `whorl.wire.websocket` reads and writes the frames. A message goes straight to the application if it
waits for one, else into a queue. A full queue pauses reading; no message is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum
from sys import getsizeof
from typing import Any, Final, NamedTuple

from whorl.asgi.app_context import AppContext
from whorl.asgi.exchange import Exchange, as_bytes
from whorl.asgi.message_waiter import MessageWaiter
from whorl.asgi.shutdown import CLOSE_OWNER, CloseOwner
from whorl.asgi.states import ABORTED, COMPLETE, DELIVERED, WEBSOCKET_OPEN
from whorl.asgi.types import Message
from whorl.asgi.websocket_transport import WebSocketTransport
from whorl.http.request import Request
from whorl.wire.websocket.closing import ABNORMAL, NORMAL
from whorl.wire.websocket.deflate import DeflateSettings, negotiate
from whorl.wire.websocket.events import Close, Ping
from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.failure import Failure
from whorl.wire.websocket.protocol import Connection as Codec
from whorl.wire.websocket.protocol import State

__all__ = ["CLOSE_TRANSITIONS", "CloseState", "WebSocketLimits", "WebSocketSession"]


# RFC 6455 section 7.4.1 and IANA's registry.
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

PING_UNANSWERED = "A ping was not answered in time."
SHUTTING_DOWN = "The server is leaving."
NO_MEMORY = "The server has no memory for the message."

MAX_FRAMES = 64
"""How many frames are read in one iteration of the loop: one read may hold 16,000 empty pings."""
MAX_INFLATED_BYTES = 1024 * 1024
"""After so many bytes, no further message is inflated in the same iteration: 16 KiB may become 16 MiB."""

# The server writes the fields of the handshake: the application chooses a subprotocol by a key of websocket.accept,
# and a 101 has no content (RFC 9110 section 8.6).
RESERVED_HEADERS = frozenset((b"upgrade", b"content-length"))
RESERVED_PREFIX = b"sec-websocket-"


class CloseState(Enum):
    """What the Close frame of an open WebSocket waits for.

    If the peer closes or breaks the protocol, or the server shuts down, the Close frame is sent once the application
    has handled what came before: it can answer the last message (ASGI WebSocket 2.5).
    """

    APP_IDLE = 0
    """The application has handled every message."""
    APP_BUSY = 1
    """The application has a message, or one waits for it, and it has not called receive() again."""
    CLOSE_PENDING = 2
    """As APP_BUSY, and the Close frame is sent when the application calls receive() again."""
    CLOSE_SENT = 3
    """The Close frame was sent, or never will be."""


APP_IDLE: Final = CloseState.APP_IDLE
APP_BUSY: Final = CloseState.APP_BUSY
CLOSE_PENDING: Final = CloseState.CLOSE_PENDING
CLOSE_SENT: Final = CloseState.CLOSE_SENT

# `tests/asgi/test_websocket_session.py` holds its sessions to this table.
CLOSE_TRANSITIONS: Final[dict[CloseState, tuple[CloseState, ...]]] = {
    APP_IDLE: (APP_BUSY, CLOSE_SENT),
    APP_BUSY: (APP_IDLE, CLOSE_PENDING, CLOSE_SENT),
    CLOSE_PENDING: (CLOSE_SENT,),
    CLOSE_SENT: (),
}


class Reading(Enum):
    """Whether frames are read."""

    ACTIVE = 0
    """As they come."""
    PAUSED = 1
    """Not before the application, or the peer, has taken something."""
    RESUMING = 2
    """In the next iteration of the loop."""


ACTIVE: Final = Reading.ACTIVE
PAUSED: Final = Reading.PAUSED
RESUMING: Final = Reading.RESUMING


class CloseInfo(NamedTuple):
    """How the WebSocket ended.

    Attributes:
        code: of websocket.disconnect.
        reason: of websocket.disconnect.
        protocol_error: whether the peer broke the protocol: it may still be sending.
    """

    code: int
    reason: str = ""
    protocol_error: bool = False


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What one WebSocket may cost.

    Attributes:
        message_bytes: the longest message on the wire; a longer one is answered with 1009. Reading pauses when the
            queue takes as much memory: a `str` takes up to four bytes for each character.
        max_queued: how many messages may wait for the application before reading pauses.
        deflate: what is offered about compression; None for none.
    """

    message_bytes: int = 16 * 1024 * 1024
    max_queued: int = 32
    deflate: DeflateSettings | None = field(default_factory=DeflateSettings)


class WebSocketSession(Exchange):
    """One WebSocket, and the application's call.

    Args:
        app_context: what the server's exchanges share.
        transport: what carries the WebSocket.
        request: the request.
        scope: the application's scope.
        offers: the extensions that the client offers.
        limits: what it may cost.
    """

    __slots__ = (
        "_close_info",
        "_close_owner",
        "_close_state",
        "_codec",
        "_idle_waiter",
        "_limits",
        "_message_waiters",
        "_offers",
        "_queue",
        "_queued_bytes",
        "_reading",
        "_transport",
    )

    _codec: Codec

    def __init__(
        self,
        app_context: AppContext,
        transport: WebSocketTransport,
        request: Request,
        scope: dict[str, Any],
        offers: Sequence[Extension],
        limits: WebSocketLimits,
    ) -> None:
        super().__init__(app_context, transport, request, scope)
        self._transport = transport
        self._offers = offers
        self._limits = limits
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._message_waiters: list[MessageWaiter] = []
        self._idle_waiter: MessageWaiter | None = None
        self._close_info: CloseInfo | None = None  # what receive() reports once the queue is empty
        self._close_state = APP_IDLE
        self._close_owner = CloseOwner()
        self._reading = ACTIVE

    def start(self, context: Context | None = None) -> None:
        """Call the application, in a context in which `whorl.shutdown` can claim the close of this WebSocket."""
        if context is None:
            context = self.app_context.context.copy()
        context.run(CLOSE_OWNER.set, self._close_owner)
        if self._transport.client_ended():
            self.client_ended()
        super().start(context)

    # What the application receives

    async def receive(self) -> Message:
        """ASGI receive(): websocket.connect, the messages in order, then websocket.disconnect."""
        if self.request_state is not DELIVERED:
            self.request_state = DELIVERED
            return {"type": "websocket.connect"}
        queue = self._queue
        if queue:
            event = queue.popleft()
            self._queued_bytes -= getsizeof(event)
            if self._reading is PAUSED:
                self._schedule_resume()
            return as_message(event)
        if self._close_state is APP_BUSY:
            self._close_state = APP_IDLE
        elif self._close_state is CLOSE_PENDING:
            self._send_pending_close()
        # Identity comes first: to compare two members of an IntEnum by order costs as much as a call.
        while self._close_info is None and (self.response_state is WEBSOCKET_OPEN or self.response_state < COMPLETE):
            waiter = self._idle_waiter
            if waiter is None:
                waiter = MessageWaiter(self.app_context.loop, self.app_context.completed_future)
            else:
                self._idle_waiter = None
            self._message_waiters.append(waiter)
            try:
                received = await waiter
            except BaseException:  # cancelled, or the coroutine was closed
                self._requeue(waiter)
                raise
            self._idle_waiter = waiter
            if type(received) is str:
                return {"type": "websocket.receive", "text": received}
            if received is not None:
                return {"type": "websocket.receive", "bytes": received}
        info = self._close_info or CloseInfo(ABNORMAL)
        return {"type": "websocket.disconnect", "code": info.code, "reason": info.reason}

    def _requeue(self, waiter: MessageWaiter) -> None:
        """Drop a waiter that was cancelled. If it got a message in the same iteration of the loop, the message is put
        back."""
        if not waiter.done() or waiter.cancelled():
            if waiter in self._message_waiters:
                self._message_waiters.remove(waiter)
        elif (event := waiter.result()) is not None:
            self._queue.appendleft(event)
            self._queued_bytes += getsizeof(event)
            if self._close_state is APP_IDLE:
                self._close_state = APP_BUSY

    def receive_data(self, data: bytes | memoryview, inline_budget: int = 0) -> None:
        """Take what was read from the peer.

        Args:
            data: the bytes. A view is not kept.
            inline_budget: how many messages may run the application inside this call, because no task is running.
        """
        codec = self._codec
        if self._reading is not ACTIVE:
            codec.receive_data(data, 0)  # buffered behind the others
            return
        message = codec.read_message(data)
        if message is None:
            self._read(data, inline_budget)
            return
        waiters = self._message_waiters
        if waiters and inline_budget and self._close_info is None:
            self._close_state = APP_BUSY
            if waiters.pop(0).wake_inline(message):
                return
        self._deliver(message, inline_budget > 0)
        if self._queue and self._is_full():
            self._pause()

    def _read(self, data: bytes | memoryview, inline_budget: int) -> None:
        """Read frames, up to the limits of one iteration of the loop and of the queue."""
        codec = self._codec
        codec.allow(MAX_FRAMES)
        # A compressed message may become a thousand times as long: one at a time.
        most = 1 if codec.inflates else self._limits.max_queued
        inflated_bytes = 0
        while True:
            wanted = min(most, self._limits.max_queued - len(self._queue))
            events = codec.receive_data(data, wanted)
            data = b""
            for event in events:
                if type(event) is str or type(event) is bytes:
                    inflated_bytes += len(event)
                    self._deliver(event, inline_budget > 0)
                    inline_budget -= 1
                else:
                    self._on_control(event)
            if codec.is_stopped or (codec.inflates and inflated_bytes > MAX_INFLATED_BYTES and codec.buffered_bytes):
                self._pause()
                self._schedule_resume()
                return
            if len(events) < wanted and self._queued_bytes <= self._limits.message_bytes:
                return
            if self._is_full():
                self._pause()
                return

    def _deliver(self, event: str | bytes, inline: bool) -> None:
        """Give a message to the first that waits for one, or queue it."""
        if self._close_info is not None:
            return  # it crossed the Close frame, or the server is shutting down
        self._close_state = APP_BUSY
        waiters = self._message_waiters
        while waiters:
            waiter = waiters.pop(0)
            if inline:
                if waiter.wake_inline(event):
                    return
            elif not waiter.done():
                waiter.set_result(event)
                return
        self._queue.append(event)
        self._queued_bytes += getsizeof(event)

    def _on_control(self, event: object) -> None:
        """Handle a control frame, or an error of the peer."""
        if isinstance(event, Ping):
            if self._codec.state is not State.CLOSED:
                self._transport.write(self._codec.take_pongs())
            if self._transport.writing_blocked:  # a peer that pings and does not read must not fill the memory
                self._pause()
        elif isinstance(event, (Close, Failure)):
            protocol_error = isinstance(event, Failure)
            if self._codec.state is State.CLOSED:
                self._transport.websocket_ended(protocol_error)
            else:
                self._close_when_handled(CloseInfo(event.code, event.reason, protocol_error))

    def _is_full(self) -> bool:
        """Return whether the application, or a peer that does not read, has enough to handle."""
        limits = self._limits
        return (
            len(self._queue) >= limits.max_queued
            or self._queued_bytes > limits.message_bytes
            or self._transport.writing_blocked
        )

    def _pause(self) -> None:
        if self._reading is ACTIVE:
            self._reading = PAUSED
            self._transport.pause_reading()

    def _schedule_resume(self) -> None:
        """Resume reading in the next iteration of the loop: an application that always finds a message would keep all
        others waiting."""
        if self._reading is PAUSED:
            self._reading = RESUMING
            self.app_context.loop.call_soon(self._resume, context=self.app_context.context)

    def _resume(self) -> None:
        """Read what is buffered here if there is room, then what the transport holds back."""
        if self._reading is not RESUMING:
            return
        if self._is_full():
            self._reading = PAUSED
            return
        self._reading = ACTIVE
        self._read(b"", 0)
        if self._reading is ACTIVE:
            self._transport.resume_reading()

    # What the application sends

    async def send(self, message: Message) -> None:
        """ASGI send(). Wait while more than the high-water mark is unsent, before and after."""
        transport = self._transport
        if self.response_state is WEBSOCKET_OPEN:
            text = message.get("text")
            if transport.writing_blocked:
                await self.wait_writable()
            elif type(text) is str and "bytes" not in message and message["type"] == "websocket.send":
                # Most messages. The calls below would cost an echo of 32 bytes 2.8 % more instructions.
                frame = self._codec.send_text(text)
                if isinstance(frame, bytes):
                    transport.write(frame)
                else:
                    transport.write_header_and_payload(*frame)
                if self._transport.writing_blocked:
                    await self.wait_writable()
                return
        handler = HANDLERS[self.response_state].get(message["type"])
        if handler is None:
            self.out_of_order(message["type"])
        handler(self, message)
        if self.response_state >= COMPLETE:
            self._wake()
        elif transport.writing_blocked:
            await self.wait_writable()

    def _accept(self, message: Message) -> None:
        fields = [(name, value) for name, value in message.get("headers") or ()]
        for name, _ in fields:
            if name.lower() in RESERVED_HEADERS or name.lower().startswith(RESERVED_PREFIX):
                raise ValueError(f"{name!r} cannot be sent with websocket.accept: the server writes it")
        deflate = None
        if self._limits.deflate is not None:
            deflate = negotiate(self._offers, self._limits.deflate)
        self._codec = Codec(self._limits.message_bytes, deflate)
        self._transport.accept_websocket(message.get("subprotocol"), deflate, fields)

    def accepted(self, status: int) -> None:
        """Note that the transport has accepted the handshake, with this status."""
        self.status = status
        self.response_state = WEBSOCKET_OPEN
        self._log_response()

    def _refuse(self, message: Message) -> None:
        """Answer websocket.close before websocket.accept with 403."""
        self._on_start({"status": 403, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
        self._on_first_body({"body": b"Forbidden"})

    def _send(self, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        if text is not None:
            if data is not None:
                raise ValueError("websocket.send has text or bytes, not both")
            if not isinstance(text, str):
                raise TypeError(f"text is a str, not {type(text).__name__}")
            frame = self._codec.send_text(text)
        elif data is not None:
            frame = self._codec.send_binary(data if type(data) is bytes else as_bytes(data))
        else:
            raise ValueError("websocket.send has neither text nor bytes")
        if isinstance(frame, bytes):
            self._transport.write(frame)
        else:
            self._transport.write_header_and_payload(*frame)

    # The end

    def _close_by_app(self, message: Message) -> None:
        code, reason = message.get("code"), message.get("reason")
        self._close(NORMAL if code is None else code, reason or "")

    def _close(self, code: int, reason: str) -> None:
        """Close for the application, which receives no further message."""
        frame = self._codec.close(code, reason)
        self._close_info = self._close_info or CloseInfo(code, reason)
        self._queue.clear()
        self._queued_bytes = 0
        self.response_state = COMPLETE
        self._send_close(frame)

    def _close_when_handled(self, info: CloseInfo) -> None:
        """Close once the application has handled what it received."""
        self._close_info = info
        if self._close_state is APP_BUSY:
            self._close_state = CLOSE_PENDING
        elif self._close_state is APP_IDLE:
            self._send_pending_close()

    def _send_pending_close(self) -> None:
        assert self._close_info is not None
        self.response_state = ABORTED
        # If the peer has closed, the codec replies with what the peer is owed, and ignores these.
        code, reason = self._close_info[:2] if self._codec.state is State.OPEN else (NORMAL, "")
        self._send_close(self._codec.close(code, reason))

    def _send_close(self, frame: bytes) -> None:
        """Send the Close frame, and read on until the peer's has come."""
        self._close_state = CLOSE_SENT
        self._wake()
        self._transport.write(frame)
        if self._codec.state is State.CLOSED:
            self._transport.websocket_ended(self._close_info is not None and self._close_info.protocol_error)
        else:
            self._schedule_resume()

    def _close_at_once(self, reason: str) -> None:
        """Close with 1011, without waiting for the peer or the application."""
        self._close_state = CLOSE_SENT
        self.response_state = ABORTED
        self._wake()
        self._transport.write(self._codec.close(INTERNAL_ERROR, reason))
        self._transport.websocket_ended(True)

    def on_app_incomplete(self) -> None:
        if self.response_state is WEBSOCKET_OPEN:
            self._close(NORMAL, "")  # returning is how an application ends a WebSocket
        elif self._close_info is not None:
            self._abandon()
        else:
            super().on_app_incomplete()

    def fail(self, status: int) -> None:
        if self.response_state is WEBSOCKET_OPEN:
            self._close(INTERNAL_ERROR if status == 500 else SERVICE_RESTART, "" if status == 500 else SHUTTING_DOWN)
        else:
            super().fail(status)

    # What the transport reports

    def client_ended(self) -> None:
        """The client has ended its side. If its handshake is not answered yet, it has disconnected: the answer is still
        sent, and may be a refusal. Otherwise `on_disconnect` is called."""
        if self.response_state is not WEBSOCKET_OPEN:
            self._close_info = self._close_info or CloseInfo(ABNORMAL)
            self._wake()

    @property
    def awaits_disconnect(self) -> bool:
        """Whether the application waits in receive() before it has accepted."""
        return bool(self._message_waiters) and self.response_state < WEBSOCKET_OPEN

    def on_disconnect(self) -> None:
        """The client has disconnected without a Close frame, or has not waited for one."""
        if self.response_state is WEBSOCKET_OPEN:
            self.response_state = ABORTED
        self._close_info = self._close_info or CloseInfo(ABNORMAL)
        self._close_state = CLOSE_SENT
        self._reading = ACTIVE  # a scheduled `_resume` does nothing
        super().on_disconnect()

    def resume_writing(self) -> None:
        """Less than the low-water mark is unsent."""
        self._schedule_resume()
        super().resume_writing()

    def on_server_shutdown(self) -> None:
        """The server shuts down: close with 1012 once the application has handled what it received. If the application
        has claimed the close (`whorl.shutdown`), nothing is done."""
        is_open = self.response_state is WEBSOCKET_OPEN and self._close_info is None
        if is_open and not self._close_owner.app_owns_close:
            self._close_when_handled(CloseInfo(SERVICE_RESTART, SHUTTING_DOWN))

    @property
    def closing_state(self) -> State:
        """How far the closing handshake is (RFC 6455 section 7.1.2)."""
        return self._codec.state

    def ping(self) -> None:
        """Ping a peer that was silent for long."""
        self._transport.write(self._codec.ping())

    def ping_timed_out(self) -> None:
        """Close a WebSocket whose peer has not answered a ping in time."""
        self._close_info = CloseInfo(ABNORMAL, PING_UNANSWERED)
        self._close_at_once(PING_UNANSWERED)

    def send_close_reply(self) -> None:
        """Send the Close frame that is pending, although the application still has a message."""
        if self._close_state is CLOSE_PENDING:
            self._send_pending_close()

    def reading_failed(self, error: Exception) -> bool:
        """Close if an error lost a message, and with it all that follow. Return whether the peer gets the reason."""
        if self.response_state is not WEBSOCKET_OPEN or not isinstance(error, MemoryError):
            return False
        self._close_info = CloseInfo(INTERNAL_ERROR, NO_MEMORY)
        self._close_at_once(NO_MEMORY)
        return True

    def _wake(self) -> None:
        waiters = self._message_waiters
        if waiters and (self._close_info is not None or self.response_state >= COMPLETE):
            self._message_waiters = []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        super()._wake()


def as_message(event: str | bytes) -> Message:
    """Make websocket.receive, with one key: ASGI WebSocket 2.5 allows the other as None, but some applications ask
    which key is there."""
    if type(event) is str:
        return {"type": "websocket.receive", "text": event}
    return {"type": "websocket.receive", "bytes": event}


Handler = Callable[[WebSocketSession, Message], None]

# The messages that each `ResponseState` takes. Any other is the application's error, or the client has disconnected.
HANDLERS: tuple[dict[str, Handler], ...] = (
    {
        "websocket.accept": WebSocketSession._accept,
        "websocket.close": WebSocketSession._refuse,
        "websocket.http.response.start": Exchange._on_start,
    },
    {"websocket.http.response.body": Exchange._on_first_body},
    {"websocket.http.response.body": Exchange._on_body},
    {},
    {"websocket.send": WebSocketSession._send, "websocket.close": WebSocketSession._close_by_app},
    {},
    {},
)
