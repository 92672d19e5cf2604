"""Clients that leave: what the application is told, and that nothing of them is left (ASGI HTTP 2.5 "Disconnect", and
send() raising OSError since 2.4)."""

from __future__ import annotations

import json
import os
import random

import pytest

from tests.harness import Process
from tests.server.client import (
    PATIENCE_SECONDS,
    Client,
    ask,
    body,
    descriptors,
    events,
    get,
    open_gate,
    post,
    resident_bytes,
    start,
    until,
)
from tests.server.conftest import Pool

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
CONNECTIONS = 100_000 if SOAK else 3_000
MIB = 1024 * 1024


def leave(client: Client, way: str) -> None:
    if way == "reset":
        client.reset()
    else:
        client.socket.close()


@pytest.mark.parametrize("way", ["reset", "close"])
class TestTold:
    """A client that closes and one that resets look different on the wire; in the end the application knows of both."""

    def test_who_waits_for_it(self, server: Process, name: str, way: str) -> None:
        with Client(server) as client:
            client.send(get(script=[("note", "here"), ("until_gone",)], name=name))
            events(server, name, 1)
            leave(client, way)
        assert events(server, name, 2) == ["here", "http.disconnect after 0"]

    def test_who_waits_for_a_body(self, server: Process, name: str, way: str) -> None:
        with Client(server) as client:
            client.send(post(None, "/", "Content-Length: 9", script=[("note", "here"), ("until_gone",)], name=name))
            events(server, name, 1)
            leave(client.send(b"abc"), way)
        assert events(server, name, 2)[1].startswith("http.disconnect")

    def test_who_has_read_a_large_body(self, server: Process, name: str, way: str) -> None:
        """However much of it was waiting: when it is all here, the server goes on listening."""
        with Client(server) as client:
            steps = [("wait", name), ("read",), ("until_gone",)]
            client.send(post(b"x" * 300_000, "/", script=steps, name=name))
            open_gate(server, name)
            events(server, name, 1)
            leave(client, way)
        assert events(server, name, 2) == [300_000, "http.disconnect after 0"]

    def test_who_streams(self, server: Process, name: str, way: str) -> None:
        """The first send() after it was noticed raises, and every later one."""
        again = [("attempt", body(b"x", True)), ("attempt", body(b"x"))]
        steps = [start(), body(b"x", True), ("note", "here"), ("send_until_it_raises",), *again]
        with Client(server) as client:
            client.send(get(script=steps, name=name))
            events(server, name, 1)
            leave(client, way)
        noted = events(server, name, 4)
        assert noted[0] == "here"
        assert [event.split(":")[0] for event in noted[1:]] == ["OSError"] * 3

    @pytest.mark.parametrize("size", [1_000, 20_000, 100_000])
    @pytest.mark.parametrize("fields", [(), ((b"content-length", b"1000000000000"),)], ids=["chunks", "length"])
    def test_who_streams_and_never_waits(
        self, server: Process, name: str, way: str, size: int, fields: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        """Where send() is all that it awaits, send() is what stops it: nobody else is served before."""
        steps = [start(200, *fields), ("stream_without_waiting", size, 400_000_000 // size)]
        with Client(server) as client:
            client.send(get(script=steps, name=name))
            client.head()
            received = 0
            while received < 3_000_000:
                received += len(client.socket.recv(1024 * 1024))
            leave(client, way)
        assert events(server, name, 1)[0].startswith("OSError")

    def test_who_waits_for_a_slow_reader(self, server: Process, name: str, way: str) -> None:
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[start(), ("send_until_it_raises",), ("hear",), ("hear",)], name=name))
            client.exactly(100_000)
            leave(client, way)
        assert events(server, name, 3)[0].startswith("OSError")
        assert events(server, name, 3)[2] == {"type": "http.disconnect"}

    def test_who_answers_after_a_while(self, server: Process, name: str, way: str) -> None:
        """What it sends to nobody is its own affair; if it asks, it hears."""
        steps = [
            ("note", "here"),
            ("wait", name),
            ("attempt", start()),
            ("send_until_it_raises",),
            ("hear",),
            ("hear",),
        ]
        with Client(server) as client:
            client.send(get(script=steps, name=name))
            events(server, name, 1)
            leave(client, way)
        open_gate(server, name)
        assert events(server, name, 5)[4] == {"type": "http.disconnect"}

    def test_nobody_logs_a_failure(self, server: Process, name: str, way: str) -> None:
        """The client is at fault, if anybody is: no traceback for an OSError that the application did not catch."""
        before = len(server.stderr)
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[("note", "here"), start(), ("stream", 10_000, 10_000), body()], name=name))
            client.exactly(10_000)
            leave(client, way)
        count = -1
        while count != (count := len(events(server, name))):
            pass
        until(lambda: all(f"499 {name}" not in line for line in server.stdout))
        assert server.stderr[before:] == []


def test_a_disconnect_ends_no_task(server: Process, name: str) -> None:
    """Nothing is cancelled: what the application does with the news is its own decision."""
    with Client(server) as client:
        client.send(get(script=[("note", "here"), ("until_gone",), ("sleep", 0.01), ("note", "done")], name=name))
        events(server, name, 1)
        client.reset()
    assert events(server, name, 3) == ["here", "http.disconnect after 0", "done"]


# What a client has sent, and read, when it leaves.
STAGES = {
    "nothing": b"",
    "part of a head": b"GET / HTTP/1.1\r\nHo",
    "part of a body": post(None, "/echo", "Content-Length: 1000") + b"x" * 500,
    "part of a chunk": post(None, "/echo-stream", "Transfer-Encoding: chunked") + b"100\r\nxyz",
    "a body that nobody reads": post(b"x" * 300_000, "/", script=[("until_gone",)]),
    "a request": get(),
    "several requests": get() * 20,
    "a request that waits": get(script=[("until_gone",)]),
    "a request that sleeps": get(script=[("sleep", 0.01), start(), body(b"x")]),
    "a stream": get(script=[start(), ("stream", 100, 20_000), body()]),
    "a large piece": get(script=[start(), ("content", 3_000_000)]),
    "a file": get(script=[start(), {"type": "http.response.pathsend", "path": __file__}]),
    "a mistake": get(script=[start(), body(b"x", True), ("fail",)]),
    "a refusal": b"nonsense\r\n\r\n",
    "100-continue": post(None, "/echo", "Content-Length: 9", "Expect: 100-continue"),
}


def held(server: Process) -> dict[str, int]:
    """What the process holds of its clients; the asking request is among it."""
    found = json.loads(ask(server, "/inspect"))
    assert isinstance(found, dict)
    return found


class TestNothingIsLeft:
    """Neither connections nor tasks, timers, descriptors, or memory."""

    @pytest.fixture
    def quiet(self, pool: Pool, loop_name: str) -> Process:
        """Without an access log, and with a response deadline that ends what the kernel could not."""
        return pool.server(loop=loop_name, access_log=False, timeout_response=2, timeout_request_body=2)

    def test_of_clients_that_left_in_the_middle(self, quiet: Process, loop_name: str) -> None:
        dice = random.Random(9112)
        self.leave_in_the_middle(quiet, dice, 1_500)  # whatever grows once has grown
        before, memory = held(quiet), resident_bytes(quiet)
        ours = descriptors(quiet)
        self.leave_in_the_middle(quiet, dice, CONNECTIONS)
        # One loop lets go of what was closed in batches, whenever more is closed.
        slack = 400 if loop_name.startswith("rloop") else 0

        def nothing_left() -> bool:
            now = held(quiet)
            return all(now[kind] <= before[kind] + slack for kind in now) and descriptors(quiet) <= ours + slack

        until(nothing_left, PATIENCE_SECONDS, lambda: (before, held(quiet), ours, descriptors(quiet)))
        assert resident_bytes(quiet) < memory + 16 * MIB

    def leave_in_the_middle(self, server: Process, dice: random.Random, count: int) -> None:
        for number in range(count):
            client = Client(server)
            octets = dice.choice(list(STAGES.values()))
            client.drip(octets[: dice.randrange(len(octets) + 1)] if number % 3 == 0 else octets)
            if number % 5 == 0:
                client.socket.settimeout(0.002)
                try:
                    client.socket.recv(100)
                except OSError:
                    pass
            leave(client, dice.choice(["reset", "reset", "close"]))
            if number % 500 == 0:
                assert ask(server, "/") == b"hello"

    def test_of_clients_that_were_served(self, quiet: Process, loop_name: str) -> None:
        for _ in range(100):
            ask(quiet, "/")
        before, memory = held(quiet), resident_bytes(quiet)
        for _ in range(CONNECTIONS // 10):
            with Client(quiet) as client:
                client.ask(get())
                client.ask(post(b"abc"))
        slack = 400 if loop_name.startswith("rloop") else 0
        until(lambda: all(held(quiet)[kind] <= before[kind] + slack for kind in before))
        assert resident_bytes(quiet) < memory + 8 * MIB
