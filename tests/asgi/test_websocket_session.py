"""A WebSocket session on a carrier of straw: whatever peer, application, server and sweep do, and in whatever order,
what each of them hears is whole, in order, and ends once."""

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
from whorl.asgi.websocket import WebSocketLimits, WebSocketSession
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
MOST_QUEUED = 2
TURNS = 6  # of the loop, until everything that follows from something has happened
LOGGER = logging.getLogger("tests.session")
LOGGER.propagate = False
LOGGER.addHandler(logging.NullHandler())

PEER = ("message", "message", "octets", "ping", "two and a ping", "peer closes", "peer breaks it")
APPLICATION = ("receive", "receive", "impatient", "crossing", "send", "send", "close", "return", "fail")
OTHERS = ("block", "unblock", "server leaves", "overdue", "client left")
MOST_STEPS = 14
SILENT = {"peer closes", "peer breaks it", "client left"}
STEPS = st.lists(st.sampled_from(PEER) | st.sampled_from(APPLICATION) | st.sampled_from(OTHERS), max_size=MOST_STEPS)


class Straw:
    """A carrier that keeps what it is given, and what the peer says while it is not to be read."""

    client = ConnectionInfo(None, None, "http")

    def __init__(self) -> None:
        self.field_encoder = ResponseFieldEncoder(encode_field)
        self.writing_blocked = False
        self.is_paused = False
        self.has_ended = False
        self.said = b""
        self.held: list[bytes] = []
        self.session: WebSocketSession

    def client_ended(self) -> bool:
        return False

    def accept_websocket(self, *agreed: object) -> None:
        self.session.accepted(101)

    def write(self, data: bytes) -> None:
        assert not self.has_ended
        self.said += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        asyncio.get_running_loop().call_soon(self.read_on)

    def read_on(self, at_once: int = MOST_QUEUED) -> None:
        while self.held and not self.is_paused and not self.has_ended:
            self.session.receive_octets(self.held.pop(0), at_once)

    def receive(self, data: bytes, at_once: int = MOST_QUEUED) -> None:
        self.held.append(data)
        self.read_on(at_once)

    def restart_deadline(self) -> None: ...

    def websocket_ended(self, broken: bool) -> None:
        assert not self.has_ended
        self.has_ended = True

    def lose(self) -> None:
        """The peer has gone; the session is told once, unless it had ended."""
        if not self.has_ended:
            self.has_ended = True
            self.session.on_disconnect()


class Play:
    """One session, and what everybody heard."""

    def __init__(self) -> None:
        self.carrier = Straw()
        self.commands: asyncio.Queue[str] = asyncio.Queue()
        self.told: list[str | bytes] = []  # by the peer, as long as it is open
        self.heard: list[dict[str, Any]] = []
        self.sent: list[str] = []
        self.steps: set[str] = set()
        self.faults: list[object] = []
        self.is_busy = False  # the application: it has a message, and has not come back for more
        loop = asyncio.get_running_loop()
        self.service = AppContext(self.application, loop, contextvars.copy_context(), LOGGER)
        limits = WebSocketLimits(100, MOST_QUEUED, None)
        self.session = WebSocketSession(self.service, self.carrier, HEAD, {}, HANDSHAKE.extensions, limits)  # type: ignore[arg-type]
        self.carrier.session = self.session

    async def application(self, scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (command := await self.commands.get()) != "return":
            try:
                await self.obey(command, receive, send)
            except (OSError, RuntimeError):
                may_be_over = self.steps & {"close", "overdue", "client left"} or self.carrier.has_ended
                if not may_be_over and self.is_busy:
                    self.faults.append("whoever has a message may answer it")
            except AssertionError as fault:
                self.faults.append(fault)

    async def obey(self, command: str, receive: Any, send: Any) -> None:
        if command == "receive":
            self.is_busy = False
            self.hear(await receive())
        elif command in ("impatient", "crossing"):
            self.is_busy = False
            task = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            if command == "crossing" and not self.carrier.has_ended and not self.steps & SILENT:
                self.carrier.receive(self.octets("two and a ping"), at_once=0)  # a task is running: this one
            task.cancel()
            try:
                self.hear(await task)
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

    def hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        self.is_busy = message["type"] == "websocket.receive"

    async def turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def step(self, step: str) -> None:
        carrier, session = self.carrier, self.session
        if step in APPLICATION:
            self.commands.put_nowait(step)
        elif step in PEER:
            if not self.steps & SILENT:
                # As from the loop, where no task is running.
                asyncio.get_running_loop().call_soon(carrier.receive, self.octets(step))
        elif step == "block":
            carrier.writing_blocked = True
        elif step == "unblock":
            self.unblock()
        elif step == "server leaves":
            session.server_leaves()
        elif step == "overdue" and session.closing_state is State.CLOSING_THEIRS:
            session.answer_close()
        elif step == "client left":
            carrier.lose()
        self.steps.add(step)
        await self.turns()

    def unblock(self) -> None:
        if self.carrier.writing_blocked:
            self.carrier.writing_blocked = False
            self.session.resume_writing()

    def octets(self, step: str) -> bytes:
        if step == "ping":
            return frame(PING, b"there?")
        if step == "peer closes":
            return close(3000, b"bye")
        if step == "peer breaks it":
            return frame(3)
        messages: list[str | bytes] = [f"{len(self.told)}"]
        if step == "octets":
            messages = [b"octets"]
        elif step == "two and a ping":
            messages.append(b"more")
        self.told += messages
        octets = b"".join(
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        )
        return octets + frame(PING, b"behind them") if len(messages) > 1 else octets

    async def end(self) -> None:
        """The application takes what is left, and then the carrier breaks if nothing else has ended it."""
        self.unblock()
        await self.turns()
        for _ in range(2 * MOST_STEPS + 2):
            self.commands.put_nowait("receive")
            await self.turns()
        self.carrier.lose()
        self.commands.put_nowait("receive")
        self.commands.put_nowait("return")
        for _ in range(5):
            await self.turns()
        assert not self.service.active

    def check(self) -> None:
        assert self.faults == []
        frames = server_frames(self.carrier.said)
        closed = [at for at, sent in enumerate(frames) if sent.opcode == CLOSE]
        assert len(closed) <= 1
        if closed:  # a ping is answered as long as the peer's own Close frame has not come (RFC 6455 section 5.5.2)
            assert {sent.opcode for sent in frames[closed[0] + 1 :]} <= {PONG}
        assert [sent.payload.decode() for sent in frames if sent.opcode == TEXT] == self.sent
        heard = [
            message.get("bytes") or message["text"] for message in self.heard if message["type"] == "websocket.receive"
        ]
        assert heard == self.told[: len(heard)]
        ends = [message for message in self.heard if message["type"] == "websocket.disconnect"]
        assert self.heard[len(heard) :] == ends, "and nothing follows the end"
        assert all(end == ends[0] for end in ends)
        if self.steps & {"close", "return", "fail", "overdue", "client left"}:
            return
        if self.steps & {"peer closes", "peer breaks it", "server leaves"}:
            code = int.from_bytes(frames[closed[0]].payload[:2])
            assert ends[0]["code"] == code in (3000, 1002, 1012), "both sides hear the same"
        if "server leaves" not in self.steps:
            assert heard == self.told, "all of it, whoever waits how long"


@given(STEPS)
@example(["message", "receive", "peer closes", "server leaves", "send"])
@example(["receive", "message", "server leaves", "send", "message", "peer closes"])
@example(["two and a ping", "two and a ping", "block", "ping", "message", "unblock", "impatient"])
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
