"""Rooms of a Socket.IO server: the same game in its own words, over WebSocket and over long polls.

Event "enter" takes the name of a room; "say" says something to everyone in a room, who hear it as "said"; "turn"
answers with its argument, reversed; "leave me" has the server end it. Who leaves is told to all as "left". Who
brings "closed" is refused.
"""

from __future__ import annotations

from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])
app = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    if auth == "closed":
        raise socketio.exceptions.ConnectionRefusedError("we are closed")


@server.event
async def enter(sid: str, room: str) -> None:
    await server.enter_room(sid, room)


@server.event
async def say(sid: str, room: str, what: str | bytes) -> None:
    await server.emit("said", what, room=room)


@server.event
async def turn(sid: str, what: str | bytes) -> str | bytes:
    return what[::-1]


@server.on("leave me")
async def leave(sid: str) -> None:
    await server.disconnect(sid)


@server.event
async def disconnect(sid: str, reason: str) -> None:
    await server.emit("left", reason, skip_sid=sid)
