"""The room in Starlette."""

from __future__ import annotations

from collections import defaultdict

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

ROOMS: dict[str, set[WebSocket]] = defaultdict(set)


async def say(members: set[WebSocket], text: str) -> None:
    for member in list(members):
        try:
            await member.send_text(text)
        except (WebSocketDisconnect, RuntimeError):  # it has left, and its own handler will say so
            members.discard(member)


async def room(websocket: WebSocket) -> None:
    name = websocket.path_params["name"]
    if name == "closed":
        await websocket.close()
        return
    await websocket.accept("room" if "room" in websocket.scope["subprotocols"] else None)
    members = ROOMS[name]
    members.add(websocket)
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await websocket.send_bytes(message["bytes"][::-1])
        elif message["text"] == "bye":
            members.discard(websocket)
            await websocket.close(4000, "as you wish")
            return
        else:
            await say(members, message["text"])
    members.discard(websocket)
    await say(members, f"left {message['code']}")


app = Starlette(routes=[WebSocketRoute("/room/{name}", room)])
