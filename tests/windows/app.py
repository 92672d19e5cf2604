"""The application that the Windows tests serve, one path for each thing that is asked of a server.

`/next?name` lets an exchange go on that waits at `/stream?name`, `/upload?name` or `/cut?name`: so a client decides
when, and nothing sleeps.
"""

from __future__ import annotations

import asyncio
import hashlib
import urllib.parse
from collections import defaultdict
from typing import Any

CHUNKS = 3
GATES: defaultdict[bytes, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))
DOWNLOADED: list[int] = []


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await PATHS[scope["path"]](scope, receive, send)


async def reply(send: Any, body: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


async def loop(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The class of the loop that serves."""
    kind = type(asyncio.get_running_loop())
    await reply(send, f"{kind.__module__}.{kind.__qualname__}")


async def go_on(scope: dict[str, Any], receive: Any, send: Any) -> None:
    GATES[scope["query_string"]].release()
    await reply(send, "")


async def stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Three chunks, each when it is asked for."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(CHUNKS):
        await GATES[scope["query_string"]].acquire()
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body"})


async def cut(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A response that breaks off."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    await GATES[scope["query_string"]].acquire()
    raise RuntimeError("half is enough")


async def upload(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The digest of the request body, which is read only when it is asked for."""
    await GATES[scope["query_string"]].acquire()
    digest = hashlib.sha256()
    message = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        digest.update(message.get("body", b""))
    await reply(send, digest.hexdigest())


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The request body, piece by piece, after a first word."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"began ", "more_body": True})
    message = {"type": "http.request", "more_body": True}
    while message.get("more_body"):
        message = await receive()
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
    await send({"type": "http.response.body"})


async def download(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """As many bytes as the query says, in pieces as large as it says."""
    size, piece = map(int, scope["query_string"].split(b"/"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    for begin in range(0, size, piece):
        await send({"type": "http.response.body", "body": bytes(min(piece, size - begin)), "more_body": True})
        DOWNLOADED.append(piece)
    await send({"type": "http.response.body"})


async def downloaded(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """How many bytes `send` has taken for downloads so far."""
    await reply(send, str(sum(DOWNLOADED)))


async def file(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The file that the query names, by pathsend."""
    assert "http.response.pathsend" in scope["extensions"]
    path = urllib.parse.unquote(scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.pathsend", "path": path})


PATHS = {
    "/": loop,
    "/next": go_on,
    "/stream": stream,
    "/cut": cut,
    "/upload": upload,
    "/echo": echo,
    "/download": download,
    "/downloaded": downloaded,
    "/file": file,
}
