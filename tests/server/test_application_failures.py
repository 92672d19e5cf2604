"""What an application fails of, however odd: it is told as the application's failure, and the server goes on."""

from __future__ import annotations

import pytest

from tests.apps import SHAPES
from tests.harness import Process, serve
from tests.server.client import Client, ask, events, get, start
from tests.server.peer import BINARY, TEXT, Peer, frame
from tests.server.test_websocket import ACCEPTS


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape_after_the_client_has_left(server: Process, name: str, shape: str) -> None:
    """The server walks the causes and parts of an error to see whether it comes of the client's leaving."""
    with Client(server) as client:
        client.send(get(f"/{name}", script=[("note", "here"), ("until_gone",), ("fail_as", shape)], name=name))
        events(server, name, 1)
        client.reset()
    server.wait_for_line(f'the application failed on "GET /{name}"')
    assert ask(server, "/") == b"hello"


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("kind", ["GeneratorExit", "MemoryError", "Own"])
class TestUnusualErrors:
    """What passes by `except Exception` is a failure like any other, before the application has waited and after."""

    def test_of_a_request(self, server: Process, name: str, kind: str, waits: bool) -> None:
        steps = [("sleep", 0)] if waits else []
        with Client(server) as client:
            response = client.ask(get(f"/{name}", script=[*steps, start(), ("fail_with", kind)], name=name))
            assert (response.status, response.content) == (500, b"Internal Server Error")
        server.wait_for_line(f'the application failed on "GET /{name}"')
        server.wait_for_line("as the script says")

    def test_of_a_websocket(self, server: Process, name: str, kind: str, waits: bool) -> None:
        """Where it waited for a message, it runs inside the callback that read that."""
        steps = [("hear",)] if waits else []
        script = [ACCEPTS, ("hear",), *steps, ("fail_with", kind)]
        with Peer(server, f"/{name}", script=script, name=name) as peer:
            if waits:
                events(server, name, 1)
                peer.send(frame(TEXT, b"x"))
            assert peer.closing()[0] == 1011
        server.wait_for_line(f'the application failed on "GET /{name}"')
        assert ask(server, "/") == b"hello"


def test_a_message_for_which_there_is_no_memory(loop_name: str) -> None:
    """It is no bug of Whorl. The client is told, and others are served."""
    size = 15_000_000
    script = [ACCEPTS, ("hear",), ("limit_memory", size + 5_000_000), ("hear",), ("hear",), ("limit_memory", 0)]
    with serve("tests.apps:app", loop=loop_name) as server:
        with Peer(server, script=script, name="large") as peer:
            peer.send(frame(TEXT, b"small"))
            events(server, "large", 2)
            peer.send(frame(BINARY, b"x" * size))  # its parts, and all of it
            assert peer.closing() == (1011, "The server has no memory for the message.")
        said = {"type": "websocket.disconnect", "code": 1011, "reason": "The server has no memory for the message."}
        assert events(server, "large", 3)[2] == said
        assert "the process is out of memory" in server.wait_for_line(" ERROR ")
        assert ask(server, "/") == b"hello"
        assert server.stop() == 0
