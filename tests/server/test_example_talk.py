"""The example page: it is served, and what one says on it all hear."""

from __future__ import annotations

import websockets.sync.client

from tests.harness import serve
from tests.server.client import Client, get


def test_what_one_says_all_hear(loop_name: str) -> None:
    with serve("talk:app", loop=loop_name, app_dir="examples") as server:
        with Client(server) as client:
            page = client.ask(get())
            assert page["content-type"] == "text/html; charset=utf-8"
            assert b"new WebSocket" in page.content
        url = f"ws://127.0.0.1:{server.port}/"
        with websockets.sync.client.connect(url) as one, websockets.sync.client.connect(url) as other:
            one.send("hello" * 100)
            assert one.recv(20) == other.recv(20) == "hello" * 100
            one.send("", text=True)
            assert one.recv(20) == other.recv(20) == ""
