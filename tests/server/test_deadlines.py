"""Nobody is waited for without end: each wait of a connection has a deadline, and the one sweep enforces it.

The servers here wait 0.4 s at most for anything. A deadline is never early, and late by no more than the sweep's
period; machines are busy, so only "never early" is measured closely. A busy machine may also keep a client of ours from
being in time: `punctual` measures that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from tests.harness import Process
from tests.server.client import Client, Cut, ask, body, events, get, open_gate, post, start, until
from tests.server.conftest import HASTY_SECONDS, Pool, hasty_options

CROWD = 200
DEADLINES_SECONDS = (HASTY_SECONDS, 4 * HASTY_SECONDS, 16 * HASTY_SECONDS)
"""Those of a client that keeps them, on a machine that is ever busier."""


def slow_clients(path: Path) -> dict[str, tuple[bytes, bytes, int | None]]:
    """What each kind sends at first, what it goes on sending, and how large its receive buffer is."""
    pathsend = {"type": "http.response.pathsend", "path": str(path)}
    return {
        "silent": (b"", b"", None),
        "headers": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n", None),
        "body": (post(None, "/echo", "Content-Length: 8192") + b"x" * 4096, b"", None),
        "endless body": (post(None, "/", "Transfer-Encoding: chunked"), b"1\r\nx\r\n", None),
        "reader of a stream": (get(script=[start(), ("stream", 1000, 10_000), body()]), b"", 4096),
        "reader of a file": (get(script=[start(), pathsend]), b"", 4096),
        "reader of it all": (get(script=[start(), ("content", 8_000_000)]), b"", 4096),
        "idle": (get(), b"", None),
    }


def test_of_a_crowd_of_slow_clients_none_is_left(hasty: Process, tmp_path: Path) -> None:
    """200 clients that do as little as they can. Everybody else is served meanwhile."""
    file = tmp_path / "file"
    file.write_bytes(b"." * 8_000_000)
    clients: list[Client] = []
    left: dict[Client, tuple[str, bytes]] = {}
    try:
        for _, (kind, (opening, more, receive_bytes)) in zip(
            range(CROWD), cycle(slow_clients(file).items()), strict=False
        ):
            clients.append(Client(hasty, receive_bytes).send(opening))
            left[clients[-1]] = kind, more
        assert ask(hasty, "/") == b"hello"

        def all_gone() -> bool:
            for client in [client for client in left if client.was_left()]:
                del left[client]
            for client, (_, more) in left.items():
                client.drip(more)
            return not left

        until(all_gone, otherwise=lambda: {kind for kind, _ in left.values()})
    finally:
        for client in clients:
            client.socket.close()


class TestTooLong:
    """What the client is told, and that no deadline is early."""

    def test_a_first_byte(self, hasty: Process) -> None:
        """Nothing was asked, so nothing is said. Empty lines are no request (RFC 9112 section 2.2)."""
        since = time.monotonic()
        with Client(hasty) as silent, Client(hasty) as empty:
            empty.send(b"\r\n")
            assert silent.rest() == b""
            assert time.monotonic() - since > HASTY_SECONDS * 0.9
            assert empty.rest() == b""

    def test_a_head_and_a_body(self, hasty: Process) -> None:
        with Client(hasty) as first, Client(hasty) as second, Client(hasty) as upload:
            second.ask(get())
            since = time.monotonic()
            upload.send(post(None, "/echo", "Content-Length: 9"), b"abc")
            for client in (first, second):
                client.send(b"GET / HTTP/1.1\r\nHost:")
            for client in (first, second, upload):
                response = client.response()
                assert time.monotonic() - since > HASTY_SECONDS * 0.9
                assert (response.status, response.closes) == (408, True)
                assert client.rest() == b""

    def test_a_body_inside_a_response(self, hasty: Process, name: str) -> None:
        """The response is cut; and the application of another is told."""
        with Client(hasty) as cut, Client(hasty) as told:
            cut.send(post(None, "/echo-stream", "Content-Length: 9"), b"abc")
            told.send(post(None, "/", "Content-Length: 9", script=[("until_gone",)], name=name), b"abc")
            with pytest.raises(Cut):
                cut.response()
            assert b"408" not in cut.buffer
            assert told.response().status == 408
        assert events(hasty, name, 1) == ["http.disconnect after 3"]

    def test_a_reader_that_stops(self, hasty: Process, name: str) -> None:
        with Client(hasty, receive_bytes=4096) as client:
            steps = [start(), ("stream", 5000, 10_000), ("note", "not reached")]
            client.send(get(script=steps, name=name))
            until(client.was_left)
            with pytest.raises(ConnectionResetError):
                client.rest()
        assert "not reached" not in events(hasty, name)

    def test_an_idle_connection(self, hasty: Process) -> None:
        with Client(hasty) as client:
            client.ask(get())
            since = time.monotonic()
            assert client.rest() == b""
            assert time.monotonic() - since > HASTY_SECONDS * 0.9


class Pace:
    """How long a client let its server wait, by the client's own clock.

    Attributes:
        deadline_seconds: how long its server waits.
    """

    def __init__(self, deadline_seconds: float) -> None:
        self.deadline_seconds = deadline_seconds
        self.longest_seconds = 0.0
        self.since = time.monotonic()

    def moved(self) -> None:
        """It has just done what it has a deadline for."""
        now = time.monotonic()
        self.longest_seconds = max(self.longest_seconds, now - self.since)
        self.since = now


Punctual = Callable[[Callable[[Process, Pace], None]], None]


@pytest.fixture
def punctual(pool: Pool, hasty: Process, loop_name: str) -> Punctual:
    """Have a client keep its deadlines. Where it failed, and this machine made it miss one: again, with a server that
    waits longer."""

    def run(client: Callable[[Process, Pace], None]) -> None:
        for deadline_seconds in DEADLINES_SECONDS:
            pace = Pace(deadline_seconds)
            try:
                return client(pool.server(loop=loop_name, **hasty_options(deadline_seconds)), pace)
            except (AssertionError, OSError, Cut):
                is_last = deadline_seconds == DEADLINES_SECONDS[-1]
                if is_last or pace.longest_seconds < deadline_seconds * 0.9:
                    raise
        return None

    return run


class TestInTime:
    """Whoever goes on, goes on."""

    def test_a_head_octet_by_octet(self, punctual: Punctual) -> None:
        def client(server: Process, pace: Pace) -> None:
            with Client(server) as client:
                for octet in get():
                    client.send(bytes([octet]))
                pace.moved()
                assert client.response().content == b"hello"

        punctual(client)

    def test_a_body_in_many_pieces(self, punctual: Punctual) -> None:
        def client(server: Process, pace: Pace) -> None:
            with Client(server) as client:
                client.send(post(None, "/echo", "Content-Length: 6"))
                for _ in range(6):
                    time.sleep(pace.deadline_seconds / 4)
                    client.send(b"x")
                    pace.moved()
                assert client.response().content == b"xxxxxx"

        punctual(client)

    def test_while_the_application_holds_up_the_loop(self, punctual: Punctual, name: str) -> None:
        """What came meanwhile is read before anybody is judged."""

        def clients(server: Process, pace: Pace) -> None:
            with Client(server) as silent, Client(server) as upload, Client(server) as idle, Client(server) as blocks:
                upload.send(post(None, "/echo", "Content-Length: 6"), b"abc")
                idle.ask(get())
                time.sleep(pace.deadline_seconds / 2)  # a sweep has seen them wait
                script = [("print", name), ("block", pace.deadline_seconds * 2), start(), body(b"done")]
                blocks.send(get(script=script))
                server.wait_for_line(name, "stdout")
                for client, octets in ((silent, get()), (upload, b"def"), (idle, get())):
                    client.send(octets)
                pace.moved()
                answers = [client.response().content for client in (silent, upload, idle, blocks)]
                assert answers == [b"hello", b"abcdef", b"hello", b"done"]

        punctual(clients)

    def test_an_application_that_takes_its_time(self, hasty: Process, name: str) -> None:
        """Where the client waits for us there is no deadline: for a response, for 100 Continue, for room for its
        body."""
        steps = [
            ("sleep", HASTY_SECONDS * 1.5),
            start(),
            body(b"one", True),
            ("sleep", HASTY_SECONDS * 1.5),
            body(b"two"),
        ]
        with Client(hasty) as client, Client(hasty) as full, Client(hasty) as asked:
            asked.send(post(None, "/", "Content-Length: 3", "Expect: 100-continue", script=steps))
            full.send(post(b"x" * 500_000, "/", script=[("wait", name), ("read",)], name=name))
            assert client.ask(get(script=steps)).content == b"onetwo"
            assert asked.response().content == b"onetwo"
            assert full.is_open()
            open_gate(hasty, name)
            assert events(hasty, name, 1) == [500_000]

    def test_a_reader_that_takes_its_time(self, punctual: Punctual) -> None:
        """It reads a piece within each deadline, and gets everything in the end."""

        def client(server: Process, pace: Pace) -> None:
            with Client(server) as client:
                client.send(get(script=[start(), ("content", 20_000_000)]))
                left = int(client.head()["content-length"] or 0)
                while left:
                    left -= len(client.exactly(min(left, 5_000_000)))
                    pace.moved()
                    time.sleep(pace.deadline_seconds / 2)

        punctual(client)

    def test_an_idle_time_that_begins_with_each_response(self, punctual: Punctual) -> None:
        def client(server: Process, pace: Pace) -> None:
            with Client(server) as client:
                for _ in range(3):
                    client.ask(get())
                    time.sleep(pace.deadline_seconds / 2)
                    pace.moved()
                assert client.ask(get()).content == b"hello"

        punctual(client)

    def test_an_idle_time_that_begins_when_the_client_has_the_response(self, pool: Pool, loop_name: str) -> None:
        """Not when the application has said it all."""
        server = pool.server(loop=loop_name, timeout_keep_alive=0.1, timeout_response=10)
        with Client(server, receive_bytes=65536) as client:
            client.send(get(script=[start(), ("content", 8_000_000)]))
            time.sleep(0.5)  # five times the idle time
            assert len(client.response().content) == 8_000_000
            assert client.rest() == b""


def test_keep_alive_0_keeps_nothing(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, timeout_keep_alive=0)
    with Client(server) as client:
        response = client.ask(get())
        assert (response.content, response.closes) == (b"hello", True)
        assert client.rest() == b""


def test_none_turns_a_deadline_off(pool: Pool, loop_name: str) -> None:
    options = {f"timeout_{name}": "none" for name in ("first_byte", "request_head", "request_body", "response")}
    server = pool.server(loop=loop_name, **options, timeout_keep_alive=0.1)
    with Client(server) as silent, Client(server) as head, Client(server) as upload, Client(server) as idle:
        head.send(b"GET / HTTP/1.1\r\n")
        upload.send(post(None, "/echo", "Content-Length: 3"))
        idle.ask(get())
        assert idle.rest() == b""  # so the sweep has come by
        assert all(client.is_open() for client in (silent, head, upload))
        assert upload.send(b"abc").response().content == b"abc"
        assert head.send(b"Host: a\r\n\r\n").response().content == b"hello"
        assert silent.ask(get()).content == b"hello"
