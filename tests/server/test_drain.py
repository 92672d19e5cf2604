"""Leaving: what is under way is finished within its bound, and whoever loses patience is obeyed, whatever the
application does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.harness import Process, serve
from tests.loops_here import EACH_WAY
from tests.server.client import Client, Cut, body, events, get, post, start, until

FOREVER = get(script=[("note", "here"), ("sleep", 3600)], name="forever")


@pytest.fixture(params=EACH_WAY)
def loop_name(request: pytest.FixtureRequest) -> str:
    """Each loop, and asyncio's with its own transports: it accepts otherwise."""
    name: str = request.param
    return name


@pytest.fixture
def fresh(loop_name: str) -> Iterator[Process]:
    """A server that a test may end as it likes."""
    with serve("tests.apps:app", loop=loop_name) as process:
        yield process


def refuses(process: Process) -> bool:
    """Whether nobody can connect any more."""
    try:
        process.connect(1).close()
    except OSError:
        return True
    return False


def a_moment_seconds() -> float:
    """A second, where 0.15 s is what it takes; more where others use the machine, by how long a Python takes that does
    nothing, which is 0.02 s."""
    since = time.monotonic()
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    return 1.0 + 5 * (time.monotonic() - since)


def log(process: Process, words: str) -> list[str]:
    return [line for line in process.stderr if words in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_idle_it_leaves_at_once_and_without_a_word(fresh: Process, number: int) -> None:
    with Client(fresh) as client, Client(fresh):
        client.ask(get())
        fresh.signal(number)
        since = time.monotonic()
        assert fresh.wait() == 0
        assert time.monotonic() - since < a_moment_seconds()
        assert client.rest() == b""
    assert "lifespan has shut down" in fresh.stdout
    assert not log(fresh, "WARNING")
    assert not log(fresh, "ERROR")


class TestUnderWay:
    def test_every_kind_of_exchange_is_finished(self, fresh: Process) -> None:
        """A response that streams, an upload that comes, pipelined requests, and one of which half has come."""
        with Client(fresh) as streams, Client(fresh) as uploads, Client(fresh) as pipelines, Client(fresh) as begins:
            streams.send(
                get(script=[start(), body(b"one", True), ("note", "streams"), ("sleep", 0.5), body(b"two")], name="all")
            )
            uploads.send(
                post(
                    None,
                    "/",
                    "Content-Length: 6",
                    script=[("note", "uploads"), ("read",), start(), body(b"got")],
                    name="all",
                )
            )
            pipelines.send(
                get(script=[("note", "pipelines"), ("sleep", 0.5), start(), body(b"first")], name="all"), get()
            )
            begins.send(get(), b"GET / HTTP/1.1\r\n").response()
            events(fresh, "all", 3)
            fresh.signal(signal.SIGTERM)
            until(lambda: refuses(fresh))
            uploads.send(b"abc", b"def")
            begins.send(b"Host: a\r\n\r\n")
            assert streams.response().content == b"onetwo"
            assert uploads.response().content == b"got"
            first, begun = pipelines.response(), begins.response()
            assert (first.content, first.closes) == (b"first", True)
            assert (begun.content, begun.closes) == (b"hello", True)
            for client in (streams, uploads, pipelines, begins):
                assert client.rest() == b""
                client.socket.close()
            assert fresh.wait() == 0

    def test_nothing_that_was_sent_in_time_is_lost(self, fresh: Process) -> None:
        """Requests sent just before the signal, on connections old and new, are answered."""
        clients = [Client(fresh) for _ in range(20)]
        for client in clients[:10]:
            client.ask(get())
        for client in clients:
            client.send(get(script=[start(), body(b"in time")]))
        fresh.signal(signal.SIGTERM)
        for client in clients:
            assert client.response().content == b"in time"
            client.socket.close()
        assert fresh.wait() == 0

    def test_work_after_the_response_is_finished(self, fresh: Process) -> None:
        with Client(fresh) as client:
            client.ask(get(script=[start(), body(), ("sleep", 0.3), ("print", "the work is done")]))
            assert fresh.stop() == 0
        assert "the work is done" in fresh.stdout

    def test_a_reader_that_does_not_read_does_not_outlast_the_bound(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.3) as process:
            with Client(process, receive_bytes=4096) as blocked, Client(process, receive_bytes=4096) as told:
                blocked.send(get(script=[start(), ("stream", 10_000, 10_000), body()])).exactly(1000)
                told.send(get(script=[start(), ("content", 20_000_000)])).exactly(1000)
                assert process.stop(10) == 0
                with pytest.raises((Cut, ConnectionResetError)):
                    told.exactly(20_000_000)


class TestBound:
    """timeout_graceful_shutdown: then what is left is cancelled, and awaited."""

    def test_a_cancelled_application_cleans_up(self, loop_name: str) -> None:
        with (
            serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.2) as process,
            Client(process) as client,
        ):
            client.send(get(script=[("note", "here"), ("note_cancellation",)], name="name"))
            events(process, "name", 1)
            assert process.stop() == 0
            response = client.response()
            assert (response.status, response.closes) == (503, True)
        assert "name has cleaned up" in process.stdout
        assert process.stdout.index("name has cleaned up") < process.stdout.index("lifespan has shut down")
        assert len(log(process, "1 request did not finish in time: cancelled")) == 1
        assert not log(process, "Traceback")

    def test_a_stream_is_cut(self, loop_name: str) -> None:
        with (
            serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.2) as process,
            Client(process) as client,
        ):
            client.send(get(script=[start(), body(b"x", True), ("note", "here"), ("sleep", 3600)], name="name"))
            events(process, "name", 1)
            assert process.stop() == 0
            with pytest.raises(Cut):
                client.response()

    def test_0_cancels_at_once(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0) as process, Client(process) as client:
            client.send(FOREVER)
            events(process, "forever", 1)
            since = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - since < 3
            assert client.response().status == 503

    def test_an_application_that_ignores_it_does_not_keep_the_process(self) -> None:
        """It is left behind, with a word about it."""
        with serve("tests.apps:app", timeout_graceful_shutdown=0.1) as process, Client(process) as client:
            client.send(get(script=[("note", "here"), ("ignore_cancellation",)], name="name"))
            events(process, "name", 1)
            assert process.stop(15) == 0
        assert log(process, "left behind")


class TestImpatience:
    """A second signal ends it at once."""

    def test_while_it_waits(self, fresh: Process) -> None:
        with Client(fresh) as client:
            client.send(FOREVER)
            events(fresh, "forever", 1)
            fresh.signal(signal.SIGTERM)
            until(lambda: refuses(fresh))
            since = time.monotonic()
            fresh.signal_again(signal.SIGTERM)
            assert fresh.wait() == 0
            assert time.monotonic() - since < 3
        assert not log(fresh, "Traceback")

    def test_while_the_application_holds_up_the_loop(self, fresh: Process) -> None:
        """The first signal cannot be noticed then; a handler of Python's runs between two instructions all the same."""
        with Client(fresh) as client:
            client.send(get(script=[("print", "blocks"), ("block", 3600)]))
            fresh.wait_for_line("blocks", "stdout")
            fresh.signal(signal.SIGINT)
            since = time.monotonic()
            fresh.signal_again(signal.SIGINT)
            fresh.wait(10)
            assert time.monotonic() - since < 5

    def test_while_the_application_ignores_its_cancellation(self, fresh: Process) -> None:
        with Client(fresh) as client:
            client.send(get(script=[("note", "here"), ("ignore_cancellation",)], name="name"))
            events(fresh, "name", 1)
            fresh.signal(signal.SIGINT)
            until(lambda: refuses(fresh))
            fresh.signal_again(signal.SIGINT)
            fresh.wait(10)

    def test_while_a_thread_of_the_application_runs(self, fresh: Process) -> None:
        """A thread cannot be cancelled, and Python waits for it in the end: a process that is told twice does not."""
        with Client(fresh) as client:
            client.send(get(script=[("note", "here"), ("block_a_thread", 8)], name="name"))
            events(fresh, "name", 1)
            fresh.signal(signal.SIGINT)
            until(lambda: refuses(fresh))
            since = time.monotonic()
            fresh.signal_again(signal.SIGINT)
            fresh.wait(15)
            assert time.monotonic() - since < 4


class TestApplicationsLearnOfIt:
    def test_a_stream_without_an_end_ends(self, fresh: Process) -> None:
        script = [start(), body(b"one", True), ("wait_for_shutdown",), body(b"bye", True), body()]
        with Client(fresh) as client:
            client.send(get(script=script))
            head = client.head()
            assert head.status == 200
            fresh.signal(signal.SIGTERM)
            since = time.monotonic()
            assert client.rest().endswith(b"3\r\nbye\r\n0\r\n\r\n")
        assert fresh.wait() == 0
        assert time.monotonic() - since < 5.0, "and not after timeout_graceful_shutdown, 30 s"
        assert not log(fresh, "did not finish in time")
