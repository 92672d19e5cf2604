"""How many requests at a time, and how many in a life: limit_concurrency and limit_max_requests, at the limit and one
past it."""

from __future__ import annotations

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, Cut, body, events, get, post, start, until
from tests.server.conftest import Pool


@pytest.fixture
def two(pool: Pool, loop_name: str) -> Process:
    """A server that takes two requests at a time."""
    return pool.server(loop=loop_name, limit_concurrency=2)


class TestConcurrency:
    """503 with Retry-After (RFC 9110 sections 10.2.3, 15.6.4)."""

    def hold(self, client: Client, server: Process, name: str) -> None:
        """Have a request in flight until the client leaves."""
        client.send(get(script=[("note", "here"), ("until_gone",), ("note", "gone")], name=name))

    def test_at_the_limit_and_one_past_it(self, two: Process, name: str) -> None:
        with Client(two) as first, Client(two) as second:
            self.hold(first, two, name)
            second.ask(get())  # the second, at the limit
            self.hold(second, two, name)
            with Client(two) as third:
                response = until(lambda: self.refused(two))
                assert (response.status, response["retry-after"], response.closes) == (503, "1", True)
                assert third.ask(post(b"x" * 10)).status == 503
                assert third.rest() == b""
            first.reset()
            second.reset()
        until(lambda: not self.refused(two))
        assert events(two, name, 6).count("gone") == 2

    def refused(self, server: Process) -> object:
        with Client(server) as client:
            response = client.ask(get())
            return response if response.status == 503 else None

    def test_idle_connections_do_not_count(self, two: Process) -> None:
        clients = [Client(two) for _ in range(20)]
        for _ in range(2):
            for client in clients:
                assert client.ask(get()).status == 200
        for client in clients:
            client.socket.close()

    def test_a_pipeline_is_one_request_at_a_time(self, two: Process) -> None:
        with Client(two) as client:
            client.send(get(script=[("sleep", 0.001), start(), body()]) * 20)
            assert {client.response().status for _ in range(20)} == {200}

    def test_what_goes_on_after_its_response_counts(self, two: Process) -> None:
        with Client(two) as client:
            for _ in range(2):
                client.ask(get(script=[start(), body(), ("sleep", 0.5)]))
            assert client.ask(get()).status == 503
        until(lambda: not self.refused(two))

    def test_HEAD_is_refused_without_content(self, pool: Pool, loop_name: str, name: str) -> None:
        server = pool.server(loop=loop_name, limit_concurrency=1)
        with Client(server) as holder, Client(server) as client:
            self.hold(holder, server, name)
            until(lambda: self.refused(server))
            assert client.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD").status == 503
            assert client.rest() == b""
            holder.reset()
        until(lambda: not self.refused(server))


class TestRequests:
    def test_the_last_one_is_served_and_then_it_leaves(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, limit_max_requests=3) as server:
            with Client(server) as client, Client(server) as idle:
                idle.ask(get())
                client.ask(get())
                assert server.popen.poll() is None
                assert client.ask(get(script=[("sleep", 0.05), start(), body(b"last")])).content == b"last"
                assert client.rest() == b""
                assert idle.rest() == b""
            assert server.wait() == 0
            assert [line for line in server.stderr if "limit_max_requests" in line]

    def test_refused_requests_do_not_hide_the_limit(self, name: str) -> None:
        """Those that are turned away for another reason do not count, and the limit is not missed over them."""
        with serve("tests.apps:app", limit_max_requests=2, limit_concurrency=1) as server:
            with Client(server) as first:
                first.send(get(script=[("until_gone",)]))
                until(lambda: self.status(server) == 503)
                for _ in range(3):
                    assert self.status(server) == 503
                first.reset()
            until(lambda: server.popen.poll() is not None or self.status(server) == 200)
            assert server.wait() == 0

    def status(self, server: Process) -> int:
        try:
            with Client(server) as client:
                return client.ask(get()).status
        except OSError:
            return 0

    def test_jitter_adds_some(self) -> None:
        """So that a whole group of servers does not leave together."""
        counts = [self.served(limit_max_requests=2, limit_max_requests_jitter=200) for _ in range(3)]
        assert all(2 <= count <= 202 for count in counts)
        assert len(set(counts)) > 1

    def served(self, **options: int) -> int:
        """How many requests a server answers before it leaves."""
        with serve("tests.apps:app", **options) as server:
            with Client(server) as client:
                for _ in range(300):
                    try:
                        client.ask(get())
                    except (OSError, Cut):
                        break
            assert server.wait() == 0
            return len([line for line in server.stdout if '"GET / HTTP/1.1" 200' in line])
