"""File descriptors that run short (getrlimit(2); accept(2), EMFILE): it is said, and it passes."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Process, read_response, serve
from tests.loops_here import EACH_WAY
from tests.server.client import descriptors, get, start, until
from whorl.server.exception_handler import LoopExceptionHandler
from whorl.server.fd_budget import FdBudget, Headroom, raise_limit

LIMIT = 64
CLIENTS = 100
NO_ROOM = "no room for more connections: most of the 64 file descriptors are in use"
WITH_LIMITS = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); del sys.argv[1:3]; "
    "runpy.run_module('whorl', run_name='__main__', alter_sys=True)"
)


@pytest.fixture(params=EACH_WAY)
def loop_name(request: pytest.FixtureRequest) -> str:
    """Each loop, and asyncio's with its own transports: it accepts otherwise."""
    name: str = request.param
    return name


@contextmanager
def limited(soft: int, hard: int, **options: object) -> Iterator[Process]:
    """A server that may have so many descriptors."""
    python = (sys.executable, "-c", WITH_LIMITS.format(soft=soft, hard=hard))
    with serve("tests.apps:app", python=python, **options) as process:
        yield process


def status(client: socket.socket, *, script: list[object] | None = None) -> int:
    client.sendall(get(script=script) if script else get())
    return read_response(client)[0]


def connect_all(process: Process, loop_name: str) -> list[socket.socket]:
    """More clients than descriptors. Those that rloop turns away may be reset before connect(2) has returned."""
    clients = [process.connect()]
    for _ in range(1, CLIENTS):
        try:
            clients.append(process.connect())
        except ConnectionResetError:
            assert loop_name.startswith("rloop")
    return clients


def greets(process: Process) -> bool:
    try:
        with process.connect() as client:
            return status(client) == 200
    except OSError:
        return False


def test_more_clients_than_descriptors(loop_name: str) -> None:
    with limited(LIMIT, LIMIT, loop=loop_name) as process:
        clients = connect_all(process, loop_name)
        process.wait_for_line(NO_ROOM)
        if loop_name.startswith("rloop"):
            # It cannot stop accepting: those without room are turned away. And it counts in tens.
            assert status(clients[0]) == 200
            turned_away = 0
        else:
            until(lambda: descriptors(process) <= LIMIT - 4)
            file: list[object] = [start(), {"type": "http.response.pathsend", "path": __file__}]
            assert status(clients[0], script=file) == 200
            turned_away = sum(map(is_closed, clients))
            for client in clients[:-5]:
                client.close()
            assert status(clients[-1]) == 200  # it has waited
        for client in clients:
            client.close()
        until(lambda: greets(process))
        assert turned_away == 0
        assert len([line for line in process.stderr if NO_ROOM in line]) <= 2
        assert "Traceback" not in "".join(process.stderr)
        assert process.stop() == 0


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        client.settimeout(10)


def test_leaving_while_there_is_no_room(loop_name: str) -> None:
    with limited(LIMIT, LIMIT, loop=loop_name) as process:
        clients = connect_all(process, loop_name)
        process.wait_for_line(NO_ROOM)
        assert status(clients[0]) == 200
        assert process.stop() == 0
        assert "Traceback" not in "".join(process.stderr)
        for client in clients:
            client.close()


@pytest.mark.parametrize(("limit", "between"), [(64, 0), (1024, 8), (65_536, 16)])
def test_where_there_is_plenty_of_room_not_every_connection_is_looked_at(
    limit: int, between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may come unseen, with what a loop accepts at once, leaves the application its part of the reserve."""
    monkeypatch.setattr("whorl.server.fd_budget.descriptor_limit", lambda: limit)
    found = [Headroom.OK, Headroom.LOW, Headroom.NONE, Headroom.OK]
    monkeypatch.setattr(FdBudget, "look", lambda _: found.pop(0))
    room = FdBudget()
    try:
        assert [room.admit() for _ in range(between + 1)] == [Headroom.OK] * (between + 1)
        assert [room.admit() for _ in range(3)] == [Headroom.LOW, Headroom.NONE, Headroom.OK]
        assert found == []
        assert room.batch + between < min(limit // 8, 1024) // 2
    finally:
        room.close()


@pytest.mark.parametrize(
    ("soft", "hard", "used"),
    [
        (256, 2048, 2048),
        (2048, 2048, 2048),
        (256, 100_000, 65_536),
        (256, resource.RLIM_INFINITY, 65_536),
        (70_000, 100_000, 70_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_what_the_administrator_allows_is_used(
    soft: int, hard: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {resource.RLIMIT_NOFILE: (soft, hard)}
    monkeypatch.setattr("resource.getrlimit", limits.get)
    monkeypatch.setattr("resource.setrlimit", limits.__setitem__)
    raise_limit()
    assert limits == {resource.RLIMIT_NOFILE: (used, hard)}


def test_it_is_raised_where_whorl_owns_the_process() -> None:
    with limited(256, 2048) as process:
        limits = Path(f"/proc/{process.popen.pid}/limits").read_text().splitlines()
        (line,) = [line for line in limits if line.startswith("Max open files")]
        assert line.split()[3:5] == ["2048", "2048"]


class TestComplaints:
    """What is said where the loop meets the limit all the same: the application has taken the rest."""

    @pytest.fixture
    def complaints(self) -> Iterator[LoopExceptionHandler]:
        loop = asyncio.new_event_loop()
        yield LoopExceptionHandler(loop, logging.getLogger("whorl.error"))
        loop.close()

    def test_a_line_a_second(self, complaints: LoopExceptionHandler, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(1000):
            error = OSError(errno.EMFILE, "Too many open files")
            complaints({"exception": error, "socket": object(), "message": "socket.accept() out of system resource"})
        (record,) = caplog.records
        assert record.getMessage().startswith("no more connections can be accepted for now (Too many open files)")

    def test_a_client_that_died_before_is_nothing(
        self, complaints: LoopExceptionHandler, caplog: pytest.LogCaptureFixture
    ) -> None:
        error = ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort")
        complaints({"exception": error, "message": "Exception in callback BaseSelectorEventLoop._accept_connection()"})
        assert caplog.records == []
