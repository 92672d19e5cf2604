"""A Socket.IO client (protocol 5, over Engine.IO 4) that does one thing after the other. No tests in this file.

The package's own client runs threads that race with one another, so what the server hears of it is left to chance.

with Guest(process, "upgrade") as guest:
    assert guest.call("turn", "abc") == ["cba"]
    guest.emit("say", "room", b"bytes")
    assert guest.hear() == ["said", b"bytes"]
"""

from __future__ import annotations

import base64
import http.client
import json
from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.harness import Process

WAYS = ("websocket", "polling", "upgrade")
"""How a guest talks: the last begins with long polls, and goes over to WebSocket."""

PATIENCE_SECONDS = 20.0
GONE = ["gone"]

# Packets of Engine.IO, and those of Socket.IO, which go inside the first one's messages.
OPEN, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "2", "3", "4", "5", "6"
CONNECT, DISCONNECT, EVENT, ACK, REFUSED, BINARY_EVENT, BINARY_ACK = "0", "1", "2", "3", "4", "5", "6"
BETWEEN = "\x1e"  # the packets of one poll


class Refused(Exception):
    """The server does not want this guest."""


class Guest:
    """A client, connected; or `Refused`.

    Args:
        process: the server.
        way: one of `WAYS`.
        auth: what it shows at the door.
    """

    def __init__(self, process: Process, way: str, auth: str = "") -> None:
        self.port = process.port
        self.path = "/socket.io/?EIO=4"
        self.sockets = ExitStack()
        self.poller = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        self.sockets.callback(self.poller.close)
        self.websocket: ClientConnection | None = None
        self.packets: deque[str | bytes] = deque()
        try:
            if way == "websocket":
                self.websocket = self.open_websocket()
            opened = self.packet()
            assert isinstance(opened, str)
            assert opened[0] == OPEN
            self.path += f"&sid={json.loads(opened[1:])['sid']}"
            self.send(MESSAGE + CONNECT + json.dumps(auth))
            kind, content, _ = self.message()
            if kind == REFUSED:
                raise Refused(content["message"])
            assert kind == CONNECT
            if way == "upgrade":
                self.upgrade()
        except BaseException:
            self.vanish()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vanish()

    def open_websocket(self) -> ClientConnection:
        url = f"ws://127.0.0.1:{self.port}{self.path}&transport=websocket"
        return self.sockets.enter_context(connect(url, open_timeout=PATIENCE_SECONDS, max_size=None))

    def upgrade(self) -> None:
        """Go over from polls to WebSocket."""
        websocket = self.open_websocket()
        websocket.send(f"{PING}probe")
        assert websocket.recv(PATIENCE_SECONDS) == f"{PONG}probe"
        websocket.send(UPGRADE)
        self.websocket = websocket

    def vanish(self) -> None:
        """Leave without a word of Socket.IO."""
        self.sockets.close()

    def leave(self) -> None:
        """Say goodbye."""
        self.send(MESSAGE + DISCONNECT)

    # Packets of Engine.IO

    def poll(self, method: str, body: str | None = None) -> str:
        self.poller.request(method, f"{self.path}&transport=polling", body, {"Content-Type": "text/plain"})
        response = self.poller.getresponse()
        content = response.read().decode()
        assert response.status == 200, (response.status, content)
        return content

    def send(self, *packets: str | bytes) -> None:
        if self.websocket is None:
            words = (p if isinstance(p, str) else "b" + base64.b64encode(p).decode() for p in packets)
            assert self.poll("POST", BETWEEN.join(words)) == "OK"
        else:
            for packet in packets:
                self.websocket.send(packet)

    def packet(self) -> str | bytes:
        """The next packet; bytes where one is an attachment."""
        while True:
            if self.packets:
                packet = self.packets.popleft()
            elif self.websocket is not None:
                packet = self.websocket.recv(PATIENCE_SECONDS)
            else:
                self.packets.extend(self.poll("GET").split(BETWEEN))
                continue
            if packet == PING:
                self.send(PONG)
            elif packet != NOOP:
                is_attachment = isinstance(packet, str) and packet[0] == "b"
                return base64.b64decode(packet[1:]) if is_attachment else packet

    # Messages of Socket.IO

    def message(self) -> tuple[str, Any, str]:
        """The next message: its kind, its content, and which call it answers."""
        packet = self.packet()
        assert isinstance(packet, str), packet
        assert packet[0] == MESSAGE, packet
        kind, rest = packet[1], packet[2:]
        attachments: list[str | bytes] = []
        if kind in (BINARY_EVENT, BINARY_ACK):
            count, _, rest = rest.partition("-")
            attachments = [self.packet() for _ in range(int(count))]
        content = rest.lstrip("0123456789")
        number = rest[: len(rest) - len(content)]

        def put_in(thing: dict[str, Any]) -> Any:
            return attachments[thing["num"]] if "_placeholder" in thing else thing

        return kind, json.loads(content, object_hook=put_in) if content else None, number

    def emit(self, *words: str | bytes, number: str = "") -> None:
        """Send an event."""
        attachments = [word for word in words if isinstance(word, bytes)]
        places = iter(range(len(attachments)))
        content = json.dumps([{"_placeholder": True, "num": next(places)} if type(w) is bytes else w for w in words])
        kind = f"{BINARY_EVENT}{len(attachments)}-" if attachments else EVENT
        self.send(f"{MESSAGE}{kind}{number}{content}", *attachments)

    def call(self, *words: str | bytes) -> Any:
        """Send an event, and return what answers it, which must come next."""
        self.emit(*words, number="7")
        kind, content, number = self.message()
        assert kind in (ACK, BINARY_ACK)
        assert number == "7"
        return content

    def hear(self) -> Any:
        """The next event and its arguments; `GONE` where the server has ended it."""
        try:
            kind, content, _ = self.message()
        except ConnectionClosed:
            return GONE
        assert kind in (EVENT, BINARY_EVENT, DISCONNECT)
        return GONE if kind == DISCONNECT else content
