"""The listener whose connections are served by the poller (accept(2))."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.net.recorder import Recorder, turns, until
from whorl.net.epoll import Poller
from whorl.net.io_batch import IoBatch
from whorl.platform import HERE
from whorl.server.listen import epoll_listener as polled_listener
from whorl.server.listen.epoll_listener import EpollListener

pytestmark = pytest.mark.skipif(not HERE.has_epoll, reason="needs epoll(7)")

MAX_EVENTS = 4


class Place:
    """A listener, and who has connected to it."""

    def __init__(self, poller: Poller, handle: socket.socket) -> None:
        self.address = handle.getsockname()
        self.is_unix = handle.family == socket.AF_UNIX
        self.recorders: list[Recorder] = []
        self.handle = handle
        handle.setblocking(False)
        logger = logging.getLogger("whorl.error")
        self.listener = EpollListener(poller, handle, self.is_unix, self.admit, 100, MAX_EVENTS, logger)

    def admit(self) -> Recorder:
        self.recorders.append(Recorder())
        return self.recorders[-1]

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX if self.is_unix else socket.AF_INET)
        client.settimeout(10)
        client.connect(self.address)
        return client

    def end(self) -> None:
        self.listener.close()
        for recorder in self.recorders:
            recorder.transport.abort()


def run(main: Callable[[Poller, Place], Awaitable[None]], handle: socket.socket | None = None) -> None:
    async def whole() -> None:
        poller = Poller(asyncio.get_running_loop(), IoBatch())
        place = Place(poller, handle or socket.create_server(("127.0.0.1", 0)))
        try:
            await main(poller, place)
        finally:
            place.end()
            await turns()
            assert not len(poller)
            poller.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(whole())  # type: ignore[arg-type]


def test_a_connection_is_made_whole_in_the_turn_in_which_it_is_accepted() -> None:
    async def main(poller: Poller, place: Place) -> None:
        with place.connect() as client:
            poller._on_readable()
            (recorder,) = place.recorders
            assert recorder.told == ["made"]
            transport = recorder.transport
            assert transport.get_extra_info("peername") == client.getsockname()
            handle = transport.get_extra_info("socket")
            assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not handle.getblocking()
            client.sendall(b"x")
            await until(lambda: recorder.data == b"x")

    run(main)


def test_of_a_unix_socket(tmp_path: Any) -> None:
    handle = socket.socket(socket.AF_UNIX)
    handle.bind(str(tmp_path / "socket"))

    async def main(poller: Poller, place: Place) -> None:
        with place.connect():
            await until(lambda: place.recorders)
            assert place.recorders[0].transport.get_extra_info("sockname") == str(tmp_path / "socket")

    run(main, handle)


def test_no_more_than_a_batch_in_one_turn() -> None:
    async def main(poller: Poller, place: Place) -> None:
        clients = [place.connect() for _ in range(2 * MAX_EVENTS + 1)]
        for count in (MAX_EVENTS, 2 * MAX_EVENTS, 2 * MAX_EVENTS + 1):
            poller._on_readable()
            assert len(place.recorders) == count
        for client in clients:
            client.close()

    run(main)


def test_one_that_left_before_is_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def main(poller: Poller, place: Place) -> None:
        errors = [OSError(errno.ECONNABORTED, "left"), OSError(errno.EPROTO, "left")]
        accept = socket.socket.accept

        def failing(handle: socket.socket) -> Any:
            if errors:
                raise errors.pop()
            return accept(handle)

        with monkeypatch.context() as patched, place.connect():
            patched.setattr(socket.socket, "accept", failing)
            await until(lambda: place.recorders)
        assert not errors

    run(main)
    assert caplog.records == []


@pytest.mark.parametrize("closes", [False, True])
def test_a_system_without_room(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, closes: bool) -> None:
    """It is said, and tried again after a while, and not at once and for ever."""
    monkeypatch.setattr(polled_listener, "PAUSE_SECONDS", 0.05)

    async def main(poller: Poller, place: Place) -> None:
        def full(handle: socket.socket) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        with place.connect():
            with monkeypatch.context() as patched:
                patched.setattr(socket.socket, "accept", full)
                await until(lambda: caplog.records)
                await turns(50)
                if closes:
                    place.listener.close()
                    place.listener.close()
            if closes:
                await asyncio.sleep(0.1)
                assert place.recorders == []
            else:
                await until(lambda: place.recorders)

    run(main)
    assert len(caplog.records) <= 2
    assert caplog.records[0].getMessage() == "no more connections can be accepted for now: Too many open files"
