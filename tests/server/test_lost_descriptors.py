"""An application that closes file descriptors that it did not open: what is lost ends, and is said; nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import Process, read_response, serve
from tests.loops_here import LOOPS
from whorl.platform import HERE

APP = """
import gc, os

def close_the_poller(again):
    from whorl.net.epoll import Poller
    poller, = (thing for thing in gc.get_objects() if type(thing) is Poller)
    number = poller._epoll.fileno()
    os.close(number)
    if again:
        null = os.open(os.devnull, os.O_RDONLY)
        if null != number:
            os.dup2(null, number)

def close_the_client(client, again):
    from whorl.connection.http1 import Http1Connection
    for thing in gc.get_objects():
        if isinstance(thing, Http1Connection) and thing.peer.client == client:
            number = thing.fileno()
            os.close(number)
            if again:
                os.dup2(2, number)

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/poller":
        close_the_poller(scope["query_string"] == b"again")
    elif scope["path"] == "/client":
        close_the_client(scope["client"], scope["query_string"] == b"again")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""

POLLED = [name for name in LOOPS if name in ("asyncio", "uvloop")]
pytestmark = pytest.mark.skipif(not HERE.has_epoll, reason="needs epoll(7)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "closes.py").write_text(APP)
    return tmp_path


def ask(server: Process, path: str) -> bytes:
    with server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return read_response(client)[2]


@pytest.mark.parametrize("how", ["", "?again"], ids=["closed", "opened again"])
@pytest.mark.parametrize("loop", POLLED)
def test_of_the_poller(folder: Path, loop: str, how: str) -> None:
    """Nobody would be served any more, and nobody told."""
    with serve("closes:app", loop=loop, cwd=folder, environment={"PYTHONPATH": os.getcwd()}) as server:
        assert ask(server, "/") == b"hello"
        ask(server, f"/poller{how}")
        assert server.wait() == 3
        assert [line for line in server.stderr if "the application closed the file descriptor" in line]
        assert not [line for line in server.stderr if "Traceback" in line or "bug of Whorl" in line]


@pytest.mark.parametrize("loop", POLLED)
def test_of_the_poller_of_a_worker(folder: Path, loop: str) -> None:
    """It is replaced."""
    options = {"loop": loop, "workers": 2, "cwd": folder, "environment": {"PYTHONPATH": os.getcwd()}}
    with serve("closes:app", **options) as server:  # type: ignore[arg-type]
        ask(server, "/poller")
        server.wait_for_line("the application closed the file descriptor")
        for _ in range(20):
            assert ask(server, "/") == b"hello"
        assert server.stop() == 0


@pytest.mark.parametrize("how", ["", "?again"], ids=["closed", "opened again"])
@pytest.mark.parametrize("loop", POLLED)
def test_of_a_connection(folder: Path, loop: str, how: str) -> None:
    """It does not hold up the server's leaving."""
    with serve("closes:app", loop=loop, cwd=folder, environment={"PYTHONPATH": os.getcwd()}) as server:
        with server.connect() as client:
            client.sendall(f"GET /client{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert ask(server, "/") == b"hello"
            assert server.stop(10) == 0
