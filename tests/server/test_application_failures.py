"""What an application fails of, however odd: it is told as the application's failure, and the server goes on."""

from __future__ import annotations

import pytest

from tests.apps import SHAPES
from tests.harness import Process
from tests.server.client import Client, ask, events, get


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape_after_the_client_has_left(server: Process, name: str, shape: str) -> None:
    """The server walks the causes and parts of an error to see whether it comes of the client's leaving."""
    with Client(server) as client:
        client.send(get(f"/{name}", script=[("note", "here"), ("until_gone",), ("fail_as", shape)], name=name))
        events(server, name, 1)
        client.reset()
    server.wait_for_line(f'the application failed on "GET /{name}"')
    assert ask(server, "/") == b"hello"
