"""Whorl on Windows: what a client and an operator on Linux see of it, on every loop that Windows has."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import Process, command, read_all, read_response
from tests.windows.conftest import Serve
from tests.windows.wine import PYTHON, PYTHONS, Windows, on_windows

pytestmark = pytest.mark.timeout(600)  # the first test waits for the set-up

APP = "tests.windows.app:app"
MIB = 1024 * 1024
LOOPS = {
    "auto": "asyncio.windows_events.ProactorEventLoop",
    "asyncio": "asyncio.windows_events.ProactorEventLoop",
    "asyncio:SelectorEventLoop": "asyncio.windows_events._WindowsSelectorEventLoop",
    "winloop:new_event_loop": "winloop.Loop",
}
"""What is typed after `--loop` -> the class that must serve."""
DEADLINE_SECONDS = 1.0
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module", params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(serve_there: Serve, loop_name: str) -> Iterator[Process]:
    """One server for all tests of a loop. Whatever clients do to it, it has nothing to complain of."""
    deadlines = {"timeout_request_head": DEADLINE_SECONDS, "timeout_response": DEADLINE_SECONDS}
    with serve_there(APP, loop=loop_name, **deadlines) as process:
        yield process
        assert process.popen.poll() is None
        assert not complaints(process), process.stderr


def complaints(server: Process) -> list[str]:
    """The lines of its log that nobody outside may cause. A traceback alone is none: Python tells one
    now and then under Wine, when Ctrl+C meets another wake-up of the loop."""
    words = (" ERROR ", "Exception in", "never retrieved", "Accept failed", "was destroyed")
    return [line for line in server.stderr if any(word in line for word in words)]


def request(target: str, method: str = "GET", *fields: str) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "host: here", *fields, "", "")).encode()


def ask(server: Process, target: str) -> bytes:
    """The content of a response, on a connection of its own."""
    with server.connect() as client:
        client.sendall(request(target))
        status, _, content = read_response(client)
        assert status == 200
        return content


def wait_until_refused(server: Process) -> None:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        try:
            server.connect().close()
        except ConnectionRefusedError:
            return
    pytest.fail("a server that leaves still accepts connections")


def leave_by_reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def test_the_loop_that_was_asked_for_serves(server: Process, loop_name: str) -> None:
    assert ask(server, "/").decode() == LOOPS[loop_name]


def test_a_connection_is_kept(server: Process) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.sendall(request("/"))
            assert read_response(client)[0] == 200


def test_pipelined_requests_are_answered_in_order(server: Process) -> None:
    with server.connect() as client:
        client.sendall(request("/download?3/3") + request("/download?5/2") + request("/", "GET", "connection: close"))
        file = read_all(client).split(b"HTTP/1.1 200 OK")
        assert [part.partition(b"\r\n\r\n")[2] for part in file[1:3]] == [bytes(3), bytes(5)]
        assert len(file) == 4


def test_a_stream_comes_chunk_by_chunk(server: Process) -> None:
    with server.connect() as client, client.makefile("rb") as file:
        client.sendall(request("/stream?chunks"))
        for number in range(3):
            ask(server, "/next?chunks")
            while number == 0 and file.readline() != b"\r\n":
                pass
            assert [file.readline(), file.readline()] == [b"1\r\n", b"%d\r\n" % number]
        assert file.readline() == b"0\r\n"


def test_an_upload_waits_for_the_application_and_arrives_whole(server: Process) -> None:
    body = random.Random(1).randbytes(MIB) * 24
    with server.connect() as client:
        client.sendall(request("/upload?whole", "POST", f"content-length: {len(body)}"))
        client.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):  # the application does not read yet: there comes a moment when nothing moves
            while sent < len(body):
                sent += client.send(body[sent : sent + 65536])
        client.settimeout(10)
        ask(server, "/next?whole")
        client.sendall(body[sent:])
        assert read_response(client)[2].decode() == hashlib.sha256(body).hexdigest()


def test_a_download_waits_for_its_reader_and_arrives_whole(server: Process) -> None:
    size = 48 * MIB
    with server.connect() as client:
        before = int(ask(server, "/downloaded"))
        client.sendall(request(f"/download?{size}/65536", "GET", "connection: close"))
        client.recv(1)
        assert int(ask(server, "/downloaded")) - before < size
        assert len(read_all(client).partition(b"\r\n\r\n")[2]) == size


def test_a_slow_reader_that_goes_on_reading_is_served(server: Process) -> None:
    """One piece, which takes longer than a reader may do nothing."""
    size = 16 * MIB
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(request(f"/download?{size}/{size}", "GET", "connection: close"))
        received = 0
        ends = time.monotonic() + 3 * DEADLINE_SECONDS
        while piece := client.recv(MIB // 4):
            received += len(piece)
            time.sleep(max(0.0, min(0.05, ends - time.monotonic())))
        assert received > size


def test_a_reader_that_does_nothing_is_reset(server: Process) -> None:
    with server.connect() as client:
        client.sendall(request(f"/download?{48 * MIB}/65536"))
        client.recv(1)
        with pytest.raises(ConnectionResetError):
            client.settimeout(20)
            while True:
                # Sending is no reading: it only finds out when the server has had enough.
                client.send(b"x")
                time.sleep(0.05)


def test_a_slow_request_head_is_answered_408(server: Process) -> None:
    began = time.monotonic()
    assert server.exchange(b"GET / HTTP/1.1\r\nhost: x\r\n").startswith(b"HTTP/1.1 408 ")
    assert DEADLINE_SECONDS <= time.monotonic() - began < DEADLINE_SECONDS + 3


def test_a_file_is_sent_by_its_path(server: Process, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(3 * MIB + 1)
    file = tmp_path / "a file"
    file.write_bytes(content)
    with server.connect() as client:
        client.sendall(request(f"/file?{urllib.parse.quote(on_windows(file))}"))
        _, _, received = read_response(client)
        assert received == content
        client.sendall(request("/"))
        assert read_response(client)[0] == 200


def test_clients_that_reset_harm_nobody(server: Process) -> None:
    for data in (
        b"",
        b"GET / HT",
        request("/upload?lost", "POST", "content-length: 9"),
        request("/download?9999999/65536"),
    ):
        for _ in range(20):
            client = server.connect()
            client.sendall(data)
            leave_by_reset(client)
        began = time.monotonic()
        ask(server, "/")
        assert time.monotonic() - began < 1.0


def test_a_response_that_breaks_off_is_no_whole_response(serve_there: Serve, loop_name: str) -> None:
    """Where its end is the end of the connection, the client must see an error (RFC 9112 section 8)."""
    with serve_there(APP, loop=loop_name) as server, server.connect() as client:
        client.sendall(b"GET /cut?half HTTP/1.0\r\n\r\n")
        while b"half" not in client.recv(1000):
            pass
        ask(server, "/next?half")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_ctrl_c_lets_what_is_under_way_finish(serve_there: Serve, loop_name: str) -> None:
    with serve_there(APP, loop=loop_name) as server, server.connect() as client, server.connect() as idle:
        idle.sendall(request("/"))
        assert read_response(idle)[0] == 200
        client.sendall(request("/echo", "POST", "content-length: 4") + b"on")
        assert b"began" in client.recv(1000)
        server.signal(signal.SIGINT)
        assert idle.recv(1) == b""
        wait_until_refused(server)
        client.sendall(b"ly")
        assert read_all(client).endswith(b"ly\r\n0\r\n\r\n")
        assert server.wait() == 0
        assert not complaints(server), server.stderr


def test_a_second_ctrl_c_leaves_at_once(serve_there: Serve, loop_name: str) -> None:
    with serve_there(APP, loop=loop_name) as server, server.connect() as client:
        client.sendall(request("/echo", "POST", "content-length: 4") + b"on")
        assert b"began" in client.recv(1000)
        server.signal(signal.SIGINT)
        server.wait_for_line("draining")
        server.signal_again(signal.SIGINT)
        assert server.wait() == 0


@pytest.mark.parametrize("version", [version for version in PYTHONS if version != PYTHON])
def test_other_pythons_serve_and_leave(
    install: Callable[[str], Windows], serve_there: Serve, version: str, loop_name: str
) -> None:
    with serve_there(APP, python=install(version).command(), loop=loop_name) as server:
        assert ask(server, "/").decode() == LOOPS[loop_name]
        server.signal(signal.SIGINT)
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"uds": "/tmp/whorl.socket"}, "Unix sockets"),
        ({"fd": 3}, "Windows"),
        ({"loop": "uvloop"}, "loop uvloop does not run on Windows"),
    ],
)
def test_what_windows_lacks_is_refused_in_one_line(windows: Windows, options: dict[str, object], words: str) -> None:
    ended = windows.run(*command(APP, (), **options))
    assert ended.returncode == 3
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert words in line


def test_a_port_in_use_is_refused_in_one_line(windows: Windows, server: Process) -> None:
    ended = windows.run(*command(APP, (), port=server.port))
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert "is in use by another program" in line
