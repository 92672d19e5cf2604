"""What an application sends, and what stands on the wire (ASGI HTTP 2.5, RFC 9110 sections 6.4 and 15, RFC 9112
section 6)."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest

from tests.harness import Process
from tests.server.client import Client, Cut, body, events, get, open_gate, post, request, start

NUMBERS = count()
ONE_PIECE = [start(), body(b"abc")]
PIECES = [start(), body(b"abc", True), body(b"", True), body(b"de", True), body()]
DECLARED = [start(200, (b"Content-Length", b"5")), body(b"abc", True), body(b"de")]


class TestFraming:
    """How the end of the content is told."""

    def test_content_in_one_piece_is_counted(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=ONE_PIECE))
            assert (response.content, response["content-length"], response["transfer-encoding"]) == (b"abc", "3", None)

    def test_content_in_pieces_goes_in_chunks(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=PIECES))
            assert (response.content, response["transfer-encoding"]) == (b"abcde", "chunked")
            assert response.chunks == 2, "an empty piece would be the last chunk"
            assert client.ask(get()).content == b"hello"

    def test_a_declared_length_is_kept(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=DECLARED))
            assert (response.content, response["content-length"], response["transfer-encoding"]) == (
                b"abcde",
                "5",
                None,
            )
            assert client.ask(get()).content == b"hello"

    def test_no_content_is_counted_too(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(get(script=[start(), {"type": "http.response.body"}]))["content-length"] == "0"

    @pytest.mark.parametrize("kind", ["bytearray", "memoryview"])
    def test_other_kinds_of_bytes(self, server: Process, kind: str) -> None:
        """They may change once send() has returned."""
        with Client(server) as client:
            assert client.ask(get("/kinds", f"X-Kind: {kind}")).content == b"abc"

    def test_a_large_piece(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(), ("content", 10_000_000)]))
            assert len(response.content) == 10_000_000
            assert client.ask(get()).content == b"hello"

    def test_many_pieces_of_every_size(self, server: Process) -> None:
        sizes = [0, 1, 100, 4096, 4097, 32 * 1024 - 1, 32 * 1024, 64 * 1024, 65 * 1024, 200_000, 1]
        steps = [start(), *(("stream", 2, size) for size in sizes), body()]
        with Client(server) as client:
            content = b"".join(b"%d" % number * size for size in sizes for number in (0, 1))
            assert client.ask(get(script=steps)).content == content

    def test_pieces_leave_when_they_are_sent(self, server: Process, name: str) -> None:
        """An event is of use only while it is new: nothing waits for more to come."""
        with Client(server) as client:
            client.send(get(script=[start(), body(b"event", True), ("wait", name), body()]))
            assert client.head().status == 200
            assert client.line() == b"5"
            assert client.line() == b"event"
            open_gate(server, name)


class TestWithoutContent:
    """HEAD, 204, 205 and 304 (RFC 9110 sections 6.4.1, 9.3.2, 15.3.5, 15.3.6, 15.4.5)."""

    @pytest.mark.parametrize(
        ("steps", "length"), [(ONE_PIECE, "3"), (DECLARED, "5"), (PIECES, None)], ids=["one", "declared", "pieces"]
    )
    def test_HEAD(self, server: Process, steps: list[Any], length: str | None) -> None:
        with Client(server) as client:
            response = client.ask(request("HEAD", script=steps), "HEAD")
            assert response["content-length"] == length
            assert response["transfer-encoding"] is None
            assert client.ask(get()).content == b"hello", "bytes stand after the response to HEAD"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("steps", [ONE_PIECE, PIECES, [start(), body()]], ids=["one", "pieces", "empty"])
    def test_204_and_304(self, server: Process, method: str, status: int, steps: list[Any]) -> None:
        with Client(server) as client:
            response = client.ask(request(method, script=[start(status), *steps[1:]]), method)
            assert response.status == status
            assert response["content-length"] is None
            assert response["transfer-encoding"] is None
            assert client.ask(get()).content == b"hello"

    def test_204_has_no_length(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(204, (b"content-length", b"0")), body()]))
            assert response["content-length"] is None

    def test_304_may_tell_the_length_of_200(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(304, (b"content-length", b"5")), body()]))
            assert response["content-length"] == "5"
            assert client.ask(get()).content == b"hello"

    @pytest.mark.parametrize("steps", [ONE_PIECE, PIECES, [start(), body()]], ids=["one", "pieces", "empty"])
    def test_205_says_that_it_has_none(self, server: Process, steps: list[Any]) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(205), *steps[1:]]))
            assert (response.content, response["content-length"]) == (b"", "0")
            assert client.ask(get()).content == b"hello"

    @pytest.mark.parametrize("status", [200, 204, 205, 304])
    def test_a_declared_length_with_more_status(self, server: Process, status: int) -> None:
        """Frameworks send a length with whatever status: it must not move the beginning of the next response."""
        with Client(server) as client:
            client.ask(request("HEAD", script=[start(status, (b"content-length", b"3")), body(b"abc")]), "HEAD")
            assert client.ask(get()).content == b"hello"


class TestFields:
    def test_of_the_server(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get())
            assert response["server"] == "whorl"
            date = response["date"] or ""
            assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)

    def test_of_the_application_stand_instead(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(script=[start(200, (b"Server", b"mine"), (b"DATE", b"today")), body()]))
            assert response["server"] == "mine"
            assert response["date"] == "today"

    def test_keep_their_order_and_number(self, server: Process) -> None:
        fields = [(b"set-cookie", b"a=1"), (b"x-b", b""), (b"set-cookie", b"b=2")]
        with Client(server) as client:
            response = client.ask(get(script=[start(200, *fields), body()]))
            assert response.fields[:3] == [("set-cookie", "a=1"), ("x-b", ""), ("set-cookie", "b=2")]

    def test_of_the_connection_are_dropped(self, server: Process) -> None:
        """Framing and connection are the server's business (RFC 9110 section 7.6.1)."""
        fields = [
            (b"transfer-encoding", b"gzip, chunked"),
            (b"keep-alive", b"timeout=1"),
            (b"proxy-connection", b"close"),
        ]
        with Client(server) as client:
            response = client.ask(get(script=[start(200, *fields), body(b"abc")]))
            assert response.content == b"abc"
            assert response["content-length"] == "3"
            assert not {"transfer-encoding", "keep-alive", "proxy-connection"} & {name for name, _ in response.fields}

    def test_transfer_encoding_beside_a_length_is_dropped(self, server: Process) -> None:
        fields = [(b"transfer-encoding", b"chunked"), (b"content-length", b"3")]
        with Client(server) as client:
            assert client.ask(get(script=[start(200, *fields), body(b"abc")])).content == b"abc"
            assert client.ask(get()).content == b"hello"

    def test_an_offered_upgrade_is_passed_on(self, server: Process) -> None:
        """426 names what it wants (RFC 9110 section 15.5.22)."""
        with Client(server) as client:
            response = client.ask(get(script=[start(426, (b"upgrade", b"HTTP/3.0")), body()]))
            assert response["upgrade"] == "HTTP/3.0"
            assert response["connection"] == "upgrade"


# What no application may send, and what is wrong with it.
WRONG_STARTS = {
    "a name with a space": start(200, (b"x y", b"z")),
    "an empty name": start(200, (b"", b"z")),
    "a name with a colon": start(200, (b"x:", b"z")),
    "CR LF in a name": start(200, (b"x\r\ny", b"z")),
    "CR LF in a value": start(200, (b"x", b"y\r\ninjected: yes")),
    "LF in a value": start(200, (b"x", b"y\ninjected: yes")),
    "NUL in a value": start(200, (b"x", b"\0")),
    "text": start(200, ("x", "y")),
    "a set for a value": start(200, (b"x", {b"y"})),
    "None for a value": start(200, (b"x", None)),
    "None for a field": start(200, None),
    "three for a pair": start(200, (b"x", b"y", b"z")),
    "None for fields": {"type": "http.response.start", "status": 200, "headers": None},
    "two lengths": start(200, (b"content-length", b"3"), (b"Content-Length", b"3")),
    "a length that is no number": start(200, (b"content-length", b"3, 3")),
    "a negative length": start(200, (b"content-length", b"-1")),
    "99": start(99),
    "101": start(101),
    "103": start(103),
    "600": start(600),
    "'200'": start("200"),
    "None": start(None),
    "True": start(True),
    "no status": {"type": "http.response.start"},
}

WRONG_ORDERS = {
    "a body first": [body(b"x")],
    "trailers first": [{"type": "http.response.trailers"}],
    "two starts": [start(), start()],
    "text for content": [start(), body("text")],
    "an unknown message": [{"type": "http.response.stop"}],
    "a push": [{"type": "http.response.push", "path": "/", "headers": []}],
    "too much content": [start(200, (b"content-length", b"3")), body(b"abcd")],
    "too little content": [start(200, (b"content-length", b"3")), body(b"ab")],
    "no content": [start(200, (b"content-length", b"3")), body()],
    "nothing": [],
    "only a start": [start()],
}


class TestMistakesBeforeTheHead:
    """Nothing has left: 500, and the connection goes on."""

    @pytest.mark.parametrize("name", WRONG_STARTS)
    def test_of_a_start(self, server: Process, name: str) -> None:
        self.expect_500(server, [WRONG_STARTS[name], body(b"abc")])

    @pytest.mark.parametrize("name", WRONG_ORDERS)
    def test_of_order_and_content(self, server: Process, name: str) -> None:
        self.expect_500(server, WRONG_ORDERS[name])

    def test_an_error_of_its_own(self, server: Process) -> None:
        self.expect_500(server, [("fail",)])
        self.expect_500(server, [start(200, (b"content-length", b"3")), ("fail",)])

    def test_an_error_later(self, server: Process) -> None:
        self.expect_500(server, [("sleep", 0.01), ("fail",)])

    def test_a_cancellation_that_nobody_asked_for(self, server: Process) -> None:
        self.expect_500(server, [("cancel",)])
        self.expect_500(server, [("sleep", 0.01), ("cancel",)])

    def expect_500(self, server: Process, steps: list[Any]) -> None:
        target = f"/mistake-{next(NUMBERS)}"
        with Client(server) as client:
            response = client.ask(get(target, script=steps))
            assert (response.status, response.content) == (500, b"Internal Server Error")
            assert "injected" not in dict(response.fields)
            assert client.ask(get()).content == b"hello"
        server.wait_for_line(target)

    def test_a_mistake_may_be_mended(self, server: Process) -> None:
        """The application may catch the error, and say something else."""
        steps = [("attempt", start(600)), ("attempt", start(200, (b"x y", b"z"))), start(201), body(b"better")]
        with Client(server) as client:
            response = client.ask(get(script=steps, name="mended"))
            assert (response.status, response.content) == (201, b"better")

    def test_in_answer_to_HEAD(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(request("HEAD", script=[("fail",)]), "HEAD").status == 500
            assert client.ask(get()).content == b"hello"

    def test_with_a_body_that_was_not_read(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(post(b"x" * 1000, "/", script=[("fail",)])).status == 500
            assert client.ask(get()).content == b"hello"

    def test_the_traceback_is_logged_once(self, server: Process) -> None:
        before = len(server.stderr)
        with Client(server) as client:
            for target in ("/logged-once", "/logged-last"):
                client.ask(get(target, script=[("fail",)]))
        server.wait_for_line("/logged-last")
        said = "\n".join(server.stderr[before:])
        told = said[said.index("/logged-once") : said.index("/logged-last")]
        assert told.count("ZeroDivisionError: as the script says") == 1
        assert "/logged-once" not in told[1:]


class TestMistakesInsideAResponse:
    """The head has left: the connection is cut so that the client can tell, and no byte that is wrong is sent."""

    @pytest.mark.parametrize(
        "mistake", [("fail",), ("cancel",), body("text"), start()], ids=["error", "cancel", "text", "start"]
    )
    def test_in_chunks(self, server: Process, mistake: Any) -> None:
        with Client(server) as client:
            client.send(get(script=[start(), body(b"abc", True), ("sleep", 0.01), mistake]))
            with pytest.raises(Cut):
                client.response()
            assert client.buffer == b""

    @pytest.mark.parametrize("last", [b"defgh", b"d"], ids=["too much", "too little"])
    def test_content_of_another_length(self, server: Process, last: bytes) -> None:
        steps = [start(200, (b"content-length", b"5")), body(b"abc", True), body(last)]
        with Client(server) as client:
            client.send(get(script=steps))
            with pytest.raises(Cut, match="abc"):
                client.response()

    @pytest.mark.parametrize(
        "steps", [[start(), body(b"abc", True)], [start(200, (b"content-length", b"5")), body(b"abc", True)]]
    )
    def test_returning_early(self, server: Process, steps: list[Any]) -> None:
        with Client(server) as client:
            client.send(get("/early", script=steps))
            with pytest.raises(Cut):
                client.response()
        server.wait_for_line("/early")

    def test_content_that_ends_with_the_connection_is_reset(self, server: Process) -> None:
        """Otherwise the client would take the part for the whole."""
        with Client(server) as client:
            client.send(get(version="1.0", script=[start(), body(b"abc", True), ("sleep", 0.01), ("fail",)]))
            with pytest.raises(ConnectionResetError):
                client.response()

    def test_after_the_end(self, server: Process, name: str) -> None:
        """Nothing can follow a response that is complete; the next request does not feel it."""
        steps = [start(), body(b"abc"), ("attempt", body(b"def")), ("attempt", start()), ("fail",)]
        with Client(server) as client:
            assert client.ask(get(script=steps, name=name)).content == b"abc"
            assert client.ask(get()).content == b"hello"
        assert [event.split(":")[0] for event in events(server, name, 2)] == ["RuntimeError"] * 2
