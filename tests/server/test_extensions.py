"""Trailers, early hints, and files as content (ASGI extensions http.response.trailers, .early_hint, .pathsend)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process
from tests.server.client import (
    Client,
    Cut,
    ask,
    body,
    descriptors,
    events,
    get,
    open_gate,
    request,
    resident_bytes,
    start,
    until,
)

MIB = 1024 * 1024


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.trailers", "headers": list(headers), "more_trailers": more}


class TestTrailers:
    """Sent to who asks for them with TE (RFC 9110 sections 6.5.1, 10.1.4)."""

    STEPS = (start(trailers=True), body(b"abc", True), body(b"def"), trailers((b"X-Sum", b"1"), (b"x-two", b"2")))

    def test_to_who_asks(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get("/", "TE: trailers", "Connection: TE", script=self.STEPS))
            assert (response.content, response.trailers) == (b"abcdef", [("x-sum", "1"), ("x-two", "2")])
            assert client.ask(get()).content == b"hello"

    def test_in_several_messages(self, server: Process) -> None:
        steps = [start(trailers=True), body(b"abc"), trailers((b"a", b"1"), more=True), trailers((b"b", b"2"))]
        with Client(server) as client:
            response = client.ask(get("/", "TE: trailers", script=steps))
            assert (response.content, response.trailers) == (b"abc", [("a", "1"), ("b", "2")])

    def test_not_to_who_does_not_ask(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=self.STEPS))
            assert (response.content, response.trailers) == (b"abcdef", [])
            assert client.ask(get()).content == b"hello"

    def test_not_to_HTTP_1_0(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(get("/", "TE: trailers", version="1.0", script=self.STEPS)).content == b"abcdef"

    def test_not_beside_a_declared_length(self, server: Process) -> None:
        steps = [start(200, (b"content-length", b"3"), trailers=True), body(b"abc"), trailers((b"a", b"1"))]
        with Client(server) as client:
            response = client.ask(get("/", "TE: trailers", script=steps))
            assert (response.content, response["content-length"]) == (b"abc", "3")
            assert client.ask(get()).content == b"hello"

    def test_not_after_HEAD(self, server: Process) -> None:
        with Client(server) as client:
            client.ask(request("HEAD", "/", "TE: trailers", script=self.STEPS), "HEAD")
            assert client.ask(get()).content == b"hello"

    @pytest.mark.parametrize(
        "field",
        [(b"content-length", b"3"), (b"Transfer-Encoding", b"chunked"), (b"set-cookie", b"a=b"), (b"x", b"a\r\nb: c")],
    )
    def test_no_field_that_must_not_be_one(self, server: Process, field: tuple[bytes, bytes]) -> None:
        steps = [start(trailers=True), body(b"abc"), trailers(field)]
        with Client(server) as client:
            client.send(get("/", "TE: trailers", script=steps))
            with pytest.raises(Cut):
                client.response()

    def test_promised_and_not_sent_cut_the_response(self, server: Process) -> None:
        with Client(server) as client:
            client.send(get("/", "TE: trailers", script=[start(trailers=True), body(b"abc")]))
            with pytest.raises(Cut):
                client.response()

    def test_not_promised_are_a_mistake(self, server: Process, name: str) -> None:
        steps = [start(), body(b"abc"), ("attempt", trailers((b"a", b"1")))]
        with Client(server) as client:
            assert client.ask(get("/", "TE: trailers", script=steps, name=name)).trailers == []
        assert events(server, name, 1)[0].startswith("RuntimeError")


class TestEarlyHints:
    """103 before the final response (RFC 8297)."""

    HINT = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}

    def test_come_first(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[self.HINT, self.HINT, start(), body(b"abc")]))
            assert (response.status, response.content) == (200, b"abc")
            assert [hint.status for hint in response.interim] == [103, 103]
            links = [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")]
            assert response.interim[0].fields == links

    def test_at_once(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(get(script=[self.HINT, ("wait", name), start(), body()]))
            assert client.head().status == 103
            open_gate(server, name)
            assert client.response().status == 200

    def test_not_to_HTTP_1_0(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(get(version="1.0", script=[self.HINT, start(), body(b"abc")])).interim == []

    def test_not_after_the_start(self, server: Process, name: str) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(), ("attempt", self.HINT), body(b"abc")], name=name))
            assert (response.content, response.interim) == (b"abc", [])
        assert events(server, name, 1)[0].startswith("RuntimeError")

    def test_no_injection(self, server: Process) -> None:
        hint = {"type": "http.response.early_hint", "links": [b"a\r\nx: y"]}
        with Client(server) as client:
            response = client.ask(get(script=[hint, start(), body()]))
            assert (response.status, response.interim) == (500, [])


def pathsend(path: Path | str) -> dict[str, Any]:
    return {"type": "http.response.pathsend", "path": str(path)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of many sizes, named by them."""
    folder: Path = tmp_path_factory.mktemp("files")
    for size in (0, 1, 70_000, 5 * MIB):
        (folder / str(size)).write_bytes(octets(size))
    return folder


def octets(size: int) -> bytes:
    """Bytes where no piece is like another."""
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


class TestPathsend:
    @pytest.mark.parametrize("size", [0, 1, 70_000, 5 * MIB])
    def test_is_the_content(self, server: Process, folder: Path, size: int) -> None:
        with Client(server) as client:
            for _ in range(2):
                response = client.ask(get(script=[start(), pathsend(folder / str(size))]))
                assert response["content-length"] == str(size)
                assert response.content == octets(size)
            assert client.ask(get()).content == b"hello"

    def test_to_HTTP_1_0(self, server: Process, folder: Path) -> None:
        with Client(server) as client:
            response = client.ask(get(version="1.0", script=[start(), pathsend(folder / "70000")]))
            assert response.content == octets(70_000)

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
    def test_without_content(self, server: Process, folder: Path, method: str, status: int) -> None:
        with Client(server) as client:
            steps = [start(status), pathsend(folder / "70000")]
            response = client.ask(request(method, script=steps), method)
            assert response["content-length"] == (None if status == 204 else "70000")
            assert client.ask(get()).content == b"hello"

    def test_with_the_right_length(self, server: Process, folder: Path) -> None:
        steps = [start(200, (b"content-length", b"70000")), pathsend(folder / "70000")]
        with Client(server) as client:
            assert client.ask(get(script=steps)).content == octets(70_000)

    def test_with_a_wrong_length(self, server: Process, folder: Path) -> None:
        for length in (b"69999", b"70001"):
            with Client(server) as client:
                response = client.ask(get(script=[start(200, (b"content-length", length)), pathsend(folder / "70000")]))
                assert response.status == 500

    @pytest.mark.parametrize("what", ["missing", "folder", "pipe", "relative", "device"])
    def test_of_what_is_no_file(self, server: Process, tmp_path: Path, what: str) -> None:
        """Nothing has left, so the application can still answer otherwise; without that it is 500."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        path = {"relative": "pyproject.toml", "device": "/dev/zero"}.get(what, str(tmp_path / what))
        with Client(server) as client:
            assert client.ask(get(script=[start(), pathsend(path)])).status == 500
            assert client.ask(get(script=[start(), ("attempt", pathsend(path)), body(b"sorry")])).content == b"sorry"

    def test_not_after_content(self, server: Process, folder: Path) -> None:
        with Client(server) as client:
            client.send(get(script=[start(), body(b"abc", True), pathsend(folder / "1")]))
            with pytest.raises(Cut):
                client.response()

    def test_stands_where_it_belongs_among_pipelined_responses(self, server: Process, folder: Path) -> None:
        """It passes by the transport's buffer, and may not overtake what waits there."""
        large = get(script=[start(), ("content", 8 * MIB)])
        file = get(script=[start(), pathsend(folder / str(5 * MIB))])
        with Client(server, receive_bytes=65536) as client:
            client.send(large, file, get(), file)
            assert client.response().content == b"." * 8 * MIB
            assert client.response().content == octets(5 * MIB)
            assert client.response().content == b"hello"
            assert client.response().content == octets(5 * MIB)

    def test_to_a_slow_reader_it_stays_on_the_disk(self, server: Process, tmp_path: Path, name: str) -> None:
        file = tmp_path / "sparse"
        with file.open("wb") as writable:
            writable.truncate(256 * MIB)
        ask(server, "/")
        before = resident_bytes(server)
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[("note", "here"), start(), pathsend(file), ("note", "done")], name=name))
            client.head()
            for _ in range(20):
                client.exactly(4096)
            assert ask(server, "/") == b"hello", "others are served meanwhile"
            assert resident_bytes(server) - before < 8 * MIB
            assert events(server, name) == ["here"]
            assert client.exactly(3 * MIB) == b"\0" * 3 * MIB

    def test_to_a_reader_that_pauses(self, server: Process, folder: Path) -> None:
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[start(), pathsend(folder / str(5 * MIB))]))
            assert int(client.head()["content-length"] or 0) == 5 * MIB
            content = b""
            for _ in range(3):
                time.sleep(0.02)
                content += client.exactly(300_000)
            assert content + client.exactly(5 * MIB - 900_000) == octets(5 * MIB)

    def test_to_a_client_that_leaves(self, server: Process, folder: Path, name: str) -> None:
        """The application is told, and the file is closed."""
        clients = []
        for _ in range(5):
            clients.append(Client(server, receive_bytes=4096))
            steps = [("note", "here"), start(), ("attempt", pathsend(folder / str(5 * MIB)))]
            clients[-1].send(get(script=steps, name=name)).exactly(20_000)
        assert str(folder) in files_of(server)
        for client in clients[1:]:
            client.reset()
        clients[0].socket.close()
        noted = events(server, name, 10)
        assert sum("OSError" in event for event in noted) == 5
        until(lambda: str(folder) not in files_of(server))

    def test_of_a_file_that_becomes_shorter(self, server: Process, tmp_path: Path, name: str) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x" * 20 * MIB)
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[start(), ("attempt", pathsend(file)), ("fail",)], name=name))
            client.exactly(1000)
            os.truncate(file, 1000)
            with pytest.raises(Cut):
                client.exactly(20 * MIB)
        assert events(server, name, 1)[0].startswith("RuntimeError")

    def test_leaves_no_descriptor(self, server: Process, folder: Path) -> None:
        with Client(server) as client:
            client.ask(get())
            before = descriptors(server)
            for _ in range(20):
                client.ask(get(script=[start(), pathsend(folder / "70000")]))
            until(lambda: descriptors(server) <= before)


def files_of(server: Process) -> str:
    """What the process has open, one after the other."""
    folder = Path(f"/proc/{server.popen.pid}/fd")
    found = []
    for path in folder.iterdir():
        try:
            found.append(os.readlink(path))
        except OSError:
            pass  # closed meanwhile
    return " ".join(found)
