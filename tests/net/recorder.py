"""A protocol that notes what it is told, and sockets to tell it something over. No tests in this file."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from whorl.net.epoll import Poller
from whorl.net.epoll_transport import EpollTransport

TURNS = 4
"""So many turns of the loop, and everything that can happen has."""


class Recorder(asyncio.Protocol):
    """Attributes:
    told: `made`, `eof`, `pause`, `resume` and `lost`, in their order.
    data: what was received.
    error: why the connection was lost.
    on: what to do when told, by the same words, and `data`.
    """

    def __init__(self, keeps_half: bool = True) -> None:
        self.keeps_half = keeps_half
        self.told: list[str] = []
        self.data = b""
        self.error: Exception | None = None
        self.on: dict[str, Callable[[], object]] = {}

    def _tell(self, word: str) -> None:
        self.told.append(word)
        self._do(word)

    def _do(self, word: str) -> None:
        act = self.on.get(word)
        if act is not None:
            act()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._tell("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._do("data")

    def eof_received(self) -> bool:
        self._tell("eof")
        return self.keeps_half

    def pause_writing(self) -> None:
        self._tell("pause")

    def resume_writing(self) -> None:
        self._tell("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self._tell("lost")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection: ours, which does not block, and theirs, which does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 10)
        ours, _ = listener.accept()
    ours.setblocking(False)
    return ours, theirs


def unix_pair() -> tuple[socket.socket, socket.socket]:
    """The same of a Unix socket."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    return ours, theirs


async def turns(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], Any]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


def wired(poller: Poller, ours: socket.socket, protocol: Recorder | None = None) -> Recorder:
    """A protocol above a wire."""
    recorder = protocol or Recorder()
    EpollTransport(poller, ours, None, recorder).start()
    return recorder
