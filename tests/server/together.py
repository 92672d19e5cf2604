"""Many clients whose words are all there when the server looks: it serves them in one turn. No tests in this file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

from tests.server.client import Client, body, get, post, start

EACH = 3
"""So many of every kind, which makes more than one batch."""


class Kind:
    """What one client says and hears. The words of some come in two parts, the second one when the first is there."""

    first = b""
    second = b""

    def hear(self, client: Client) -> None:
        assert client.ask(get()).content == b"hello"


class Usual(Kind):
    first = get()

    def hear(self, client: Client) -> None:
        assert client.response().content == b"hello"
        super().hear(client)


class Upload(Kind):
    def __init__(self, size_bytes: int) -> None:
        self.content = os.urandom(size_bytes)
        self.first = post(self.content)

    def hear(self, client: Client) -> None:
        assert client.response("POST").content == self.content
        super().hear(client)


class Download(Kind):
    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.first = get(script=[start(), ("content", size_bytes)])

    def hear(self, client: Client) -> None:
        assert client.response().content == b"." * self.size_bytes
        super().hear(client)


class Pipelined(Kind):
    first = b"".join(get(script=[start(), body(b"%d" % number)]) for number in range(40))

    def hear(self, client: Client) -> None:
        assert [client.response().content for _ in range(40)] == [b"%d" % number for number in range(40)]
        super().hear(client)


class InTwoParts(Kind):
    first, second = get()[:20], get()[20:] + get()

    def hear(self, client: Client) -> None:
        assert [client.response().content for _ in range(2)] == [b"hello", b"hello"]
        super().hear(client)


class BodyLater(Kind):
    first, second = post(b"content")[:-7], b"content"

    def hear(self, client: Client) -> None:
        assert client.response("POST").content == b"content"
        super().hear(client)


class Waiting(Kind):
    first = get(script=[("sleep", 0.05), start(), body(b"at last")])

    def hear(self, client: Client) -> None:
        assert client.response().content == b"at last"
        super().hear(client)


class Stream(Kind):
    first = get(script=[start(), *(body(b"%d" % number * 50, more=True) for number in range(9)), body()])

    def hear(self, client: Client) -> None:
        assert client.response().content == b"".join(b"%d" % number * 50 for number in range(9))
        super().hear(client)


class Failing(Kind):
    first = get(script=[("fail",)])

    def hear(self, client: Client) -> None:
        assert client.response().status == 500


class Closing(Kind):
    first = get("/", "Connection: close")

    def hear(self, client: Client) -> None:
        assert client.response().content == b"hello"
        assert client.rest() == b""


class Old(Kind):
    first = b"GET / HTTP/1.0\r\n\r\n"

    def hear(self, client: Client) -> None:
        assert client.response().content == b"hello"
        assert client.rest() == b""


class MalformedReporter(Kind):
    first = b"GET / HTP/1.1\r\n\r\n"

    def hear(self, client: Client) -> None:
        assert client.response().status == 400
        assert client.rest() == b""


KINDS: tuple[Callable[[], Kind], ...] = (
    *(Usual, Pipelined, InTwoParts, BodyLater, Waiting, Stream, Failing, Closing, Old, MalformedReporter),
    *(lambda size=size: Upload(size) for size in (1, 1000, 40_000)),
    *(lambda size=size: Download(size) for size in (0, 10_000, 300_000)),
)


def serve_together(connect: Callable[[], Client]) -> None:
    """Have many clients speak while the server is held up, and look at what each of them hears."""
    with ExitStack() as stack:
        blocker = stack.enter_context(connect())
        clients = [(kind(), stack.enter_context(connect())) for kind in KINDS for _ in range(EACH)]
        for _, client in clients:
            assert client.ask(get()).content == b"hello"
        for part in ("first", "second"):
            blocker.send(get(script=[("block", 0.2), start(), body(b"done")]))
            for kind, client in clients:
                words = getattr(kind, part)
                if words:
                    client.send(words)
            assert blocker.response().content == b"done"
        for kind, client in clients:
            kind.hear(client)
