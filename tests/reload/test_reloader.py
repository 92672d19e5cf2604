"""`--reload`, from outside: what is served after a change, and that no client is ever refused."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Process, read_all, read_response, serve
from tests.server.peer import Peer, close
from tests.supervisor.processes import alive, children
from whorl.server.drain import NEW_SECONDS

APP = """
import asyncio, time
{before}
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"{answer}", "more_body": True}})
    if scope["path"] == "/stream":
        await asyncio.sleep(3600)
    if scope["path"] == "/block":
        print("blocks", flush=True)
        time.sleep(3600)
    await send({{"type": "http.response.body", "body": b""}})
"""
WEBSOCKET_APP = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await send({{"type": "websocket.accept"}})
    await send({{"type": "websocket.send", "text": "{answer}"}})
    while (await receive())["type"] != "websocket.disconnect":
        pass
"""
GET = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PROGRAM = (
    "import runpy, sys; {first}; del sys.argv[1:3]; runpy.run_module('whorl', run_name='__main__', alter_sys=True)"
)
WITHOUT_WATCHFILES = PROGRAM.format(first="sys.modules['watchfiles'] = None")
SHORT_KILL_TIMEOUT = PROGRAM.format(first="from whorl.reload import reloader; reloader.KILL_SECONDS = 0.3")
TIMEOUT_SECONDS = 20.0


class Project:
    """A directory with an application in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("one")

    def write(self, answer: str, before: str = "") -> None:
        """Change the application; each answer has another length, because Python recognizes stale bytecode by whole
        seconds and the length of the source."""
        (self.directory / "main.py").write_text(APP.format(answer=answer, before=before))

    def write_websocket(self, answer: str) -> None:
        """Change it to one that sends its answer over WebSocket."""
        (self.directory / "main.py").write_text(WEBSOCKET_APP.format(answer=answer))

    @contextlib.contextmanager
    def serve(self, loop: str = "auto", ready: bool = True, **options: object) -> Iterator[Process]:
        options = {"reload": True, "reload_delay": 0.05, "port": 0, **options}
        with serve("main:app", cwd=self.directory, loop=loop, ready=ready, **options) as process:
            yield process


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def ask(process: Process, path: bytes = b"/") -> str:
    """Return the answer. A client is never refused, but if it sends nothing for NEW_SECONDS, which happens on a busy
    machine, the connection may be closed; then ask again."""
    while True:
        began, was_prompt = time.monotonic(), False
        with process.connect(TIMEOUT_SECONDS) as client:
            try:
                client.sendall(GET % path)
                was_prompt = time.monotonic() - began < NEW_SECONDS / 2
                status, _, content = read_response(client)
            except ConnectionError:
                assert not was_prompt
                continue
            assert status == 200
            return content.decode()


def ask_until(process: Process, answer: str) -> None:
    """Ask repeatedly, until the new code answers."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while ask(process) != answer:
        assert time.monotonic() < ends


def test_a_change_is_served_and_no_client_is_refused(loop_name: str, project: Project) -> None:
    with project.serve(loop_name) as process:
        assert ask(process) == "one"
        project.write("second")
        ask_until(process, "second")
        assert process.stop() == 0
    assert [line for line in process.stderr if "changed: main.py" in line]


def test_without_watchfiles(project: Project) -> None:
    python = (sys.executable, "-c", WITHOUT_WATCHFILES)
    with project.serve(python=python) as process:
        process.wait_for_line("watching")
        assert "every 0.05 s" in process.wait_for_line("watching")
        project.write("second")
        ask_until(process, "second")


@pytest.mark.parametrize(
    ("code", "warning"),
    [
        ("raise ImportError('built for another system')", "cannot be imported (ImportError: built for another system)"),
        ("raise SystemError", "cannot be imported (SystemError)"),
        ("def watch(*roots, **more): raise OSError('no room')", "watchfiles cannot watch (OSError: no room)"),
        ("", "watchfiles cannot watch (AttributeError: module 'watchfiles' has no attribute 'watch')"),
    ],
)
def test_with_a_watchfiles_that_does_not_work(project: Project, code: str, warning: str) -> None:
    """That is logged once, and files are polled instead."""
    folder = project.directory / ".packages"
    folder.mkdir()
    (folder / "watchfiles.py").write_text(code)
    python = (sys.executable, "-c", PROGRAM.format(first=f"sys.path.insert(0, {str(folder)!r})"))
    with project.serve(python=python) as process:
        assert " WARNING " in process.wait_for_line(warning)
        project.write("second")
        ask_until(process, "second")
        assert process.stop() == 0
    assert not [line for line in process.stderr if "bug of Whorl" in line]


def test_broken_code_is_logged_once_and_a_browser_waits_for_the_fix(project: Project) -> None:
    with project.serve() as process:
        project.write("broken", "x = (")
        process.wait_for_line("waiting for a change")
        answers: list[str] = []
        asks = threading.Thread(target=lambda: answers.append(ask(process)))
        asks.start()
        project.write("mended!!")
        asks.join(TIMEOUT_SECONDS)
        assert answers == ["mended!!"]
        assert len([line for line in process.stderr if line.strip() == "x = ("]) == 1


def test_code_that_is_broken_from_the_start(project: Project) -> None:
    project.write("broken", "1 / 0")
    with project.serve(ready=False) as process:
        process.wait_for_line("waiting for a change")
        project.write("mended")
        process.wait_for_line(" serves ")
        assert ask(process) == "mended"


def test_a_change_during_a_slow_start_is_not_lost(project: Project) -> None:
    with project.serve() as process:
        project.write("slowly", "print('imports', flush=True); time.sleep(3600)")
        process.wait_for_line("imports", "stdout")
        project.write("third time")
        assert ask(process) == "third time"


def test_an_open_stream_does_not_delay_it(loop_name: str, project: Project) -> None:
    with project.serve(loop_name) as process, process.connect() as stream:
        stream.sendall(GET % b"/stream")
        assert b"one" in stream.recv(65536)
        project.write("second")
        since = time.monotonic()
        ask_until(process, "second")
        assert time.monotonic() - since < 10, "1 s for the stream, and time to start; not 30 s"
        with contextlib.suppress(ConnectionError):
            read_all(stream)


def test_an_open_websocket_does_not_delay_it(loop_name: str, project: Project) -> None:
    """A page that reconnects gets the new code."""
    project.write_websocket("one")
    with project.serve(loop_name) as process, Peer(process) as peer:
        assert peer.text() == "one"
        project.write_websocket("second")
        assert peer.closing() == (1012, "The server is leaving.")
        peer.send(close(1012))
        assert peer.rest() == b""
        with Peer(process) as again:
            assert again.text() == "second"


def test_a_server_that_does_not_exit_is_killed(project: Project) -> None:
    """Its loop is blocked: after KILL_SECONDS, which is shorter here, it is killed, and the new code serves."""
    with project.serve(python=(sys.executable, "-c", SHORT_KILL_TIMEOUT)) as process, process.connect() as client:
        (stuck,) = children(process)
        client.sendall(GET % b"/block")
        process.wait_for_line("blocks", "stdout")
        project.write("second")
        ask_until(process, "second")
        assert not alive(stuck)
        process.signal(signal.SIGTERM)
        assert process.wait(5) == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_exits_at_once(project: Project, signum: int) -> None:
    with project.serve() as process:
        (worker,) = children(process)
        process.signal(signum)
        assert process.wait(5) == 0
        assert not alive(worker)


def test_it_exits_at_once_while_code_is_imported_or_broken(project: Project) -> None:
    project.write("slowly", "print('imports', flush=True); time.sleep(3600)")
    with project.serve(ready=False) as process:
        process.wait_for_line("imports", "stdout")
        project.write("broken", "x = (")
        process.wait_for_line("waiting for a change")
        project.write("slowly again", "print('imports again', flush=True); time.sleep(3600)")
        process.wait_for_line("imports again", "stdout")
        process.signal(signal.SIGINT)
        assert process.wait(5) == 0


def test_a_second_ctrl_c_ends_a_blocked_server(project: Project) -> None:
    with project.serve() as process, process.connect() as client:
        client.sendall(GET % b"/block")
        process.wait_for_line("blocks", "stdout")
        process.signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.popen.wait(0.3)
        process.signal(signal.SIGINT)
        assert process.wait(5) == 0


def test_no_server_outlives_a_parent_that_was_killed(project: Project) -> None:
    with project.serve() as process:
        (worker,) = children(process)
        process.popen.kill()
        process.popen.wait()
        ends = time.monotonic() + TIMEOUT_SECONDS
        while alive(worker):
            assert time.monotonic() < ends
            time.sleep(0.01)


def test_a_port_in_use_is_one_line(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with project.serve(ready=False, port=other.getsockname()[1]) as process:
            assert process.wait() == 3
            (line,) = process.stderr
    assert "is in use" in line
