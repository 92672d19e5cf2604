"""A WebSocket session on a fake transport: whatever peer, application, server and sweep do, in any order, each of them
receives everything, in order, and one end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.effort import effort
from tests.websocket.vectors import BINARY, CLOSE, PING, PONG, TEXT, close, frame, server_frames
from whorl.asgi.app_context import AppContext
from whorl.asgi.scope import ConnectionInfo
from whorl.asgi.websocket import CLOSE_TRANSITIONS, CloseState, WebSocketLimits, WebSocketSession
from whorl.http.encoder import ResponseFieldEncoder
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.head import HeadLimits, parse_head
from whorl.wire.http1.writer import encode_field
from whorl.wire.websocket.handshake import read_handshake
from whorl.wire.websocket.protocol import State

HEAD = parse_head(
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    HeadLimits(),
    FieldLineCache(),
)
HANDSHAKE = read_handshake(HEAD.method, HEAD.fields)
MAX_QUEUED = 2
TURNS = 6  # of the loop, until everything that follows from something has happened
LOGGER = logging.getLogger("tests.session")
LOGGER.propagate = False
LOGGER.addHandler(logging.NullHandler())

PEER = ("message", "message", "bytes", "ping", "two and a ping", "peer closes", "peer breaks it")
APPLICATION = ("receive", "receive", "cancelled", "crossing", "send", "send", "close", "return", "fail")
OTHERS = ("block", "unblock", "server shuts down", "overdue", "client left")
MAX_STEPS = 14
SILENT = {"peer closes", "peer breaks it", "client left"}
STEPS = st.lists(st.sampled_from(PEER) | st.sampled_from(APPLICATION) | st.sampled_from(OTHERS), max_size=MAX_STEPS)


CLOSE_STATE = vars(WebSocketSession)["_close_state"]  # the slot


class FakeTransport:
    """Keeps what is written, and what the peer sends while reading is paused."""

    client = ConnectionInfo(None, None, "http")

    def __init__(self) -> None:
        self.field_encoder = ResponseFieldEncoder(encode_field)
        self.writing_blocked = False
        self.is_paused = False
        self.has_ended = False
        self.written = b""
        self.held: list[bytes] = []
        self.session: CheckedSession

    def client_ended(self) -> bool:
        return False

    def accept_websocket(self, *agreed: object) -> None:
        self.session.accepted(101)

    def write(self, data: bytes) -> None:
        assert not self.has_ended
        self.written += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        asyncio.get_running_loop().call_soon(self.read_on)

    def read_on(self, inline_budget: int = MAX_QUEUED) -> None:
        while self.held and not self.is_paused and not self.has_ended:
            self.session.receive_data(self.held.pop(0), inline_budget)

    def receive(self, data: bytes, inline_budget: int = MAX_QUEUED) -> None:
        self.held.append(data)
        self.read_on(inline_budget)

    def restart_deadline(self) -> None: ...

    def websocket_ended(self, protocol_error: bool) -> None:
        assert not self.has_ended
        self.has_ended = True

    def lose(self) -> None:
        """Disconnect once, unless the session has ended."""
        if not self.has_ended:
            self.has_ended = True
            self.session.on_disconnect()


class CheckedSession(WebSocketSession):
    """Held to `CLOSE_TRANSITIONS`."""

    faults: list[object]

    @property
    def _close_state(self) -> CloseState:
        return CLOSE_STATE.__get__(self)  # type: ignore[no-any-return]

    @_close_state.setter
    def _close_state(self, new: CloseState) -> None:
        old = getattr(self, "_close_state", new)
        if new is not old and new not in CLOSE_TRANSITIONS[old]:
            self.faults.append(f"{old.name} -> {new.name}")
        CLOSE_STATE.__set__(self, new)


class Play:
    """One session, and what each side received."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.commands: asyncio.Queue[str] = asyncio.Queue()
        self.peer_sent: list[str | bytes] = []  # while it is open
        self.received: list[dict[str, Any]] = []
        self.sent: list[str] = []
        self.steps: set[str] = set()
        self.faults: list[object] = []
        self.is_busy = False  # the application has a message, and has not called receive() again
        loop = asyncio.get_running_loop()
        self.service = AppContext(self.application, loop, contextvars.copy_context(), LOGGER)
        limits = WebSocketLimits(100, MAX_QUEUED, None)
        self.session = CheckedSession(self.service, self.transport, HEAD, {}, HANDSHAKE.extensions, limits)  # type: ignore[arg-type]
        self.transport.session = self.session
        self.session.faults = self.faults

    async def application(self, scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (command := await self.commands.get()) != "return":
            try:
                await self.obey(command, receive, send)
            except (OSError, RuntimeError):
                may_be_over = self.steps & {"close", "overdue", "client left"} or self.transport.has_ended
                if not may_be_over and self.is_busy:
                    self.faults.append("an application that has a message may answer it")
            except AssertionError as fault:
                self.faults.append(fault)

    async def obey(self, command: str, receive: Any, send: Any) -> None:
        if command == "receive":
            self.is_busy = False
            self.note(await receive())
        elif command in ("cancelled", "crossing"):
            self.is_busy = False
            task = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            if command == "crossing" and not self.transport.has_ended and not self.steps & SILENT:
                self.transport.receive(self.frames("two and a ping"), inline_budget=0)  # a task is running: this one
            task.cancel()
            try:
                self.note(await task)
            except asyncio.CancelledError:
                pass
        elif command == "send":
            text = f"number {len(self.sent)}"
            await send({"type": "websocket.send", "text": text})
            self.sent.append(text)
        elif command == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        elif command == "fail":
            raise ZeroDivisionError

    def note(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        self.is_busy = message["type"] == "websocket.receive"

    async def turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def step(self, step: str) -> None:
        transport, session = self.transport, self.session
        if step in APPLICATION:
            self.commands.put_nowait(step)
        elif step in PEER:
            if not self.steps & SILENT:
                # As from the loop, where no task is running.
                asyncio.get_running_loop().call_soon(transport.receive, self.frames(step))
        elif step == "block":
            transport.writing_blocked = True
        elif step == "unblock":
            self.unblock()
        elif step == "server shuts down":
            session.on_server_shutdown()
        elif step == "overdue" and session.closing_state is State.CLOSING_THEIRS:
            session.send_close_reply()
        elif step == "client left":
            transport.lose()
        self.steps.add(step)
        await self.turns()

    def unblock(self) -> None:
        if self.transport.writing_blocked:
            self.transport.writing_blocked = False
            self.session.resume_writing()

    def frames(self, step: str) -> bytes:
        if step == "ping":
            return frame(PING, b"there?")
        if step == "peer closes":
            return close(3000, b"bye")
        if step == "peer breaks it":
            return frame(3)
        messages: list[str | bytes] = [f"{len(self.peer_sent)}"]
        if step == "bytes":
            messages = [b"bytes"]
        elif step == "two and a ping":
            messages.append(b"more")
        self.peer_sent += messages
        data = b"".join(
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        )
        return data + frame(PING, b"behind them") if len(messages) > 1 else data

    async def end(self) -> None:
        """The application receives what is left, then the connection is lost if nothing else has ended it."""
        self.unblock()
        await self.turns()
        for _ in range(2 * MAX_STEPS + 2):
            self.commands.put_nowait("receive")
            await self.turns()
        self.transport.lose()
        self.commands.put_nowait("receive")
        self.commands.put_nowait("return")
        for _ in range(5):
            await self.turns()
        assert not self.service.active

    def check(self) -> None:
        assert self.faults == []
        frames = server_frames(self.transport.written)
        closed = [at for at, sent in enumerate(frames) if sent.opcode == CLOSE]
        assert len(closed) <= 1
        if closed:  # a ping is answered as long as the peer's own Close frame has not come (RFC 6455 section 5.5.2)
            assert {sent.opcode for sent in frames[closed[0] + 1 :]} <= {PONG}
        assert [sent.payload.decode() for sent in frames if sent.opcode == TEXT] == self.sent
        received = [
            message.get("bytes") or message["text"]
            for message in self.received
            if message["type"] == "websocket.receive"
        ]
        assert received == self.peer_sent[: len(received)]
        ends = [message for message in self.received if message["type"] == "websocket.disconnect"]
        assert self.received[len(received) :] == ends, "and nothing follows the end"
        assert all(end == ends[0] for end in ends)
        if self.steps & {"close", "return", "fail", "overdue", "client left"}:
            return
        if self.steps & {"peer closes", "peer breaks it", "server shuts down"}:
            code = int.from_bytes(frames[closed[0]].payload[:2])
            assert ends[0]["code"] == code in (3000, 1002, 1012), "both sides get the same code"
        if "server shuts down" not in self.steps:
            assert received == self.peer_sent, "all of it, however long it waits"


@given(STEPS)
@example(["message", "receive", "peer closes", "server shuts down", "send"])
@example(["receive", "message", "server shuts down", "send", "message", "peer closes"])
@example(["two and a ping", "two and a ping", "block", "ping", "message", "unblock", "cancelled"])
@example(["crossing", "receive", "receive", "crossing", "peer closes", "receive", "send"])
@example(["receive", "message", "peer closes", "send"])
@example(["two and a ping", "client left", "receive"])
@effort(120)
def test_whatever_happens(steps: list[str]) -> None:
    async def main() -> None:
        play = Play()
        play.session.start()
        await play.turns()
        for step in steps:
            await play.step(step)
        await play.end()
        play.check()

    asyncio.run(main())
