"""The room in FastAPI."""

from __future__ import annotations

from collections import defaultdict

from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException

ROOMS: dict[str, set[WebSocket]] = defaultdict(set)
app = FastAPI()


async def say(members: set[WebSocket], text: str) -> None:
    for member in list(members):
        try:
            await member.send_text(text)
        except (WebSocketDisconnect, RuntimeError):  # it has left, and its own handler will say so
            members.discard(member)


@app.websocket("/room/{name}")
async def room(websocket: WebSocket, name: str) -> None:
    if name == "closed":
        raise WebSocketException(1008)
    await websocket.accept("room" if "room" in websocket.scope["subprotocols"] else None)
    members = ROOMS[name]
    members.add(websocket)
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message["reason"])
            if message.get("bytes") is not None:
                await websocket.send_bytes(message["bytes"][::-1])
            elif message["text"] == "bye":
                await websocket.close(4000, "as you wish")
                return
            else:
                await say(members, message["text"])
    except WebSocketDisconnect as left:
        members.discard(websocket)
        await say(members, f"left {left.code}")
    finally:
        members.discard(websocket)
