"""The smallest useful ASGI application: it greets, echoes what is posted, and streams a count. `make serve` runs it."""

from __future__ import annotations

import asyncio
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    assert scope["type"] == "http"
    if scope["path"] == "/count":
        await count(send)
    elif scope["method"] == "POST":
        await echo(receive, send)
    else:
        await reply(send, b"Hello from Whorl\n")


async def reply(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more_body = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more_body})


async def count(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(1, 11):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.5)
    await send({"type": "http.response.body"})
