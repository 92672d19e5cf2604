"""One connection, many requests (RFC 9112 section 9): order, keeping, closing, half-closing."""

from __future__ import annotations

import pytest

from tests.harness import Process
from tests.server.client import Client, ask, body, events, get, open_gate, post, request, start, until
from tests.server.conftest import Pool


def script(text: str, *before: object) -> list[object]:
    return [*before, start(), body(text.encode())]


class TestPipelining:
    """RFC 9112 section 9.3.2."""

    def test_in_order(self, server: Process) -> None:
        with Client(server) as client:
            client.send(*(get(script=script(f"{number}")) for number in range(5)))
            assert [client.response().content for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]

    def test_bodies_end_where_they_end(self, server: Process) -> None:
        chunked = post(None, "/echo", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
        with Client(server) as client:
            client.send(post(b"one"), get(), chunked, get(), post(b"two", "/count"), get())
            contents = [client.response().content for _ in range(6)]
            assert contents == [b"one", b"hello", b"abc", b"hello", b"3", b"hello"]

    def test_a_body_that_nobody_read_is_no_request(self, server: Process) -> None:
        inner = get("/smuggled")
        chunked = post(None, "/", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
        with Client(server) as client:
            client.send(post(inner, "/"), get(script=script("after")), chunked, get(script=script("last")))
            assert [client.response().content for _ in range(4)] == [b"hello", b"after", b"hello", b"last"]

    def test_more_than_one_turn_serves(self, server: Process) -> None:
        """40 requests, where 16 are served in one turn of the loop."""
        with Client(server) as client:
            client.send(*(get(script=script(f"{number}")) for number in range(40)))
            assert [client.response().content for _ in range(40)] == [b"%d" % number for number in range(40)]
            assert client.ask(get()).content == b"hello"

    def test_others_are_served_between_its_turns(self, server: Process, name: str) -> None:
        """A connection with more pipelined requests than one turn serves does not hold up another's one."""
        count = 400
        with Client(server) as greedy, Client(server) as other:
            greedy.send(get(script=script("", ("wait", name))), *(get(script=script("x" * 1000)) for _ in range(count)))
            other.ask(get())
            open_gate(server, name)
            other.ask(get(script=[*script("other"), ("note", "other")], name=name))
            for _ in range(count + 1):
                greedy.response()

    def test_a_slow_first_request_holds_up_the_ones_behind_it(self, server: Process, name: str) -> None:
        with Client(server) as client:
            behind = get(script=[*script("two"), ("note", "two")], name=name)
            client.send(get(script=script("one", ("note", "one"), ("wait", name)), name=name), behind, behind)
            assert events(server, name, 1) == ["one"]
            assert client.is_open()
            open_gate(server, name)
            assert [client.response().content for _ in range(3)] == [b"one", b"two", b"two"]
        assert events(server, name, 3) == ["one", "two", "two"]

    def test_a_flood_behind_a_slow_request_is_not_read(self, server: Process, name: str) -> None:
        """What is read ahead is bounded: the client's kernel, and not the server, keeps the rest."""
        many = get("/", "X: " + "y" * 1000) * 1000
        with Client(server) as client:
            client.ask(get())
            client.send(get(script=script("", ("note", "here"), ("wait", name)), name=name))
            events(server, name, 1)
            client.socket.setblocking(False)
            sent = 0
            with pytest.raises(BlockingIOError):
                while sent < 200_000_000:
                    sent += client.socket.send(many)
            client.socket.settimeout(20)
            open_gate(server, name)
            assert client.response().status == 200
            assert client.response().content == b"hello"

    def test_nothing_is_served_after_close(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(get("/", "Connection: close"), get(script=[("note", "served")], name=name))
            response = client.response()
            assert response.content == b"hello"
            assert response.closes
            assert client.rest() == b""
        assert events(server, name) == []


class TestContexts:
    """Each request runs in a fresh copy of the server's context."""

    def test_of_pipelined_requests(self, server: Process, name: str) -> None:
        leaves = [("set_variable", "leaked"), *script("one")]
        waits = [("set_variable", "leaked"), ("sleep", 0.01), *script("two")]
        looks = [("get_variable",), *script("three")]
        with Client(server) as client:
            client.send(*(get(script=steps, name=name) for steps in (leaves, looks, waits, looks)))
            for _ in range(4):
                client.response()
            client.ask(get(script=looks, name=name))
        assert events(server, name, 3) == ["unset", "unset", "unset"]

    def test_of_requests_at_the_same_time(self, server: Process, name: str) -> None:
        with Client(server) as one, Client(server) as two:
            one.send(get(script=[("set_variable", "one"), ("note", "set"), ("wait", name), *script("")], name=name))
            events(server, name, 1)
            two.ask(get(script=[("get_variable",), *script("")], name=name))
            open_gate(server, name)
            one.response()
        assert events(server, name, 2) == ["set", "unset"]

    def test_of_an_upload(self, server: Process, name: str) -> None:
        """The body arrives in callbacks of the loop, in other contexts."""
        steps = [("set_variable", "mine"), ("note", "waits"), ("until_gone",), ("get_variable",)]
        with Client(server) as client:
            client.send(post(None, "/", "Content-Length: 6", script=steps, name=name))
            events(server, name, 1)
            client.send(b"abcdef")
            client.reset()
        assert events(server, name, 3) == ["waits", "http.disconnect after 6", "mine"]


class TestHalfClose:
    """A client that has said all it has to say still gets its answers (RFC 9112 section 9.6 is for both sides)."""

    def test_at_once(self, server: Process) -> None:
        with Client(server) as client:
            assert client.send(get()).half_close().response().content == b"hello"
            assert client.rest() == b""

    def test_while_the_response_streams(self, server: Process, name: str) -> None:
        steps = [start(), body(b"one", True), ("wait", name), ("stream", 5, 50_000), ("sleep", 0.1), body(b"end")]
        with Client(server) as client:
            client.send(get(script=steps)).half_close()
            until(lambda: client.more() and b"one" in client.buffer)
            open_gate(server, name)
            assert len(client.response().content) == 250_006
            assert client.rest() == b""

    def test_behind_pipelined_requests(self, server: Process) -> None:
        with Client(server) as client:
            client.send(*(get(script=script(f"{number}", ("sleep", 0.001))) for number in range(40))).half_close()
            assert [client.response().content for _ in range(40)] == [b"%d" % number for number in range(40)]
            assert client.rest() == b""

    def test_of_an_upload(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(b"x" * 300_000)).half_close()
            assert len(client.response().content) == 300_000
            assert client.rest() == b""

    @pytest.mark.parametrize("sent", [b"", b"GET / HT", post(b"", "/") + b"POST /"], ids=["nothing", "part", "one"])
    def test_before_a_request_is_complete(self, server: Process, sent: bytes) -> None:
        with Client(server) as client:
            client.send(sent).half_close()
            if b"\r\n\r\n" in sent:
                assert client.response().content == b"hello"
            assert client.rest() == b""

    def test_inside_a_body(self, server: Process, name: str) -> None:
        """The rest will never come: the application is told, and the connection ends."""
        with Client(server) as client:
            client.send(post(None, "/", "Content-Length: 9", script=[("until_gone",)], name=name), b"abc").half_close()
            assert client.rest() == b""
        assert events(server, name, 1)[0].startswith("http.disconnect")

    def test_inside_the_body_of_a_pipelined_request(self, server: Process, name: str) -> None:
        first = get(script=script("one", ("note", "one"), ("wait", name)), name=name)
        with Client(server) as client:
            client.send(first, post(None, "/echo", "Content-Length: 9"), b"abc").half_close()
            events(server, name, 1)
            open_gate(server, name)
            assert client.response().content == b"one"
            client.socket.settimeout(5)
            assert client.rest() == b""


class TestHttp10:
    """RFC 9112 section 9.3, appendix C.2.2."""

    def test_closes(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get(version="1.0"))
            assert response.content == b"hello"
            assert response.closes
            assert response["content-length"] == "5"
            assert client.rest() == b""

    def test_is_kept_if_it_asks(self, server: Process) -> None:
        with Client(server) as client:
            for _ in range(2):
                response = client.ask(get("/", "Connection: keep-alive", version="1.0"))
                assert response.content == b"hello"
                assert response["connection"] == "keep-alive"
            assert client.ask(get("/", "Connection: close", version="1.0")).closes
            assert client.rest() == b""

    def test_needs_no_host(self, server: Process) -> None:
        with Client(server) as client:
            assert client.ask(b"GET / HTTP/1.0\r\n\r\n").content == b"hello"

    @pytest.mark.parametrize("option", ["close", "keep-alive"])
    def test_never_gets_chunks(self, server: Process, option: str) -> None:
        steps = [start(), body(b"one", True), ("sleep", 0.01), body(b"two", True), body(b"three")]
        with Client(server) as client:
            response = client.ask(get("/", f"Connection: {option}", version="1.0", script=steps))
            assert response.content == b"onetwothree"
            assert response["transfer-encoding"] is None
            assert response["content-length"] is None
            assert response.closes

    def test_is_kept_with_a_declared_length(self, server: Process) -> None:
        steps = [start(200, (b"content-length", b"6")), body(b"one", True), body(b"two")]
        with Client(server) as client:
            for _ in range(2):
                response = client.ask(get("/", "Connection: keep-alive", version="1.0", script=steps))
                assert response.content == b"onetwo"
                assert response["connection"] == "keep-alive"


class TestUnreadBodies:
    """What is left of a body that nobody read is thrown away up to a limit (1 MiB); beyond it, the connection ends."""

    def test_at_the_limit_the_connection_is_kept(self, server: Process) -> None:
        with Client(server) as client:
            assert not client.ask(post(b"x" * 1024 * 1024, "/")).closes
            assert client.ask(get()).content == b"hello"

    def test_one_past_it_the_connection_ends(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(None, "/", f"Content-Length: {1024 * 1024 + 1}"))
            response = client.response()
            assert response.closes
            assert response.content == b"hello"
            assert client.rest() == b""

    def test_in_chunks_the_connection_ends_when_too_much_has_come(self, pool: Pool, loop_name: str) -> None:
        with Client(pool.server(loop=loop_name, limit_linger="1MiB")) as client:
            client.send(post(None, "/", "Transfer-Encoding: chunked"))
            assert not client.response().closes
            with pytest.raises(ConnectionError):
                for _ in range(1000):
                    client.send(b"%x\r\n%b\r\n" % (65536, b"x" * 65536))

    def test_the_client_can_read_the_answer_while_it_sends(self, server: Process) -> None:
        """Closing at once would destroy the answer on its way."""
        with Client(server) as client:
            client.send(post(None, "/", "Content-Length: 50000000"))
            for _ in range(10):
                client.send(b"x" * 65536)
            assert client.response().content == b"hello"


class TestClosing:
    def test_the_application_may_close(self, server: Process) -> None:
        steps = [start(200, (b"Connection", b"close")), body(b"x")]
        with Client(server) as client:
            assert client.ask(get(script=steps)).closes
            assert client.rest() == b""

    def test_the_application_may_not_keep(self, server: Process) -> None:
        steps = [start(200, (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=9")), body(b"x")]
        with Client(server) as client:
            response = client.ask(get("/", "Connection: close", script=steps))
            assert response.closes
            assert response["keep-alive"] is None
            assert client.rest() == b""

    def test_an_ordinary_response_says_nothing_of_the_connection(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get())
            assert response["connection"] is None
            assert [name for name, _ in response.fields] == ["content-length", "server", "date"]


class TestBackground:
    """Work after the response is the application's own affair."""

    def test_does_not_hold_up_the_next_request(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.ask(get(script=[*script("one"), ("wait", name), ("note", "done")], name=name))
            assert client.ask(get(script=[*script("two"), ("note", "second")], name=name)).content == b"two"
            assert events(server, name, 1) == ["second"]
            open_gate(server, name)
        assert events(server, name, 2) == ["second", "done"]

    def test_outlives_the_connection(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.ask(get(script=[*script("one"), ("wait", name), ("note", "done")], name=name))
        open_gate(server, name)
        assert events(server, name, 1) == ["done"]

    def test_hears_of_the_disconnect_and_may_not_send(self, server: Process, name: str) -> None:
        steps = [*script("one"), ("hear",), ("attempt", body(b"more")), ("hear",)]
        with Client(server) as client:
            client.ask(get(script=steps, name=name))
        noted = events(server, name, 3)
        assert noted[0] == noted[2] == {"type": "http.disconnect"}
        assert noted[1].startswith("RuntimeError")


@pytest.mark.parametrize("protocol", ["foo", "h2c"])
def test_an_upgrade_that_is_not_offered_is_not_made(server: Process, protocol: str) -> None:
    """The request is served as if Upgrade were not there (RFC 9110 section 7.8), with its body."""
    lines = ["Connection: Upgrade", f"Upgrade: {protocol}", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with Client(server) as client:
        assert client.ask(post(b"abc", "/echo", *lines)).content == b"abc"
        assert client.ask(request("GET", "/", *lines)).content == b"hello"
        assert client.ask(get()).content == b"hello"


def test_many_connections_at_once(server: Process) -> None:
    clients = [Client(server) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(get(script=script(f"{number}", ("sleep", 0.01))))
    for number, client in enumerate(clients):
        assert client.response().content == b"%d" % number
        client.socket.close()
    assert ask(server, "/") == b"hello"
