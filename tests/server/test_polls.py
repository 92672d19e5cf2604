"""Applications that poll: they begin to wait, for whatever there is, and give up. A wait that was cancelled leaves
nothing behind, however often that happens."""

from __future__ import annotations

import pytest

from tests.harness import Process
from tests.server.client import Client, body, events, get, post, start
from tests.server.peer import Peer
from tests.server.test_websocket import ACCEPTS, says

POLLS = 1_000
MOST_OBJECTS = 100  # that the server and the script make meanwhile for themselves
BLOCKS = 4_000_000  # bytes that no socket buffers


@pytest.mark.parametrize("what", ["receive", "shutdown"])
def test_a_request(server: Process, name: str, what: str) -> None:
    with Client(server) as client:
        client.send(get(script=[("hear",), ("poll", what, POLLS), start(), body(b"done")], name=name))
        assert client.response().content == b"done"
    assert events(server, name)[1] < MOST_OBJECTS


def test_a_request_whose_body_does_not_come(server: Process, name: str) -> None:
    """What was waited for comes all the same in the end."""
    with Client(server) as client:
        steps = [("note", "here"), ("poll", "receive", POLLS), ("read",), start(), body(b"done")]
        client.send(post(None, "/", "Content-Length: 3", script=steps, name=name))
        assert events(server, name, 2)[1] < MOST_OBJECTS
        client.send(b"abc")
        assert client.response().content == b"done"
    assert events(server, name)[2] == 3


def test_a_response_that_is_not_read(server: Process, name: str) -> None:
    with Client(server, receive_bytes=4096) as client:
        steps = [start(), ("poll_send", body(b"x", True), "body", BLOCKS, POLLS), body()]
        client.send(get(script=steps, name=name))
        assert events(server, name, 1)[0] < MOST_OBJECTS
        assert len(client.response().content) == BLOCKS


@pytest.mark.parametrize("what", ["receive", "shutdown"])
def test_a_websocket(server: Process, name: str, what: str) -> None:
    with Peer(server, "/", script=[ACCEPTS, ("hear",), ("poll", what, POLLS)], name=name) as peer:
        assert peer.closing()[0] == 1000
    assert events(server, name)[1] < MOST_OBJECTS


def test_a_websocket_that_is_not_read(server: Process, name: str) -> None:
    with Peer(
        server,
        "/",
        receive_bytes=4096,
        script=[ACCEPTS, ("poll_send", says(text="x"), "text", BLOCKS, POLLS)],
        name=name,
    ) as peer:
        assert events(server, name, 1)[0] < MOST_OBJECTS
        assert len(peer.text()) == BLOCKS
        assert peer.closing()[0] == 1000
