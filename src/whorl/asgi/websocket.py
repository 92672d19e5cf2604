"""One WebSocket: a handshake, messages, and one call of the application (ASGI WebSocket 2.5, RFC 6455, RFC 7692).

A `WebSocketSession` is an `Exchange` until the application accepts: so it can be refused like any request. Then the
bytes of its transport pass through the codec, and the application's messages through a table of states (`STEPS`). A
message goes straight to an application that waits for one, else into a queue. A full queue pauses reading, and drops
nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, NamedTuple

from whorl.asgi.app_context import AppContext
from whorl.asgi.exchange import Exchange, as_bytes
from whorl.asgi.message_waiter import MessageWaiter
from whorl.asgi.shutdown import FAREWELL, Farewell
from whorl.asgi.states import ABORTED, COMPLETE, DELIVERED, WEBSOCKET_OPEN
from whorl.asgi.turn import BUSY, DUE, FREE, NEXT_TURN, OVER, Passing, Turn
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

__all__ = ["WebSocketLimits", "WebSocketSession"]


# RFC 6455 section 7.4.1 and IANA's registry.
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

PING_UNANSWERED = "A ping was not answered in time."
LEAVING = "The server is leaving."
NO_MEMORY = "The server has no memory for the message."

MAX_FRAMES = 64
"""So many frames are read in one iteration of the loop: one read holds 16,000 empty pings."""
MOST_INFLATED_BYTES = 1024 * 1024
"""Nor is another message inflated in it after so much: 16 KiB may become 16 MiB."""

# Fields of the handshake are the server's business: the application chooses a subprotocol by its own key, and a 101
# has no content (RFC 9110 section 8.6).
NOT_THEIRS = frozenset((b"upgrade", b"content-length"))
NOT_THEIRS_PREFIX = b"sec-websocket-"


class Ending(NamedTuple):
    """How it ends, as the application hears it.

    Attributes:
        code: of websocket.disconnect.
        reason: of websocket.disconnect.
        broken: whether the peer broke the protocol.
    """

    code: int
    reason: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """What one WebSocket may cost.

    Attributes:
        message_bytes: the longest message that is taken, on the wire; longer is 1009. As much memory may wait in the
            queue before reading stops: a `str` takes up to four bytes for each character.
        most_queued: how many messages wait for the application before reading stops.
        deflate: what is offered about compression; None for none.
    """

    message_bytes: int = 16 * 1024 * 1024
    most_queued: int = 32
    deflate: DeflateSettings | None = field(default_factory=DeflateSettings)


class WebSocketSession(Exchange):
    """One WebSocket, and the application's call.

    Args:
        app_context: what all exchanges of the server share.
        carrier: what carries it.
        request: the request.
        scope: what the application is told.
        offers: the extensions that the client offers.
        limits: what it may cost.
    """

    __slots__ = (
        "_carrier",
        "_codec",
        "_ending",
        "_farewell",
        "_is_paused",
        "_is_planned",
        "_limits",
        "_offers",
        "_queue",
        "_queued_bytes",
        "_receivers",
        "_spare",
        "_turn",
    )

    _codec: Codec

    def __init__(
        self,
        app_context: AppContext,
        carrier: WebSocketTransport,
        request: Request,
        scope: dict[str, Any],
        offers: Sequence[Extension],
        limits: WebSocketLimits,
    ) -> None:
        super().__init__(app_context, carrier, request, scope)
        self._carrier = carrier
        self._offers = offers
        self._limits = limits
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._receivers: list[MessageWaiter] = []
        self._spare: MessageWaiter | None = None  # one that has done its work and can do it again
        self._ending: Ending | None = None  # what the application hears when the queue is empty
        self._turn: Turn = FREE
        self._farewell = Farewell()
        self._is_paused = False
        self._is_planned = False  # that reading goes on

    def start(self, context: Context | None = None) -> None:
        """Call the application, in a context in which it can ask for the shutdown, and then says goodbye itself."""
        if context is None:
            context = self.app_context.context.copy()
        context.run(FAREWELL.set, self._farewell)
        if self._carrier.client_ended():
            self.client_ended()
        super().start(context)

    # What the application receives

    async def receive(self) -> Message:
        """ASGI receive(): websocket.connect, the messages in their order, then websocket.disconnect."""
        if self.request_state is not DELIVERED:
            self.request_state = DELIVERED
            return {"type": "websocket.connect"}
        queue = self._queue
        if queue:
            event = queue.popleft()
            self._queued_bytes -= getsizeof(event)
            if self._is_paused:
                self._plan_to_go_on()
            return as_message(event)
        if self._turn is BUSY:
            self._turn = FREE
        elif self._turn is DUE:
            self._pay()
        # That it is open is seen at once; to compare two members of an enum by order costs as much as a call.
        while self._ending is None and (self.response_state is WEBSOCKET_OPEN or self.response_state < COMPLETE):
            receiver = self._spare
            if receiver is None:
                receiver = MessageWaiter(self.app_context.loop, self.app_context.completed_future)
            else:
                self._spare = None
            self._receivers.append(receiver)
            try:
                received = await receiver
            except BaseException:  # cancelled, or the coroutine was closed
                self._put_back(receiver)
                raise
            self._spare = receiver
            if type(received) is str:
                return {"type": "websocket.receive", "text": received}
            if received is not None:
                return {"type": "websocket.receive", "bytes": received}
        ending = self._ending or Ending(ABNORMAL)
        return {"type": "websocket.disconnect", "code": ending.code, "reason": ending.reason}

    def _put_back(self, receiver: MessageWaiter) -> None:
        """Whoever waited was cancelled; what it was given in the same turn of the loop is the next one's."""
        if not receiver.done() or receiver.cancelled():
            if receiver in self._receivers:
                self._receivers.remove(receiver)
        elif (event := receiver.result()) is not None:
            self._queue.appendleft(event)
            self._queued_bytes += getsizeof(event)
            self._turn = NEXT_TURN[self._turn][Passing.MESSAGE]

    def receive_octets(self, data: bytes | memoryview, at_once: int = 0) -> None:
        """Take what came from the peer.

        Args:
            data: the bytes; none, to go on with those that wait. A view is not kept.
            at_once: so many messages may run the application here and now, because no task is running.
        """
        codec = self._codec
        if not self._is_paused and (message := codec.read_message(data)) is not None:
            receivers = self._receivers
            if receivers and at_once and self._ending is None:
                self._turn = BUSY
                if receivers.pop(0).hand_over(message):
                    return
            self._deliver(message, at_once > 0)
            if self._queue and self._is_full():
                self._pause()
            return
        if self._is_paused:
            codec.receive_data(data, 0)  # it waits behind the others
        else:
            self._read(data, at_once)

    def _read(self, data: bytes | memoryview, at_once: int) -> None:
        """Read frames: as many as one connection may in an iteration of the loop, and as long as there is room."""
        codec = self._codec
        codec.allow(MAX_FRAMES)
        # What is compressed may be a thousand times as long when it is read: one message at a time.
        most = 1 if codec.inflates else self._limits.most_queued
        inflated_bytes = 0
        while True:
            wanted = min(most, self._limits.most_queued - len(self._queue))
            events = codec.receive_data(data, wanted)
            data = b""
            for event in events:
                if type(event) is str or type(event) is bytes:
                    inflated_bytes += len(event)
                    self._deliver(event, at_once > 0)
                    at_once -= 1
                else:
                    self._heed(event)
            if codec.is_stopped or (codec.inflates and inflated_bytes > MOST_INFLATED_BYTES and codec.buffered_bytes):
                self._pause()
                self._plan_to_go_on()
                return
            if len(events) < wanted and self._queued_bytes <= self._limits.message_bytes:
                return
            if self._is_full():
                self._pause()
                return

    def _pause(self) -> None:
        self._is_paused = True
        self._carrier.pause_reading()

    def _deliver(self, event: str | bytes, at_once: bool) -> None:
        """Give a message to who waits for it, or keep it."""
        if self._ending is not None:
            return  # it crossed our Close frame, or the server is leaving
        self._turn = BUSY
        receivers = self._receivers
        while receivers:
            receiver = receivers.pop(0)
            if at_once:
                if receiver.hand_over(event):
                    return
            elif not receiver.done():
                receiver.set_result(event)
                return
        self._queue.append(event)
        self._queued_bytes += getsizeof(event)

    def _heed(self, event: object) -> None:
        """Control frames, and the end."""
        if isinstance(event, Ping):
            if self._codec.state is not State.CLOSED:
                self._carrier.write(self._codec.take_pongs())
            if self._carrier.writing_blocked:  # it pings, and does not read: that must not fill our memory
                self._pause()
        elif isinstance(event, (Close, Failure)):
            broken = isinstance(event, Failure)
            if self._codec.state is State.CLOSED:
                self._carrier.websocket_ended(broken)
            else:
                self._end(Ending(event.code, event.reason, broken))

    def _is_full(self) -> bool:
        """Whether the application, or a peer that pings and does not read, has enough to do."""
        limits = self._limits
        return (
            len(self._queue) >= limits.most_queued
            or self._queued_bytes > limits.message_bytes
            or self._carrier.writing_blocked
        )

    def _plan_to_go_on(self) -> None:
        """Read on in the next iteration of the loop: an application that finds a message whenever it asks for one would
        keep all others waiting."""
        if not self._is_planned:
            self._is_planned = True
            self.app_context.loop.call_soon(self._go_on, context=self.app_context.context)

    def _go_on(self) -> None:
        """Read on, if there is room: first what has come, then what the carrier held back."""
        self._is_planned = False
        if not self._is_paused or self._is_full():
            return
        self._is_paused = False
        self._read(b"", 0)
        if not self._is_paused:
            self._carrier.resume_reading()

    # What the application sends

    async def send(self, message: Message) -> None:
        """ASGI send(). Waits while the peer has more than the high-water mark to read, before and after."""
        carrier = self._carrier
        if self.response_state is WEBSOCKET_OPEN:
            text = message.get("text")
            if carrier.writing_blocked:
                await self.wait_writable()
            elif type(text) is str and "bytes" not in message and message["type"] == "websocket.send":
                # As `_send` does it, for what most messages are.
                frame = self._codec.send_text(text)
                if isinstance(frame, bytes):
                    carrier.write(frame)
                else:
                    carrier.write_header_and_payload(*frame)
                if self._carrier.writing_blocked:
                    await self.wait_writable()
                return
        step = STEPS[self.response_state].get(message["type"])
        if step is None:
            self.out_of_order(message["type"])
        step(self, message)
        if self.response_state >= COMPLETE:
            self._wake()
        elif self._carrier.writing_blocked:
            await self.wait_writable()

    def _accept(self, message: Message) -> None:
        headers = [(name, value) for name, value in message.get("headers") or ()]
        for name, _ in headers:
            if name.lower() in NOT_THEIRS or name.lower().startswith(NOT_THEIRS_PREFIX):
                raise ValueError(f"{name!r} is no field for an application to send with websocket.accept")
        lines, flags, _ = self._carrier.field_encoder.encode_all(headers)
        deflate = None
        if self._limits.deflate is not None:
            deflate = negotiate(self._offers, self._limits.deflate)
        self._codec = Codec(self._limits.message_bytes, deflate)
        self._carrier.accept_websocket(message.get("subprotocol"), deflate, lines, flags)

    def accepted(self, status: int) -> None:
        """The carrier has answered the handshake, with this status."""
        self.status = status
        self.response_state = WEBSOCKET_OPEN
        self._log_response()

    def _refuse(self, message: Message) -> None:
        """websocket.close instead of websocket.accept."""
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
            self._carrier.write(frame)
        else:
            self._carrier.write_header_and_payload(*frame)

    def _close_message(self, message: Message) -> None:
        code, reason = message.get("code"), message.get("reason")
        self._close(NORMAL if code is None else code, reason or "")

    # The end

    def _close(self, code: int, reason: str) -> None:
        """ResponseState Close frame, by the application's will; what it has not received it does not want any more."""
        frame = self._codec.close(code, reason)
        self.response_state = COMPLETE
        self._ending = self._ending or Ending(code, reason)
        self._turn = OVER
        self._queue.clear()
        self._queued_bytes = 0
        self._closed(frame)

    def _end(self, ending: Ending) -> None:
        """The peer or the server ends it: our Close frame goes once the application has dealt with what it holds."""
        self._ending = ending
        self._turn = NEXT_TURN[self._turn][Passing.ENDED]
        if self._turn is OVER:
            self._pay()

    def _pay(self) -> None:
        """Send the Close frame that is due."""
        assert self._ending is not None
        self._turn = OVER
        self.response_state = ABORTED
        # Where the peer has ended its side the codec knows better what to answer.
        code, reason = self._ending[:2] if self._codec.state is State.OPEN else (NORMAL, "")
        self._closed(self._codec.close(code, reason))

    def _closed(self, frame: bytes) -> None:
        """Send our Close frame, and wait for theirs if it has not come."""
        carrier = self._carrier
        self._wake()
        carrier.write(frame)
        if self._codec.state is State.CLOSED:
            carrier.websocket_ended(self._ending is not None and self._ending.broken)
        else:
            carrier.restart_deadline()
            if self._is_paused:
                self._plan_to_go_on()

    def on_app_incomplete(self) -> None:
        if self.response_state is WEBSOCKET_OPEN:
            self._close(NORMAL, "")  # it has said all it had to say
        elif self._ending is not None:
            self._abandon()
        else:
            super().on_app_incomplete()

    def fail(self, status: int) -> None:
        if self.response_state is WEBSOCKET_OPEN:
            self._close(INTERNAL_ERROR if status == 500 else SERVICE_RESTART, "" if status == 500 else LEAVING)
        else:
            super().fail(status)

    # What the carrier tells

    def client_ended(self) -> None:
        """The client sends nothing more. Before its handshake was answered, it has left; the answer is still written,
        and may be a refusal. After that, `on_disconnect` is called."""
        if self.response_state is not WEBSOCKET_OPEN:
            self._ending = self._ending or Ending(ABNORMAL)
            self._wake()

    @property
    def awaits_disconnect(self) -> bool:
        """Whether the application waits for the answer to come to nothing."""
        return bool(self._receivers) and self.response_state < WEBSOCKET_OPEN

    def on_disconnect(self) -> None:
        """The peer has gone without a Close frame, or does not wait for ours."""
        if self.response_state is WEBSOCKET_OPEN:
            self.response_state = ABORTED
        self._ending = self._ending or Ending(ABNORMAL)
        self._turn = OVER
        self._is_paused = False  # nothing more is read, nor answered
        super().on_disconnect()

    def resume_writing(self) -> None:
        """The carrier has fallen below its low-water mark."""
        if self._is_paused:
            self._plan_to_go_on()
        super().resume_writing()

    def server_leaves(self) -> None:
        """The server is to leave: the application deals with what it has received, and the peer may come again."""
        if self.response_state is WEBSOCKET_OPEN and self._ending is None and not self._farewell.asked:
            self._end(Ending(SERVICE_RESTART, LEAVING))

    @property
    def closing_state(self) -> State:
        """How far the closing handshake is."""
        return self._codec.state

    def ping(self) -> None:
        """The peer was silent for long: see whether it is there."""
        self._carrier.write(self._codec.ping())

    def ping_unanswered(self) -> None:
        """It seems not to be."""
        self._close_at_once(Ending(ABNORMAL, PING_UNANSWERED, broken=True))

    def reading_failed(self, error: Exception) -> bool:
        """A message could not be taken, and so nothing after it can. Returns whether the peer is told why."""
        if self.response_state is not WEBSOCKET_OPEN or not isinstance(error, MemoryError):
            return False
        self._close_at_once(Ending(INTERNAL_ERROR, NO_MEMORY, broken=True))
        return True

    def _close_at_once(self, ending: Ending) -> None:
        """Close without waiting for the peer, nor for the application."""
        self._ending = ending
        self._turn = OVER
        self.response_state = ABORTED
        self._wake()
        self._carrier.write(self._codec.close(INTERNAL_ERROR, ending.reason))
        self._carrier.websocket_ended(True)

    def answer_close(self) -> None:
        """The peer has waited long enough for our Close frame."""
        if self._turn is DUE:
            self._pay()

    def _wake(self) -> None:
        receivers = self._receivers
        if receivers and (self._ending is not None or self.response_state >= COMPLETE):
            self._receivers = []
            for receiver in receivers:
                if not receiver.done():
                    receiver.set_result(None)
        super()._wake()


def as_message(event: str | bytes) -> Message:
    """A message of the peer as the application receives it: with the one key that is meant (ASGI WebSocket 2.5 allows
    the other one as None, and applications exist that ask which key is there)."""
    if type(event) is str:
        return {"type": "websocket.receive", "text": event}
    return {"type": "websocket.receive", "bytes": event}


Step = Callable[[WebSocketSession, Message], None]

# Which messages each state takes. An absent entry is the application's mistake, or the peer has left.
STEPS: tuple[dict[str, Step], ...] = (
    {
        "websocket.accept": WebSocketSession._accept,
        "websocket.close": WebSocketSession._refuse,
        "websocket.http.response.start": Exchange._on_start,
    },
    {"websocket.http.response.body": Exchange._on_first_body},
    {"websocket.http.response.body": Exchange._on_body},
    {},
    {"websocket.send": WebSocketSession._send, "websocket.close": WebSocketSession._close_message},
    {},
    {},
)
