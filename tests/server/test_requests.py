"""What an application receives: bodies, 100 Continue, trailers (ASGI HTTP 2.5 "Request", RFC 9110 section 10.1.1, RFC
9112 sections 6 and 7.1)."""

from __future__ import annotations

import pytest

from tests.harness import Process
from tests.server.client import (
    Client,
    ask,
    body,
    events,
    get,
    open_gate,
    post,
    request,
    resident_bytes,
    start,
    until,
)

MIB = 1024 * 1024


class TestBodies:
    @pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
    def test_with_a_length(self, server: Process, size: int) -> None:
        content = bytes(range(256)) * (size // 256 + 1)
        with Client(server) as client:
            assert client.ask(post(content[:size])).content == content[:size]
            assert client.ask(get()).content == b"hello"

    @pytest.mark.parametrize("size", [1, 10, 65_536, 1_000_000])
    def test_in_chunks(self, server: Process, size: int) -> None:
        content = b"0123456789" * 100_000
        pieces = [content[at : at + size] for at in range(0, min(len(content), size * 1000), size)]
        chunks = b"".join(b"%x;name=value\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        with Client(server) as client:
            client.send(post(None, "/echo", "Transfer-Encoding: chunked"), chunks, b"0\r\n\r\n")
            assert client.response().content == b"".join(pieces)
            assert client.ask(get()).content == b"hello"

    def test_octet_by_octet(self, server: Process) -> None:
        octets = post(None, "/echo", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n" + get()
        with Client(server) as client:
            for octet in octets:
                client.send(bytes([octet]))
            assert client.response().content == b"abc"
            assert client.response().content == b"hello"

    def test_that_flow_both_ways_at_once(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/echo-stream", "Transfer-Encoding: chunked"), b"1\r\n0\r\n")
            assert client.head()["transfer-encoding"] == "chunked"
            chunks = client.chunks()
            for number in range(1, 5):
                assert next(chunks) == b"%d" % (number - 1)
                client.send(b"1\r\n%d\r\n" % number)
            client.send(b"0\r\n\r\n")
            assert list(chunks) == [b"4"]

    def test_of_a_GET(self, server: Process) -> None:
        """It has no meaning, and it has a length (RFC 9110 section 9.3.1)."""
        with Client(server) as client:
            assert client.ask(request("GET", "/echo", content=b"abc")).content == b"abc"
            assert client.ask(get()).content == b"hello"

    def test_end_with_more_body_false_and_then_comes_the_disconnect(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(post(b"abc", "/", script=[("hear",), ("hear",)], name=name))
            until(lambda: events(server, name, 1))
            client.reset()
        request_message = {"type": "http.request", "body": b"abc", "more_body": False}
        assert events(server, name, 2) == [request_message, {"type": "http.disconnect"}]

    def test_of_nothing_is_one_message(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.ask(get(script=[("hear",), start(), body(), ("hear",), ("hear",)], name=name))
        nothing = {"type": "http.request", "body": b"", "more_body": False}
        assert events(server, name, 3) == [nothing, {"type": "http.disconnect"}, {"type": "http.disconnect"}]

    def test_trailers_never_become_headers(self, server: Process) -> None:
        """Nor may they come as fields of the next request (RFC 9110 section 6.5.1)."""
        with Client(server) as client:
            client.send(post(None, "/scope", "Transfer-Encoding: chunked"), b"0\r\nX-Trailer: smuggled\r\n\r\n")
            client.send(get("/scope"))
            for _ in range(2):
                assert b"smuggled" not in client.response().content


class TestContinue:
    """100 (Continue) is sent when the application wants the body, and not before (RFC 9110 section 10.1.1)."""

    EXPECT = ("Content-Length: 3", "Expect: 100-continue")

    def test_when_the_application_reads(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/echo", *self.EXPECT))
            assert client.head().status == 100
            response = client.send(b"abc").response()
            assert (response.content, response.interim, response.closes) == (b"abc", [], False)
            assert client.ask(get()).content == b"hello"

    def test_only_then(self, server: Process, name: str) -> None:
        steps = [("note", "here"), ("wait", name), ("read",), start(), body(b"read")]
        with Client(server) as client:
            client.send(post(None, "/", *self.EXPECT, script=steps, name=name))
            events(server, name, 1)
            assert client.is_open()
            assert client.buffer == b""
            open_gate(server, name)
            assert client.head().status == 100
            assert client.send(b"abc").response().content == b"read"
        assert events(server, name, 2) == ["here", 3]

    def test_not_when_it_answers_without_reading(self, server: Process) -> None:
        """Nobody knows whether the client will send the body now, so the connection ends."""
        with Client(server) as client:
            response = client.ask(post(None, "/", *self.EXPECT))
            assert (response.content, response.interim, response.closes) == (b"hello", [], True)
            assert client.rest() == b""

    def test_not_when_the_body_has_come_unasked(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(post(None, "/echo", *self.EXPECT) + b"abc")
            assert (response.content, response.interim, response.closes) == (b"abc", [], False)

    def test_not_without_a_body(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(post(None, "/echo", "Content-Length: 0", "Expect: 100-continue"))
            assert (response.content, response.interim) == (b"", [])

    def test_not_to_HTTP_1_0(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/echo", *self.EXPECT, version="1.0"), b"abc")
            response = client.response()
            assert (response.content, response.interim) == (b"abc", [])

    def test_not_inside_a_response(self, server: Process) -> None:
        steps = [start(), body(b"one", True), ("read",), body(b"two")]
        with Client(server) as client:
            client.send(post(None, "/", *self.EXPECT, script=steps, name="x"))
            until(lambda: client.more() and b"one" in client.buffer)
            response = client.send(b"abc").response()
            assert (response.content, response.interim) == (b"onetwo", [])

    def test_in_any_case_of_letters(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/echo", "Content-Length: 3", "Expect: 100-Continue"))
            assert client.head().status == 100


class TestBackPressure:
    """What the application does not take stays in the client's kernel."""

    def test_an_upload_that_nobody_reads_is_not_taken(self, server: Process, name: str) -> None:
        size = 64 * MIB
        with Client(server) as client:
            client.send(
                post(
                    None,
                    "/",
                    f"Content-Length: {size}",
                    script=[("note", "here"), ("wait", name), ("read",)],
                    name=name,
                )
            )
            events(server, name, 1)
            before = resident_bytes(server)
            sent = self.send_what_goes(client, size)
            assert sent < 40 * MIB, "the kernels on both sides hold some"
            assert resident_bytes(server) - before < 4 * MIB
            open_gate(server, name)
            client.send(b"x" * (size - sent))
            assert events(server, name, 2) == ["here", size]

    def test_an_upload_read_slowly_is_held_by_the_piece(self, server: Process, name: str) -> None:
        """Each message holds no more than what was waited for, and one read of the socket."""
        size = 4 * MIB
        with Client(server) as client:
            steps = [("note", "here"), ("read_slowly",), start(), body()]
            client.send(post(None, "/", f"Content-Length: {size}", script=steps, name=name))
            client.send(b"x" * size)
            assert client.response().status == 200
        here, *pieces = events(server, name, 2)
        assert sum(pieces) == size
        # asyncio reads 96 KiB, uvloop and rloop up to 256 KiB at a time.
        assert max(pieces) <= 64 * 1024 + 256 * 1024 * 2

    def send_what_goes(self, client: Client, size: int) -> int:
        """Send until nothing goes any more for a moment."""
        sent = 0
        piece = b"x" * 256 * 1024
        client.socket.settimeout(0.3)
        try:
            while sent < size:
                sent += client.socket.send(piece[: size - sent])
        except TimeoutError:
            pass
        client.socket.settimeout(20)
        return sent

    def test_a_response_that_nobody_reads_is_not_made(self, server: Process, name: str) -> None:
        """send() waits: a stream of a GiB stays where it was made."""
        with Client(server) as client:
            ask(server, "/")
            before = resident_bytes(server)
            client.send(get(script=[start(), ("stream", 16 * 1024, 64 * 1024), body()], name=name))
            counts = [-1, 0]
            while counts[-1] != counts[-2] or not counts[-1]:
                counts.append(len(events(server, name)))
            assert counts[-1] * 64 * 1024 < 40 * MIB
            assert resident_bytes(server) - before < 8 * MIB
            client.reset()
        until(lambda: resident_bytes(server) - before < 4 * MIB)

    def test_a_reader_that_comes_back_gets_all(self, server: Process, name: str) -> None:
        with Client(server, receive_bytes=4096) as client:
            client.send(get(script=[start(), ("stream", 200, 64 * 1024), body()], name=name))
            events(server, name, 1)
            assert len(client.response().content) == 200 * 64 * 1024
