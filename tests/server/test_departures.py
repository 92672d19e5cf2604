"""When the application is told that its client has left: at once, whatever the server was doing with that client.

A client that ends its side has left (nginx, Go and browsers mean it so), and what is still sent is written for one that
only half-closed. A client that is not read at present is watched for its end all the same.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

import pytest

from tests.harness import Process
from tests.server.client import Client, body, events, get, open_gate, post, start, until
from tests.server.conftest import Pool
from tests.server.peer import PING, TEXT, Peer, frame, upgrade

ACCEPTS = {"type": "websocket.accept"}
SOON_SECONDS = 2.0
PEERS = 900 if os.environ.get("WHORL_TEST_SOAK") == "1" else 20
"""The sweep comes by every half second; and this machine may be busy."""
WAYS = pytest.mark.parametrize("way", ["close", "half_close", "reset"])

GONE = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
MANY = frame(TEXT) * 40
"""More messages than `ws_max_queue`, in 240 bytes."""


def sockets(server: Process) -> int:
    """How many sockets the process has open. One loop keeps the numbers of those that were closed for a while."""
    folder = f"/proc/{server.popen.pid}/fd"
    count = 0
    for number in os.listdir(folder):
        with suppress(OSError):
            count += os.readlink(f"{folder}/{number}").startswith("socket:")
    return count


def leave(client: Client, way: str) -> None:
    if way == "close":
        client.socket.close()
    else:
        getattr(client, way)()


def told_soon(server: Process, name: str, count: int) -> list[object]:
    """What was noted, once so much was; and that this took no longer than the sweep does."""
    began = time.monotonic()
    noted = events(server, name, count)
    assert time.monotonic() - began < SOON_SECONDS
    return noted


@WAYS
class TestWhoWaitsInReceive:
    @pytest.mark.parametrize("begun", [[], [start(), body(b"event", True)]], ids=["before", "within"])
    def test_the_response(self, server: Process, name: str, way: str, begun: list[object]) -> None:
        with Client(server) as client:
            client.send(get(script=[*begun, ("note", "here"), ("until_gone",)], name=name))
            events(server, name, 1)
            if begun:
                until(lambda: client.more() and b"event" in client.buffer)
            leave(client, way)
            assert told_soon(server, name, 2) == ["here", "http.disconnect after 0"]

    def test_behind_requests_that_are_not_read(self, server: Process, name: str, way: str) -> None:
        """So many were pipelined that reading is paused, and the end waits in the kernel."""
        with Client(server) as client:
            client.send(get(script=[("note", "here"), ("until_gone",)], name=name), get() * 4_000)
            events(server, name, 1)
            leave(client, way)
            assert told_soon(server, name, 2) == ["here", "http.disconnect after 0"]

    @pytest.mark.parametrize("more", [b"", MANY, frame(TEXT, bytes(60_000)) * 2], ids=["nothing", "frames", "much"])
    def test_a_websocket_that_is_not_accepted_yet(self, server: Process, name: str, way: str, more: bytes) -> None:
        with Client(server) as client:
            client.send(upgrade("/", script=[("note", 0), ("hear",), ("hear",)], name=name), more)
            events(server, name, 2)
            leave(client, way)
            assert told_soon(server, name, 3)[2] == GONE


class TestWhoOnlyHalfClosed:
    def test_reads_what_is_still_sent(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(get(script=[("until_gone",), start(), ("stream", 5, 50_000), body(b"end")], name=name))
            response = client.half_close().response()
            assert (len(response.content), response.interim) == (250_003, [])
            assert client.rest() == b""
        assert events(server, name, 1)[0] == "http.disconnect after 0"

    def test_has_sent_a_body(self, server: Process, name: str) -> None:
        """What it sent comes first, however slowly it is taken."""
        with Client(server) as client:
            script = [("wait", name), ("until_gone",), start(), body(b"late")]
            client.send(post(b"x" * 300_000, "/", script=script, name=name)).half_close()
            open_gate(server, name)
            assert client.response().content == b"late"
        assert events(server, name, 1)[0] == "http.disconnect after 300000"

    def test_may_be_refused_as_a_websocket(self, server: Process, name: str) -> None:
        script = [("hear",), ("hear",), {"type": "websocket.close"}]
        with Client(server) as client:
            assert client.send(upgrade("/", script=script, name=name)).half_close().response().status == 403
            assert client.rest() == b""

    def test_may_be_accepted_as_one_and_has_left(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(upgrade("/", script=[("hear",), ("hear",), ACCEPTS, ("hear",)], name=name)).half_close()
            assert client.head().status == 101
            assert client.rest() == b""
        assert events(server, name, 3)[2] == GONE

    @pytest.mark.parametrize("kind", ["http", "websocket"])
    def test_gets_nothing_of_an_application_that_gave_up(self, server: Process, name: str, kind: str) -> None:
        """To return when the client has left is no fault of the application's."""
        before = len(server.stderr)
        script = [("until_gone",)] if kind == "http" else [("hear",), ("hear",)]
        octets = get(script=script, name=name) if kind == "http" else upgrade("/", script=script, name=name)
        with Client(server) as client:
            assert client.send(octets).half_close().rest() == b""
        assert server.stderr[before:] == []


class TestWhoIsNotRead:
    def test_a_body_that_nobody_takes(self, server: Process, name: str) -> None:
        before = sockets(server)
        client = Client(server)
        script = [("note", 0), ("wait", name), ("until_gone",)]
        client.send(post(None, "/", "Content-Length: 10000000", script=script, name=name), bytes(200_000))
        events(server, name, 1)
        client.reset()
        until(lambda: sockets(server) <= before, SOON_SECONDS)
        open_gate(server, name)
        assert events(server, name, 2)[1].startswith("http.disconnect after ")

    def test_websockets_that_filled_their_queues(self, server: Process, name: str) -> None:
        """Of an application that only sends, and not now."""
        before = sockets(server)
        script = [ACCEPTS, ("hear",), ("wait", name), ("echo_all",)]
        peers = [Peer(server, "/", script=script, name=name) for _ in range(PEERS)]
        for peer in peers:
            peer.send(MANY)
        for peer in peers:
            peer.reset()
        until(lambda: sockets(server) <= before, SOON_SECONDS)
        open_gate(server, name)

    @pytest.fixture
    def pinging(self, pool: Pool, loop_name: str) -> Process:
        return pool.server(loop=loop_name, ws_ping_interval=0.2, ws_ping_timeout=0.2)

    def test_one_that_closed_in_order(self, pinging: Process, name: str) -> None:
        """Its end waits in the kernel behind what it sent; a ping finds out that nobody is there to read."""
        before = sockets(pinging)
        with Peer(pinging, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("hear",)], name=name) as peer:
            peer.send(MANY)
            events(pinging, name, 1)
        until(lambda: sockets(pinging) <= before, 2 * SOON_SECONDS)
        open_gate(pinging, name)
        assert events(pinging, name, 2)[1]["text"] == "", "what had come before is there"

    @pytest.mark.parametrize("half_closes", [False, True])
    def test_one_that_is_there_may_wait(self, pinging: Process, name: str, half_closes: bool) -> None:
        """Its system acknowledges each ping; all that it sent comes in the end."""
        script = [ACCEPTS, ("hear",), ("wait", name), *[("hear",)] * 200]
        with Peer(pinging, "/", script=script, name=name) as peer:
            peer.send(*(frame(TEXT, b"%d" % number) for number in range(199)))
            events(pinging, name, 1)
            if half_closes:
                peer.half_close()
            else:
                peer.send(frame(TEXT, b"199"))
            for _ in range(3):
                assert peer.frame()[0] & 0x0F == PING
            open_gate(pinging, name)
            heard = events(pinging, name, 201)[1:]
        assert [message.get("text") for message in heard[:199]] == [str(number) for number in range(199)]
        assert heard[199]["type"] == ("websocket.disconnect" if half_closes else "websocket.receive")
