"""What the table says that a loop can or cannot do, tried on the loop itself: the table cannot age in silence."""

from __future__ import annotations

import asyncio
import importlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.own_loop import OwnTransports
from whorl.errors import ConfigError
from whorl.loops import Feature, LoopInfo, resolve
from whorl.loops.registry import ASYNCIO, KNOWN, KnownLoop
from whorl.platform import HERE, Platform

SECONDS = 10.0
WINDOWS = Platform(system="win32", implementation="cpython", python=(3, 13, 0))
LINUX = Platform(system="linux")


@dataclass
class Server:
    """A listener on 127.0.0.1 and one blocking client, asked from a thread."""

    loop: asyncio.AbstractEventLoop
    client: socket.socket
    listener: asyncio.AbstractServer

    async def ask(self, data: bytes) -> bytes:
        def exchange() -> bytes:
            self.client.sendall(data)
            return self.client.recv(100)

        return await self.loop.run_in_executor(None, exchange)


class Recorder(asyncio.Protocol):
    """Echoes; tells a future when it is lost."""

    lost: asyncio.Future[None]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


class Upper(Recorder):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


async def tls(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    listener = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    listener.close()
    return True


async def unix_sockets(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    listener = await loop.create_unix_server(Recorder, folder / "socket")
    listener.close()
    return True


async def sendfile(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    (folder / "file").write_bytes(b"content")
    sent: asyncio.Future[int] = loop.create_future()

    class Sender(Recorder):
        def data_received(self, data: bytes) -> None:
            self.task = loop.create_task(self.send())

        async def send(self) -> None:
            with (folder / "file").open("rb") as file:
                try:
                    sent.set_result(await loop.sendfile(self.transport, file, fallback=False))
                except (NotImplementedError, RuntimeError) as error:
                    sent.set_exception(error)
                    self.transport.write(b"failed!")

    with_server = serve(loop, Sender)
    return await with_server(lambda server: server.ask(b"x")) == b"content" and await sent == 7


async def set_protocol(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    refused: list[NotImplementedError] = []

    class Switch(Recorder):
        def data_received(self, data: bytes) -> None:
            upper = Upper()
            upper.transport, upper.lost = self.transport, self.lost
            try:
                self.transport.set_protocol(upper)
            except NotImplementedError as error:
                refused.append(error)
            self.transport.write(data)

    async def ask_twice(server: Server) -> bytes:
        return await server.ask(b"x") + await server.ask(b"x")

    return await serve(loop, Switch)(ask_twice) == b"xX" and not refused


async def keeps_clients(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    """After the listener is closed, either the connection answers or its protocol hears that it is lost."""
    made: list[Recorder] = []

    class Listed(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            made.append(self)

    async def outlive(server: Server) -> bool:
        await server.ask(b"x")
        server.listener.close()
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
        return not made[0].lost.done() and await server.ask(b"y") == b"y"

    return await serve(loop, Listed)(outlive)


async def keeps_socket(loop: asyncio.AbstractEventLoop, folder: Path) -> bool:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        listener = await loop.create_server(Recorder, sock=ours)
        kept = ours.fileno() >= 0
        listener.close()
        return kept


def serve(
    loop: asyncio.AbstractEventLoop, protocol: type[Recorder]
) -> Callable[[Callable[[Server], Awaitable[Any]]], Awaitable[Any]]:
    """Returns: a function that runs its argument with a connected client, and closes everything afterwards."""

    def make() -> Recorder:
        made = protocol()
        made.lost = loop.create_future()
        return made

    async def run(body: Callable[[Server], Awaitable[Any]]) -> Any:
        listener = await loop.create_server(make, "127.0.0.1", 0)
        address = listener.sockets[0].getsockname()
        try:
            with socket.create_connection(address, timeout=SECONDS) as client:
                return await body(Server(loop, client, listener))
        finally:
            listener.close()

    return run


PROBES = {
    Feature.TLS: tls,
    Feature.UNIX_SOCKETS: unix_sockets,
    Feature.SENDFILE: sendfile,
    Feature.SET_PROTOCOL: set_protocol,
    Feature.KEEPS_CLIENTS: keeps_clients,
    Feature.KEEPS_SOCKET: keeps_socket,
}


@pytest.mark.parametrize("feature", PROBES, ids=lambda feature: feature.name.lower())
def test_the_table_is_true(loop_name: str, feature: Feature, tmp_path: Path) -> None:
    made = resolve(loop_name).make()

    async def probe() -> bool:
        try:
            return await PROBES[feature](made.loop, tmp_path)
        except (NotImplementedError, RuntimeError, OSError):
            return False

    with made.runner() as runner:
        assert runner.run(probe()) == made.can(feature)


def test_a_closed_connection_ends_for_the_peer(loop_name: str) -> None:
    """On a loop without prompt close, EOF has to be written first. That way works everywhere."""
    made = resolve(loop_name).make()

    class EofAndClose(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write_eof()
            self.transport.close()

    class Close(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.close()

    async def ask(protocol: type[Recorder]) -> bytes:
        answer: bytes = await serve(made.loop, protocol)(lambda server: server.ask(b"x"))
        return answer

    with made.runner() as runner:
        for protocol in (EofAndClose, Close) if made.can(Feature.PROMPT_CLOSE) else (EofAndClose,):
            assert runner.run(ask(protocol)) == b""


def like(known_name: str, platform: Platform = HERE) -> LoopInfo:
    """A loop that is recognised as `known_name` by its class, whether or not that is installed."""
    kind = type("Loop", (asyncio.AbstractEventLoop,), {"__module__": f"{known_name}.loop"})
    return LoopInfo.of(kind(), "asked for", platform)


class TestRefusal:
    @pytest.mark.parametrize(
        ("loop", "feature", "text"),
        [
            ("rloop", Feature.TLS, "loop rloop has no TLS of its own: use --loop uvloop"),
            ("rloop", Feature.UNIX_SOCKETS, "loop rloop has no Unix sockets: use --host and --port, or --loop uvloop"),
            (
                "blazio",
                Feature.UNIX_SOCKETS,
                "loop blazio has no Unix sockets: use --host and --port, or --loop uvloop",
            ),
            ("uvloop", Feature.SENDFILE, "loop uvloop has no sendfile: use --loop asyncio"),
        ],
    )
    def test_is_one_line_with_the_remedy(self, loop: str, feature: Feature, text: str) -> None:
        with pytest.raises(ConfigError) as caught:
            like(loop, Platform(system="linux")).require(feature)
        assert str(caught.value) == text

    def test_names_every_lack_at_once(self) -> None:
        with pytest.raises(ConfigError) as caught:
            like("rloop").require(Feature.TLS, Feature.UNIX_SOCKETS)
        assert len(caught.value.problems) == 2

    @pytest.mark.parametrize("loop", ["asyncio", "winloop", "zuvloop"])
    def test_no_loop_has_unix_sockets_on_windows(self, loop: str) -> None:
        with pytest.raises(ConfigError) as caught:
            like(loop, WINDOWS).require(Feature.UNIX_SOCKETS)
        assert str(caught.value) == f"loop {loop} has no Unix sockets on Windows: use --host and --port"

    def test_on_windows_does_not_send_the_user_to_uvloop(self) -> None:
        with pytest.raises(ConfigError, match=r": use --loop asyncio$"):
            like("rloop", WINDOWS).require(Feature.TLS)

    def test_closes_the_loop_that_it_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "poses_as_rloop.py").write_text(POSER)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError):
            resolve("poses_as_rloop:Loop").make(Feature.TLS)
        poser = importlib.import_module("poses_as_rloop")
        assert [loop.is_closed() for loop in poser.made] == [True]


POSER = """
import asyncio
made = []
class Loop(asyncio.SelectorEventLoop):
    __module__ = "rloop.loop"
    def __init__(self):
        super().__init__()
        made.append(self)
"""


class TestRecognition:
    def test_goes_by_the_class_and_not_by_the_words(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rloop = pytest.importorskip("rloop")
        (tmp_path / "wraps_rloop.py").write_text("import rloop\ndef make(): return rloop.new_event_loop()")
        monkeypatch.syspath_prepend(tmp_path)
        made = resolve("wraps_rloop:make").make()
        made.loop.close()
        assert isinstance(made.loop, rloop.RLoop)
        assert made.describe().startswith("loop rloop ")
        assert made.describe().endswith(" (wraps_rloop:make)")
        assert not made.can(Feature.TLS)

    def test_finds_the_known_loop_under_a_subclass(self) -> None:
        uvloop = pytest.importorskip("uvloop")

        class Mine(uvloop.Loop):  # type: ignore[misc]
            pass

        made = LoopInfo.of(Mine())
        made.loop.close()
        assert not made.can(Feature.SENDFILE)
        assert f"{__name__}.{Mine.__qualname__} on uvloop " in made.describe()

    def test_believes_a_stranger_to_be_able(self) -> None:
        made = like("somebody", Platform(system="linux"))
        assert made.known is None
        assert all(made.can(feature) for feature in Feature)
        assert made.describe() == "loop somebody.loop.Loop (asked for)"

    def test_a_running_loop_is_recognised(self) -> None:
        async def recognise() -> str:
            return LoopInfo.of(asyncio.get_running_loop()).describe()

        with resolve("asyncio").make().runner() as runner:
            assert runner.run(recognise()).endswith(f", Python {HERE.python_version} (already running)")


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_every_known_loop_runs_somewhere(known: KnownLoop) -> None:
    newest = (3, 15, 0)
    assert None in {known.why_unsupported(Platform(system, "cpython", newest)) for system in ("linux", "win32")}


def test_asyncio_runs_everywhere() -> None:
    assert ASYNCIO.why_unsupported(WINDOWS) is None
    assert ASYNCIO.why_unsupported(Platform(system="linux", implementation="pypy", python=(3, 11, 0))) is None


class TestPoller:
    """Whether a poller of ours serves the sockets of a loop."""

    def takes(self, loop: asyncio.AbstractEventLoop, platform: Platform = LINUX) -> bool:
        try:
            return LoopInfo.of(loop, platform=platform).takes_poller
        finally:
            loop.close()

    def test_of_asyncios_own_where_there_is_epoll(self) -> None:
        assert self.takes(asyncio.SelectorEventLoop())

    @pytest.mark.parametrize("system", ["darwin", "freebsd14", "win32"])
    def test_nowhere_else(self, system: str) -> None:
        assert not self.takes(asyncio.SelectorEventLoop(), Platform(system=system))

    def test_not_of_a_subclass(self) -> None:
        """Whoever made one may have changed just that."""
        assert not self.takes(OwnTransports())

    def test_of_two_loops(self, loop_name: str) -> None:
        made = resolve(loop_name).make()
        assert self.takes(made.loop) == (loop_name in ("asyncio", "uvloop"))
