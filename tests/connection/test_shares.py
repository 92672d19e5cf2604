"""What one connection may do in one iteration of the loop, and how much of its input may wait: counted in requests,
frames and bytes, for every kind of input."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.connection.one_client import OneClient, connect, iterate
from tests.server.peer import frame, upgrade
from whorl.asgi.websocket import MAX_FRAMES, WebSocketLimits
from whorl.net.read_size import READ_BYTES
from whorl.wire.http1.chunks import MAX_CHUNKS

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LONG_GET = b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * (READ_BYTES // 32 - 34))
"""A read holds 32 of them."""
HIGH_BYTES = 64 * 1024
EAGER = sys.version_info >= (3, 12)
"""Before, an application starts in the next iteration: one request in each."""


class App:
    """Answers at once, and counts.

    Attributes:
        served: the requests since somebody last looked.
        most: the most that were served between two looks.
    """

    def __init__(self, content: bytes = b"x") -> None:
        self.content = content
        self.served = 0
        self.most = 0
        self.total = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.served += 1
        self.total += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.content})

    def look(self) -> None:
        self.most = max(self.most, self.served)
        self.served = 0


class TestPipelined:
    @pytest.mark.parametrize("request_bytes", [GET, LONG_GET], ids=["short", "long"])
    def test_others_come_first_and_little_waits(self, request_bytes: bytes) -> None:
        count = 400 if request_bytes is LONG_GET else 20_000
        held_bytes = 0

        async def run() -> App:
            app = App()
            client = OneClient(request_bytes * count)
            connection = connect(client, app)

            def look() -> None:
                nonlocal held_bytes
                app.look()
                held_bytes = max(held_bytes, connection.reader.buffered_bytes)

            await iterate(client, count // 16 + 100 if EAGER else 3 * count, look)
            await iterate(client, 2)
            assert client.sent.count(b"HTTP/1.1 200") == count
            assert client.reading
            return app

        app = asyncio.run(run())
        assert app.most == (16 if EAGER else 1)
        assert held_bytes <= HIGH_BYTES + READ_BYTES

    def test_nothing_is_copied_again_and_again(self) -> None:
        """While a turn is awaited, the buffer is what it was: to serve n bytes costs in proportion to n."""

        async def run() -> None:
            client = OneClient(GET * 100)
            connection = connect(client, App())
            client.step()
            before = connection.reader.buffer
            await iterate(client, 3)
            assert connection.reader.buffer is before

        asyncio.run(run())

    @pytest.mark.parametrize("content_bytes", [10, 100_000])
    def test_a_client_that_does_not_read_is_not_served(self, content_bytes: int) -> None:
        """Its responses are bounded by the high-water mark, and what one turn says; it is not read meanwhile. Once it
        reads, it has all of them."""
        count = 2_000 if content_bytes == 10 else 100

        async def run() -> None:
            app = App(b"x" * content_bytes)
            client = OneClient(GET * count, takes=False)
            connection = connect(client, app)
            await iterate(client, 1000 if EAGER else 3000)
            assert len(client.waiting) <= HIGH_BYTES + 16 * (content_bytes + 200)
            assert not client.reading
            assert connection.reader.buffered_bytes <= HIGH_BYTES + READ_BYTES
            waiting, total = len(client.waiting), app.total
            await iterate(client, 20)
            assert (len(client.waiting), app.total) == (waiting, total)
            client.takes = True
            await iterate(client, count // 16 + 100 if EAGER else 3 * count)
            await iterate(client, 2)
            assert client.sent.count(b"HTTP/1.1 200") == count
            assert client.reading

        asyncio.run(run())


class TestChunks:
    @pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
    def test_so_many_in_an_iteration(self, reads: bool) -> None:
        """A body in chunks of one byte, read or thrown away: others come in between."""
        count = 40_000
        came: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while reads and scope["method"] == "POST":
                message = await receive()
                came.append(len(message["body"]))
                if not message["more_body"]:
                    break
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

        async def run() -> None:
            upload = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            client = OneClient(upload + b"1\r\nx\r\n" * count + b"0\r\n\r\n" + GET)
            connection = connect(client, app)
            most = before = 0

            def look() -> None:
                nonlocal most, before
                left = len(client.data) + connection.reader.buffered_bytes
                if client.sent or before:
                    most = max(most, before - left)
                before = left
                assert connection.reader.buffered_bytes <= HIGH_BYTES + 2 * READ_BYTES

            await iterate(client, 2 * count // MAX_CHUNKS + 20, look)
            assert client.sent.count(b"HTTP/1.1 200") == 2
            assert most <= 2 * 6 * (MAX_CHUNKS + 1), "a turn that was planned, and what the application had read on"
            assert sum(came) == (count if reads else 0)

        asyncio.run(run())

    def test_an_end_behind_them(self) -> None:
        """A client that half-closes has said all: what waits is read before that is believed."""
        heard: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body = b""
            while True:
                message = await receive()
                heard.append(message["type"])
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % len(body)})

        async def run(end: bytes) -> bytes:
            client = OneClient(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000 + end
            )
            connect(client, app)
            client.step()
            client.protocol.eof_received()
            await iterate(client, 20)
            return bytes(client.sent)

        assert asyncio.run(run(b"0\r\n\r\n")).endswith(b"2000")
        assert asyncio.run(run(b"")) == b""
        assert heard[-1] == "http.disconnect"


PING, TEXT, CONTINUATION = 9, 1, 0
FRAMES = {
    "pings": frame(PING) * 16_000,
    "pongs": frame(10) * 16_000,
    "messages": frame(TEXT) * 16_000,
    "fragments": frame(TEXT, flags=0) + frame(CONTINUATION, flags=0) * 16_000,
}


class TestFrames:
    @pytest.mark.parametrize("kind", FRAMES)
    def test_so_many_in_an_iteration(self, kind: str) -> None:
        handed = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal handed
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] == "websocket.receive":
                handed += 1

        async def run() -> None:
            client = OneClient(upgrade("/"))
            connection = connect(client, app)
            await iterate(client, 5)
            assert client.sent.startswith(b"HTTP/1.1 101")
            client.data = FRAMES[kind]
            before = handed
            counts: list[int] = []
            last = len(client.data)

            def look() -> None:
                nonlocal before, last
                left = len(client.data) + connection.websocket._codec.buffered_bytes
                counts.append((last - left) // 6)
                last = left
                assert handed - before <= 2 * 32 + 16, "as many as may wait, and as are handed over"
                before = handed

            await iterate(client, 2500, look)
            assert last == 0
            assert max(counts) <= 2 * MAX_FRAMES
            if kind == "messages":
                assert handed == 16_000
            client.protocol.connection_lost(None)
            await asyncio.sleep(0)

        asyncio.run(run())

    def test_memory_of_what_waits(self) -> None:
        """One emoji makes four bytes of each character: what waits is counted as it lies in memory."""
        text = ("x" * 30_000 + "\U0001f600").encode()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await asyncio.Event().wait()

        async def run() -> None:
            client = OneClient(upgrade("/"))
            connection = connect(client, app, websocket=WebSocketLimits(message_bytes=100_000))
            await iterate(client, 5)
            client.data = frame(TEXT, text) * 10
            await iterate(client, 20)
            assert not client.reading
            assert sum(map(sys.getsizeof, connection.websocket._queue)) <= 100_000 + 4 * len(text) * 3
            client.protocol.connection_lost(None)
            connection.context.app_context.active.clear()

        asyncio.run(run())
