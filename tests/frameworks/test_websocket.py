"""WebSocket in the frameworks, on every loop: an exchange, a broadcast, and how each side leaves (`rooms`)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import PackageNotFoundError, version

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.harness import Process, serve
from tests.loops_here import LOOPS

PATIENCE_SECONDS = 20.0
RESET = struct.pack("ii", 1, 0)


def room_param(framework: str, loop: str) -> object:
    """A framework on a loop; skipped where this interpreter has no such package."""
    marks: list[pytest.MarkDecorator] = []
    try:
        version(framework)
    except PackageNotFoundError:
        marks = [pytest.mark.skip(reason=f"{framework} is not installed (pip install 'whorl[frameworks]')")]
    return pytest.param((framework, loop), id=f"{framework}-{loop}", marks=marks)


@pytest.fixture(
    scope="module",
    params=[room_param(name, loop) for name in ("starlette", "fastapi", "quart", "channels") for loop in LOOPS],
)
def rooms(request: pytest.FixtureRequest) -> Iterator[tuple[str, Process]]:
    """A framework's rooms, served. It must leave at once and in order, with its clients still there."""
    framework, loop = request.param
    with serve(f"tests.frameworks.rooms.{framework}_room:app", loop=loop, timeout_graceful_shutdown=5) as process:
        yield framework, process
        with enter(process, "last") as client:
            process.popen.terminate()
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(PATIENCE_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert process.wait() == 0
    said = "\n".join(process.stderr)
    assert "bug of Whorl" not in said
    assert "Traceback" not in said


def enter(process: Process, room: str) -> AbstractContextManager[ClientConnection]:
    return connect(f"ws://127.0.0.1:{process.port}/room/{room}", open_timeout=PATIENCE_SECONDS)


def test_an_exchange(rooms: tuple[str, Process]) -> None:
    _, process = rooms
    with connect(f"ws://127.0.0.1:{process.port}/room/a", subprotocols=["other", "room"]) as client:
        assert client.subprotocol == "room"
        for number in range(20):
            client.send(f"é{number}" * 100)
            assert client.recv(PATIENCE_SECONDS) == f"é{number}" * 100
            client.send(b"abc" * number + b"z")
            assert client.recv(PATIENCE_SECONDS) == (b"abc" * number + b"z")[::-1]


def test_a_broadcast(rooms: tuple[str, Process]) -> None:
    _, process = rooms
    with ExitStack() as stack:
        clients = [stack.enter_context(enter(process, "b")) for _ in range(10)]
        for number in (0, 4, 9):
            clients[number].send(f"from {number}")
            for client in clients:
                assert client.recv(PATIENCE_SECONDS) == f"from {number}"


@pytest.mark.parametrize("way", ["close", "reset"])
def test_the_others_hear_who_has_left(rooms: tuple[str, Process], way: str) -> None:
    framework, process = rooms
    with enter(process, way) as stays, enter(process, way) as leaves:
        leaves.send("hello")
        assert leaves.recv(PATIENCE_SECONDS) == stays.recv(PATIENCE_SECONDS) == "hello"
        if way == "reset":
            leaves.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            leaves.socket.close()
        else:
            leaves.close()
        code = 1000 if way == "close" or framework == "quart" else 1006  # Quart does not tell its handler
        assert stays.recv(PATIENCE_SECONDS) == f"left {code}"


def test_the_application_closes(rooms: tuple[str, Process]) -> None:
    _, process = rooms
    with enter(process, "c") as client:
        client.send("bye")
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(PATIENCE_SECONDS)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as you wish")


def test_the_application_refuses(rooms: tuple[str, Process]) -> None:
    _, process = rooms
    with pytest.raises(InvalidStatus) as refused, enter(process, "closed"):
        pass
    assert refused.value.response.status_code == 403
