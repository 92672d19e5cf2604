"""Applications for workers: they answer with their pid, and misbehave when asked to."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOARD: list[bytes] = []


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with the pid. `block` blocks the event loop, `sleep` does not, `hoard` takes memory."""
    if scope["type"] == "lifespan":
        await live(receive, send, float(os.environ.get("TEST_START_SECONDS", "0")))
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    if query:
        print("here", flush=True)
    if "block" in query:
        time.sleep(float(query["block"]))
    if "debug" in query:
        breakpoint()
    if "hoard" in query:
        HOARD.append(b"x" * int(query["hoard"]))
    if "orphan" in query:
        make_an_orphan()
    if "hold" in query:
        ctypes.PyDLL(None).sleep(int(query["hold"]))  # in C, and Python's lock is held all the time
    if "channel" in query:
        write_to_parent(query["channel"].encode() + b"\n")
    if "sleep" in query:
        await asyncio.sleep(float(query["sleep"]))
    content = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


async def live(receive: Receive, send: Send, seconds: float) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            time.sleep(seconds)  # a start-up that blocks the event loop
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def write_to_parent(data: bytes) -> None:
    """Write to an fd that is not the application's: the channel to the parent, which has made it (SO_PEERCRED)."""
    for name in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # no socket
            continue
        with sock:
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
                pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                if pid == os.getppid():
                    sock.send(data)


def make_an_orphan() -> None:
    """Fork a child of a child, whose parent ends at once."""
    child = os.fork()
    if child == 0:
        os.fork()
        os._exit(0)
    os.waitpid(child, 0)


async def broken(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """An application that cannot start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
