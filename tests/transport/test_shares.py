"""What one connection may do in one iteration of the loop, and how much of its input may wait: counted in requests,
frames and bytes, for every kind of input."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.transport.one_client import OneClient, connect, iterate
from whorl.transport.output import READ_BYTES

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
