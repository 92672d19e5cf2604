"""What cannot be served is answered with its status, and the connection ends (RFC 9110 section 15, RFC 9112 sections
2.2, 3, 5, 6, 7, 9.6).

Which bytes are refused is settled in tests/http1; here, that on every loop the whole answer reaches the client, and
never stands inside another response.
"""

from __future__ import annotations

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, Cut, Response, body, events, get, open_gate, post, start, until

FIELDS_128 = b"".join(b"X-%d: y\r\n" % number for number in range(127))

REFUSED = {
    "not HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "empty Host": (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    "userinfo in Host": (400, b"GET / HTTP/1.1\r\nHost: me@a\r\n\r\n"),
    "a path in Host": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a list in Host": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "a folded line": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
    "space before the colon": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
    "NUL in a value": (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "length and coding": (
        400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two lengths": (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    "chunks in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "no chunk size": (400, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "chunk without CRLF": (400, b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n"),
    "line too long": (414, b"GET /" + b"x" * 16 * 1024 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "line without an end": (414, b"GET /" + b"x" * 17 * 1024),
    "expectation": (417, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
    "too many fields": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + FIELDS_128 + b"X: y\r\n\r\n"),
    "too large a section": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 64 * 1024 + b"\r\n\r\n"),
    "section without an end": (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70 * 1024),
    "trailers too large": (
        431,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
        + b"y" * 65 * 1024
        + b"\r\n\r\n",
    ),
    "coding": (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    "a method without an end": (501, b"A" * 17 * 1024),
    "tunnel": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
}


def refusal(client: Client, status: int, method: str = "GET") -> Response:
    """The response that refuses, with all that it must carry, and the end of the connection after it."""
    response = client.response(method)
    assert response.status == status
    assert response.closes
    assert response["date"] is not None
    assert response["content-type"] == "text/plain; charset=utf-8"
    assert int(response["content-length"] or 0) > 0
    assert client.rest() == b""
    return response


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server: Process, name: str) -> None:
    status, octets = REFUSED[name]
    with Client(server) as client:
        refusal(client.send(octets), status)


@pytest.mark.parametrize("name", ["bare LF", "line too long", "too large a section", "chunk without CRLF", "version"])
def test_refused_after_a_request_on_the_same_connection(server: Process, name: str) -> None:
    status, octets = REFUSED[name]
    with Client(server) as client:
        assert client.send(get(), octets).response().content == b"hello"
        refusal(client, status)


def test_at_the_limits_it_is_served(server: Process) -> None:
    line = b"GET /" + b"x" * (16 * 1024 - len("GET / HTTP/1.1")) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    section = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * (64 * 1024 - len("Host: a\r\nX: \r\n")) + b"\r\n\r\n"
    fields = b"GET / HTTP/1.1\r\nHost: a\r\n" + FIELDS_128 + b"\r\n"
    with Client(server) as client:
        for octets in (line, section, fields):
            assert client.ask(octets).status == 200


def test_a_refusal_of_HEAD_has_no_content(server: Process) -> None:
    with Client(server) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
        refusal(client, 400, "HEAD")


@pytest.mark.parametrize("name", [name for name, (_, octets) in REFUSED.items() if octets.startswith(b"GET ")])
def test_a_refusal_of_HEAD_while_its_head_is_read_has_no_content(server: Process, name: str) -> None:
    """RFC 9110 section 9.3.2: a client takes what stands behind the head of the response for its next response."""
    status, octets = REFUSED[name]
    with Client(server) as client:
        refusal(client.send(octets.replace(b"GET ", b"HEAD ", 1)), status, "HEAD")


def test_a_refusal_of_HEAD_behind_another_request_has_no_content(server: Process) -> None:
    with Client(server) as client:
        client.send(get(), b"\r\nHEAD / HTTP/1.1\r\n\r\n")
        assert client.response().content == b"hello"
        refusal(client, 400, "HEAD")


def test_a_refusal_of_another_method_whose_name_begins_alike_has_content(server: Process) -> None:
    with Client(server) as client:
        assert refusal(client.send(b"HEADER / HTTP/1.1\r\n\r\n"), 400).content


@pytest.mark.parametrize("octets", [b"HEAD ", b"HEAD / HTT", b"HEAD / HTTP/1.1\r\nHost: a\r\n"])
def test_a_HEAD_that_takes_too_long_has_no_content(hasty: Process, octets: bytes) -> None:
    with Client(hasty) as client:
        refusal(client.send(octets), 408, "HEAD")


def test_what_the_client_goes_on_sending_does_not_destroy_the_refusal(server: Process) -> None:
    with Client(server) as client:
        client.send(b"POST / HTTP/2.0\r\nHost: a\r\nContent-Length: 500000\r\n\r\n")
        for _ in range(50):
            client.send(b"x" * 10_000)
        refusal(client, 505)


class TestBodySize:
    """limit_body_size, answered 413 (RFC 9110 section 15.5.14)."""

    @pytest.fixture
    def small(self, pool: object, loop_name: str) -> Process:
        return pool.server(loop=loop_name, limit_body_size="1000B")  # type: ignore[attr-defined,no-any-return]

    def test_at_the_limit(self, small: Process) -> None:
        with Client(small) as client:
            assert client.ask(post(b"x" * 1000)).content == b"x" * 1000
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (1000, b"x" * 1000)
            assert client.ask(post(None, "/echo", "Transfer-Encoding: chunked") + chunks).content == b"x" * 1000

    def test_declared_one_past_it(self, small: Process) -> None:
        with Client(small) as client:
            refusal(client.send(post(None, "/echo", "Content-Length: 1001")), 413)

    def test_instead_of_100_continue(self, small: Process) -> None:
        with Client(small) as client:
            client.send(post(None, "/echo", "Content-Length: 1001", "Expect: 100-continue"))
            assert refusal(client, 413).interim == []

    def test_in_chunks_one_past_it(self, small: Process) -> None:
        with Client(small) as client:
            client.send(post(None, "/echo", "Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (1000, b"x" * 1000))
            refusal(client.send(b"1\r\nx\r\n"), 413)

    def test_the_application_is_told_that_nothing_more_comes(self, small: Process, name: str) -> None:
        script = [("note", "started"), ("until_gone",)]
        with Client(small) as client:
            client.send(post(None, "/", "Transfer-Encoding: chunked", script=script, name=name))
            events(small, name, 1)
            client.send(b"%x\r\n%b\r\n" % (1001, b"x" * 1001))
            refusal(client, 413)
        assert events(small, name, 2) == ["started", "http.disconnect after 0"]


class TestNeverInsideAResponse:
    """Where a response is under way, nothing is written into it: it is finished if that can be, else cut."""

    def test_garbage_after_a_request_waits_for_its_response(self, server: Process, name: str) -> None:
        script = [start(), body(b"one", True), ("wait", name), body(b"two")]
        with Client(server) as client:
            client.send(get(script=script))
            until(lambda: client.more() and b"one" in client.buffer)
            client.send(b"\x00garbage\r\n\r\n")
            open_gate(server, name)
            response = client.response()
            assert response.content == b"onetwo"
            refusal(client, 400)

    def test_a_malformed_chunk_cuts_the_response(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/echo-stream", "Transfer-Encoding: chunked"), b"3\r\nabc\r\n")
            until(lambda: client.more() and b"abc" in client.buffer)
            client.send(b"xyz\r\n")
            with pytest.raises(Cut):
                client.response()
            assert client.buffer == b""

    def test_a_malformed_chunk_cuts_a_response_that_ends_with_the_connection(self, server: Process) -> None:
        """Without a length and without chunks only a reset tells the client; HTTP/1.0 cannot send chunks, but its
        content may end early."""
        with Client(server) as client:
            client.send(post(None, "/echo-stream", "Content-Length: 9", version="1.0"), b"abc")
            until(lambda: client.more() and b"abc" in client.buffer)
            client.half_close()
            with pytest.raises(ConnectionResetError):
                client.response()

    def test_a_refusal_before_the_head_has_left_is_written(self, server: Process) -> None:
        script = [start(), ("until_gone",)]
        with Client(server) as client:
            client.send(post(None, "/", "Transfer-Encoding: chunked", script=script), b"3\r\nabc\r\n")
            refusal(client.send(b"xyz\r\n"), 400)

    def test_a_malformed_body_that_nobody_reads_has_its_answer_already(self, server: Process) -> None:
        """A second response would answer nothing."""
        with Client(server) as client:
            client.send(post(None, "/unread", "Transfer-Encoding: chunked", script=[start(), body(b"x")]))
            assert client.response().content == b"x"
            client.send(b"3\r\nabcxyz")
            assert client.rest() == b""
        assert '"POST /unread HTTP/1.1" 200 1 ' in server.wait_for_line("/unread", "stdout")


class TestAccessLog:
    """A refusal has its line, with the bytes of content that it sent."""

    @pytest.mark.parametrize(
        ("octets", "words"),
        [
            (post(None, "/in-chunks", "Transfer-Encoding: chunked", script=[("until_gone",)]) + b"x\r\n", "/in-chunks"),
            (b"GET /two-hosts HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", '"GET /two-hosts HTTP/1.1"'),
            (b"GET /bare-line-feed HTTP/1.1\nHost: a\n\n", '"GET /bare-line-feed HTTP/1.1"'),
            (b"GET /no-version\r\n", '"GET%20/no-version"'),
            (b"GET /" + b"x" * 20_000, f'"GET%20/{"x" * (1024 - len("GET /"))}"'),
            (b"PUT /\x00 HTTP/1.1\r\n\r\n", '"PUT /%00 HTTP/1.1"'),
            (b"\x16\x03\x01 x", '"%16%03%01%20x"'),
        ],
    )
    def test_line(self, server: Process, octets: bytes, words: str) -> None:
        with Client(server) as client:
            response = client.send(octets).response()
        line = server.wait_for_line(words, "stdout")
        assert f'" {response.status} {response["content-length"]} ' in line

    def test_line_of_HEAD(self, server: Process) -> None:
        with Client(server) as client:
            client.send(b"HEAD /no-host HTTP/1.1\r\n\r\n").response("HEAD")
        assert '" 400 0 ' in server.wait_for_line('"HEAD /no-host HTTP/1.1"', "stdout")

    def test_the_reason_is_for_those_who_ask(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, log_level="debug") as server, Client(server) as client:
            refusal(client.send(b"GET / HTTP/1.1\r\n\r\n"), 400)
            line = server.wait_for_line("refused")
            assert line.endswith("was refused with 400: A request has exactly one Host (RFC 9112 section 3.2).")
