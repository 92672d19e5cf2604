"""What the servers under test serve: one ASGI application without a framework, with a path for each row.

Nothing here knows which server calls it. Each handler does as little as its row allows, so that what is measured is
the server. Called by every contender; `benchmarks.rows` names the paths and knows what each must answer.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, world"
CHUNK = b"0123456789" * 10
CHUNKS = 10
EVENT = b'data: {"price": 101.25, "volume": 1200, "symbol": "WHRL"}\n\n'
TICK_SECONDS = 0.01
READ_BYTES = 64 * 1024
FILES = Path(os.environ.get("BENCH_FILES", "/nonexistent"))
"""The folder of the files for pathsend; each is named after its size in bytes."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["type"] == "websocket":
        await (room if scope["path"] == "/room" else echo_messages)(receive, send)
        return
    path = scope["path"]
    handler = HANDLERS.get(path)
    if handler is None:
        await answer(send, b"not found", status=404)
    else:
        await handler(scope, receive, send)


async def live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def answer(send: Send, body: bytes, kind: bytes = b"text/plain", status: int = 200) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, HELLO)


async def as_json(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, json.dumps({"message": "Hello, world"}).encode(), b"application/json")


MANY_FIELDS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-length", b"12"),
    (b"cache-control", b"private, max-age=0, must-revalidate"),
    (b"vary", b"Accept-Encoding, Cookie"),
    (b"etag", b'"5f3a-61c2b7d0"'),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"),
    (b"set-cookie", b"session=6f1c2d9b4a7e; Path=/; HttpOnly; SameSite=Lax"),
    (b"x-request-id", b"9b2f6c1e-4d0a-4f53-8f0b-2f6f2d1c7a55"),
)


async def many_fields(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(MANY_FIELDS)})
    await send({"type": "http.response.body", "body": HELLO})


def content(size_bytes: int) -> bytes:
    """Bytes that are not all the same."""
    return (b"0123456789abcdef" * (size_bytes // 16 + 1))[:size_bytes]


TEN_KIB = content(10 * 1024)
ONE_MIB = content(1024 * 1024)


async def ten_kib(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, TEN_KIB)


async def one_mib(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, ONE_MIB)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    await answer(send, b"".join(pieces), b"application/octet-stream")


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(CHUNKS - 1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": CHUNK})


async def sleep_zero(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    await answer(send, HELLO)


class Ticker:
    """Wakes everyone who waits for it, all at once, at every tick."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def tick(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            now = loop.time()
            loop.call_at(now - now % TICK_SECONDS + TICK_SECONDS, self._wake)
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


TICKER = Ticker()


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """As many events as the query says, one a tick."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(int(scope["query_string"])):
        await TICKER.tick()
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def start_file(scope: Scope, send: Send) -> Path:
    """Send the head for the file whose size the query says."""
    size: bytes = scope["query_string"]
    fields = [(b"content-type", b"application/octet-stream"), (b"content-length", size)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    return FILES / size.decode()


async def file_by_path(scope: Scope, receive: Receive, send: Send) -> None:
    if "http.response.pathsend" not in scope.get("extensions", {}):
        await answer(send, b"this server has no pathsend", status=501)
        return
    path = await start_file(scope, send)
    await send({"type": "http.response.pathsend", "path": str(path)})


async def file_by_reading(scope: Scope, receive: Receive, send: Send) -> None:
    path = await start_file(scope, send)
    left_bytes = int(scope["query_string"])
    with path.open("rb", buffering=0) as file:
        while left_bytes:
            data = file.read(READ_BYTES)
            left_bytes -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": left_bytes > 0})


async def echo_messages(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


ROOM: list[Send] = []


async def room(receive: Receive, send: Send) -> None:
    """What one says in it, all hear."""
    await receive()
    await send({"type": "websocket.accept"})
    ROOM.append(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            for member in ROOM.copy():
                await member({"type": "websocket.send", "text": message["text"]})
    finally:
        ROOM.remove(send)


HANDLERS = {
    "/": hello,
    "/json": as_json,
    "/fields": many_fields,
    "/10k": ten_kib,
    "/1m": one_mib,
    "/echo": echo,
    "/stream": stream,
    "/sleep": sleep_zero,
    "/events": events,
    "/path": file_by_path,
    "/read": file_by_reading,
}
