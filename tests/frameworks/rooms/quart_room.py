"""The room in Quart, which cancels a handler whose client has left."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from quart import Quart, abort, websocket

ROOMS: dict[str, set[asyncio.Queue[str]]] = defaultdict(set)
app = Quart(__name__)


async def pass_on(queue: asyncio.Queue[str]) -> None:
    while True:
        await websocket.send(await queue.get())


@app.websocket("/room/<name>")
async def room(name: str) -> None:
    if name == "closed":
        abort(403)
    await websocket.accept(subprotocol="room" if "room" in websocket.requested_subprotocols else None)
    members = ROOMS[name]
    queue: asyncio.Queue[str] = asyncio.Queue()
    members.add(queue)
    passing = asyncio.ensure_future(pass_on(queue))
    left = "left 1000"
    try:
        while True:
            message = await websocket.receive()
            if isinstance(message, bytes):
                await websocket.send(message[::-1])
            elif message == "bye":
                left = ""
                await websocket.close(4000, "as you wish")
                return
            else:
                for member in members:
                    member.put_nowait(message)
    finally:
        passing.cancel()
        members.discard(queue)
        if left:
            for member in members:
                member.put_nowait(left)
