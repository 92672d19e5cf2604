"""What has ended is freed at once: a cycle of references would wait for the garbage collector, whose work then grows
with the traffic."""

from __future__ import annotations

import asyncio
import gc
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.server.test_embedded import PATIENCE_SECONDS, on
from whorl import Config, Server
from whorl.asgi.exchange import Exchange
from whorl.asgi.websocket import WebSocketSession
from whorl.connection.http1 import Http1Connection
from whorl.wire.websocket.protocol import Connection as Codec

KINDS = (Exchange, WebSocketSession, Http1Connection, Codec)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo over WebSocket, until either side has enough; greet over HTTP."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive" and message["text"] != "bye":
        await send({"type": "websocket.send", "text": message["text"]})


def fetches(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        assert response.read() == b"hello"


def closes(url: str) -> None:
    with connect(url.replace("http", "ws")) as client:
        client.send("x" * 1000)
        assert client.recv(PATIENCE_SECONDS) == "x" * 1000


def is_closed(url: str) -> None:
    with connect(url.replace("http", "ws")) as client:
        client.send("bye")
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_SECONDS)


def breaks_off(url: str) -> None:
    with connect(url.replace("http", "ws")) as client:
        client.send("x")
        client.socket.close()


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("client", [fetches, closes, is_closed, breaks_off])
def test_what_has_ended_is_freed(loop_name: str, client: Callable[[str], None]) -> None:
    async def main() -> None:
        async with Server(Config(app, port=0, log_config={}, access_log=False, lifespan="off")) as server:
            with without_collector():
                for _ in range(3):
                    await asyncio.get_running_loop().run_in_executor(None, client, server.urls[0])
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while any(type(thing) in KINDS for thing in gc.get_objects()):
                        await asyncio.sleep(0.05)

    on(loop_name, main)
