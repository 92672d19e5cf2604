"""Clients that leave over TLS while they are not read, or while nothing is said: as without it (`tests.server`)."""

from __future__ import annotations

import ssl

import pytest

from tests.harness import Process
from tests.server.client import body, get, post, start, until
from tests.server.peer import TEXT, frame, upgrade
from tests.server.test_departures import GONE, MANY, SOON_SECONDS, leave, sockets
from tests.tls.client import TlsClient
from tests.tls.test_traffic import events

ACCEPTS = {"type": "websocket.accept"}


@pytest.mark.parametrize("way", ["close", "half_close", "reset"])
class TestWhoWaitsInReceive:
    @pytest.mark.parametrize("begun", [[], [start(), body(b"event", True)]], ids=["before", "within"])
    def test_the_response(
        self, server: Process, trusting: ssl.SSLContext, name: str, way: str, begun: list[object]
    ) -> None:
        client = TlsClient(server, trusting)
        client.send(get(script=[*begun, ("note", "here"), ("until_gone",)], name=name))
        events(server, trusting, name, 1)
        leave(client, way)
        assert events(server, trusting, name, 2)[1] == "http.disconnect after 0"
        client.socket.close()

    def test_a_websocket_that_is_not_accepted_yet(
        self, server: Process, trusting: ssl.SSLContext, name: str, way: str
    ) -> None:
        client = TlsClient(server, trusting)
        client.send(upgrade("/", script=[("note", 0), ("hear",), ("hear",)], name=name), frame(TEXT))
        events(server, trusting, name, 2)
        leave(client, way)
        assert events(server, trusting, name, 3)[2] == GONE
        client.socket.close()


@pytest.mark.parametrize("kind", ["body", "websocket"])
def test_who_is_not_read(server: Process, trusting: ssl.SSLContext, name: str, kind: str) -> None:
    before = sockets(server)
    client = TlsClient(server, trusting)
    if kind == "body":
        script = [("note", 0), ("wait", name)]
        client.send(post(None, "/", "Content-Length: 10000000", script=script, name=name), bytes(200_000))
    else:
        client.send(upgrade("/", script=[ACCEPTS, ("note", 0), ("wait", name)], name=name))
        assert client.head().status == 101
        client.send(MANY)
    events(server, trusting, name, 1)
    client.reset()
    until(lambda: sockets(server) <= before, SOON_SECONDS)
    with TlsClient(server, trusting) as other:
        other.ask(get(f"/open?name={name}"))
