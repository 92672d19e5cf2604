"""What one WebSocket may cost, in memory and in time: queues, slow readers, silence, the closing handshake, and the
server's leaving."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, events, get, open_gate, until
from tests.server.conftest import OURS, Pool, watched
from tests.server.peer import CLOSE, FIN, PING, PONG, TEXT, Peer, close, frame, upgrade

ACCEPTS = {"type": "websocket.accept"}
QUICK_SECONDS = 0.3
PING_TIMEOUT_SECONDS = 1.5  # the clients here are tests on a busy machine
MUCH_BYTES = 40_000_000  # more than the kernel takes for a reader that does not read


def says(text: str) -> dict[str, str]:
    return {"type": "websocket.send", "text": text}


@pytest.fixture
def quick(pool: Pool, loop_name: str) -> Iterator[Process]:
    """A server that pings soon, gives up soon, and queues little."""
    server = pool.server(
        loop=loop_name,
        ws_ping_interval=QUICK_SECONDS,
        ws_ping_timeout=PING_TIMEOUT_SECONDS,
        timeout_response=0.5,
        ws_max_queue=4,
        ws_max_size="100KiB",
    )
    yield from watched(server)


def send_as_far_as_it_goes(peer: Peer, octets: bytes, most_bytes: int) -> int:
    """Send again and again until nothing is taken for a while, or it is enough."""
    peer.socket.settimeout(0.3)
    view = memoryview(octets)
    sent = 0
    try:
        while sent < most_bytes:
            sent += peer.socket.send(view[sent % len(octets) :])
    except TimeoutError:
        pass
    peer.socket.settimeout(20)
    return sent


def texts(peer: Peer, count: int) -> list[str]:
    """The next messages, which are text; it is pinged between them."""
    found: list[str] = []
    while len(found) < count:
        first, payload = peer.frame()
        assert first in (FIN | TEXT, FIN | PING), (first, payload)
        if first == FIN | TEXT:
            found.append(payload.decode())
    return found


class TestQueue:
    @pytest.mark.parametrize("size", [10, 20_000, 70_000])
    def test_messages_that_nobody_takes_are_not_read(self, quick: Process, size: int, name: str) -> None:
        """As many as may wait are read, and the kernel holds what it will. Afterwards they come in order."""
        with Peer(quick, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("echo_all",)], name=name) as peer:
            events(quick, name, 1)
            octets = b"".join(frame(TEXT, b"%d" % number + b"x" * size) for number in range(10)) * (100_000 // size)
            assert send_as_far_as_it_goes(peer, octets, MUCH_BYTES) < MUCH_BYTES
            open_gate(quick, name)
            assert [text[0] for text in texts(peer, 20)] == list("01234567890123456789")

    def test_those_that_wait_are_bounded_by_their_octets_too(self, pool: Pool, loop_name: str, name: str) -> None:
        """There is room for 32, but each is as long as may be: two pass the limit, and no more is read."""
        server = pool.server(loop=loop_name, ws_max_size="2MiB")
        with Peer(server, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("echo_all",)], name=name) as peer:
            events(server, name, 1)
            octets = frame(TEXT, b"x" * 2 * 1024 * 1024)
            assert send_as_far_as_it_goes(peer, octets, MUCH_BYTES) < MUCH_BYTES
            open_gate(server, name)
            assert peer.text() == "x" * 2 * 1024 * 1024

    def test_all_of_them_come_when_the_application_comes_back(self, quick: Process, name: str) -> None:
        with Peer(quick, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("echo_all",)], name=name) as peer:
            peer.send(*(frame(TEXT, b"%d" % number) for number in range(500)), frame(PING, b"end"))
            open_gate(quick, name)
            found = [peer.frame() for _ in range(501)]
        assert [payload for first, payload in found if first == FIN | TEXT] == [b"%d" % number for number in range(500)]
        assert (FIN | PONG, b"end") in found

    def test_it_is_not_killed_by_its_own_keepalive(self, quick: Process, name: str) -> None:
        """The pong waits behind messages that the application does not take: that is not the client's fault, as long as
        its system acknowledges the ping."""
        with Peer(quick, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("echo_all",)], name=name) as peer:
            peer.send(*(frame(TEXT, b"%d" % number) for number in range(10)))
            time.sleep(QUICK_SECONDS + PING_TIMEOUT_SECONDS + 0.5)
            open_gate(quick, name)
            assert texts(peer, 10) == [str(number) for number in range(10)]

    def test_a_peer_that_pings_and_does_not_read_is_not_read(self, server: Process) -> None:
        with Peer(server, receive_bytes=4096) as peer:
            octets = frame(PING, b"x" * 125) * 500
            assert send_as_far_as_it_goes(peer, octets, MUCH_BYTES) < MUCH_BYTES

    def test_a_message_at_the_limit_and_one_past_it(self, quick: Process) -> None:
        limit_bytes = 100 * 1024
        with Peer(quick) as peer:
            peer.send(frame(TEXT, b"x" * limit_bytes))
            assert len(peer.text()) == limit_bytes
            peer.send(frame(TEXT, b"x" * limit_bytes, flags=0), frame(0, b"x"))
            assert peer.ended()[0] == 1009


class TestSlowReader:
    @pytest.mark.parametrize("how", ["push", "push_in_tasks"])
    def test_send_waits(self, server: Process, how: str, name: str) -> None:
        """A reader that stops costs its high-water mark and what the kernel holds, not what is sent to others."""
        with Peer(server, "/", script=[ACCEPTS, (how, 10_000, 10_000)], name=name, receive_bytes=4096) as peer:
            until(lambda: len(events(server, name)) > 5)
            until(lambda: len(events(server, name)) == len(events(server, name)))
            assert len(events(server, name)) < 2000
            for number in range(3):
                assert peer.text()[0] == str(number)

    def test_one_that_never_reads_is_reset(self, quick: Process, name: str) -> None:
        with Peer(quick, "/", script=[ACCEPTS, ("push", 10_000, 10_000)], name=name, receive_bytes=4096):
            noted = until(lambda: [event for event in events(quick, name) if isinstance(event, str)])
        assert noted[0].startswith("OSError")


class TestSilence:
    def test_a_peer_that_answers_stays(self, quick: Process) -> None:
        with Peer(quick) as peer:
            for _ in range(3):
                assert peer.frame() == (FIN | PING, b"")
                peer.send(frame(PONG))
            peer.send(frame(TEXT, b"x"))
            while (found := peer.frame())[0] == FIN | PING:
                peer.send(frame(PONG))
            assert found == (FIN | TEXT, b"x")

    def test_a_peer_that_is_silent_does_not(self, quick: Process, name: str) -> None:
        with Peer(quick, "/echo", f"X-Id: {name}") as peer:
            since = time.monotonic()
            assert peer.frame() == (FIN | PING, b"")
            assert time.monotonic() - since > QUICK_SECONDS * 0.9
            code, _ = peer.ended()
            assert time.monotonic() - since > (QUICK_SECONDS + PING_TIMEOUT_SECONDS) * 0.9
            assert code == 1011
        (noted,) = events(quick, name, 1)
        assert noted == {"type": "websocket.disconnect", "code": 1006, "reason": "A ping was not answered in time."}

    def test_an_application_that_only_sends_keeps_its_peer(self, quick: Process, name: str) -> None:
        """Pongs are seen though the messages before them are not received."""
        with Peer(quick, "/", script=[ACCEPTS, ("wait", name), says("still here")], name=name) as peer:
            peer.send(frame(TEXT, b"one"), frame(TEXT, b"two"))
            for _ in range(3):
                assert peer.frame() == (FIN | PING, b"")
                peer.send(frame(PONG))
            open_gate(quick, name)
            while (found := peer.frame())[0] == FIN | PING:
                peer.send(frame(PONG))
            assert found == (FIN | TEXT, b"still here")

    def test_a_peer_that_talks_is_not_pinged(self, quick: Process) -> None:
        with Peer(quick) as peer:
            ends = time.monotonic() + QUICK_SECONDS * 4
            while time.monotonic() < ends:
                peer.send(frame(TEXT, b"x"))
                assert peer.text() == "x"
                time.sleep(QUICK_SECONDS / 10)

    def test_a_long_message_that_comes_slowly_is_no_silence(self, quick: Process) -> None:
        octets = frame(TEXT, b"x" * 60)
        with Peer(quick) as peer:
            for at in range(len(octets)):
                peer.send(octets[at : at + 1])
                time.sleep(QUICK_SECONDS / 15)
            assert peer.text() == "x" * 60

    def test_pings_can_be_turned_off(self, pool: Pool, loop_name: str) -> None:
        server = pool.server(loop=loop_name, ws_ping_interval=0, timeout_keep_alive=0.2)
        with Peer(server) as peer:
            time.sleep(1)
            peer.send(frame(TEXT, b"x"))
            assert peer.text() == "x"


class TestLeaving:
    """The server is told to stop while WebSockets are open."""

    def test_idle_ones_are_told_to_come_again(self, loop_name: str, name: str) -> None:
        with serve("tests.apps:app", loop=loop_name) as server:
            peers = [Peer(server, "/", script=[ACCEPTS, ("hear",), ("hear",), ("print", "heard of it")]) for _ in "ab"]
            since = time.monotonic()
            server.signal(signal.SIGTERM)
            for peer in peers:
                assert peer.closing() == (1012, "The server is leaving.")
                peer.send(close(1012))
                assert peer.rest() == b""
                peer.socket.close()
            assert server.wait() == 0
            assert time.monotonic() - since < 5
        assert server.stdout.count("heard of it") == 2
        assert not [line for line in server.stderr for words in OURS if words.lower() in line.lower()]

    def test_a_busy_application_answers_what_it_has_received(self, loop_name: str, name: str) -> None:
        steps = [
            ACCEPTS,
            ("hear",),
            ("hear",),
            ("sleep", 0.5),
            says("the answer"),
            ("hear",),
        ]
        with serve("tests.apps:app", loop=loop_name) as server:
            with Peer(server, "/", script=steps, name=name) as peer:
                peer.send(frame(TEXT, b"a question"))
                events(server, name, 2)
                server.signal(signal.SIGTERM)
                assert peer.text() == "the answer"
                assert peer.closing() == (1012, "The server is leaving.")
                peer.send(close(1012))
            assert server.wait() == 0

    def test_the_bound_holds_for_an_application_that_does_not_come_back(self, loop_name: str, name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.3) as server:
            with Peer(server, "/", script=[ACCEPTS, ("hear",), ("hear",), ("note_cancellation",)], name=name) as peer:
                peer.send(frame(TEXT, b"x"))
                events(server, name, 2)
                since = time.monotonic()
                server.signal(signal.SIGTERM)
                assert peer.closing() == (1012, "The server is leaving.")
                assert server.wait() == 0
                assert time.monotonic() - since < 5
        assert f"{name} has cleaned up" in server.stdout

    def test_an_application_that_asks_says_goodbye_itself(self, loop_name: str) -> None:
        goodbye = ("echo_until_shutdown", "goodbye", 4001, "come again")
        with serve("tests.apps:app", loop=loop_name) as server:
            with Peer(server, "/", script=[("hear",), ACCEPTS, goodbye]) as peer:
                peer.send(frame(TEXT, b"x"))
                assert peer.text() == "x"
                server.signal(signal.SIGTERM)
                assert peer.text() == "goodbye"
                assert peer.closing() == (4001, "come again")
                peer.send(close(4001))
                assert peer.rest() == b""
            assert server.wait(10) == 0, "and long before timeout_graceful_shutdown, 30 s"
        assert not [line for line in server.stderr if "did not finish in time" in line]

    def test_the_bound_holds_for_one_that_asks_and_does_not(self, loop_name: str, name: str) -> None:
        steps = [ACCEPTS, ("wait_for_shutdown",), says("a moment"), ("note_cancellation",)]
        with serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.3) as server:
            with Peer(server, "/", script=steps, name=name) as peer:
                server.signal(signal.SIGTERM)
                assert peer.text() == "a moment"
                assert peer.closing() == (1012, "The server is leaving.")
                assert server.wait(10) == 0
        assert f"{name} has cleaned up" in server.stdout

    def test_a_client_that_does_not_answer_the_close_does_not_hold_it_up(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_graceful_shutdown=0.3) as server, Peer(server) as peer:
            server.signal(signal.SIGTERM)
            assert peer.frame()[0] == FIN | CLOSE
            assert server.wait(10) == 0

    def test_a_handshake_under_way_is_finished(self, loop_name: str, name: str) -> None:
        with serve("tests.apps:app", loop=loop_name) as server:
            steps = [("note", 1), ("wait", name), ACCEPTS, ("hear",), ("hear",)]
            with Client(server) as client, Client(server) as other:
                client.send(upgrade("/", script=steps, name=name))
                other.send(get(script=[("note", 2), ("sleep", 0.3), ("open", name)], name=name))
                events(server, name, 2)
                server.signal(signal.SIGTERM)
                assert client.head().status == 101
                assert client.exactly(4) == b"\x88\x18\x03\xf4"
                client.send(close(1012))
            assert server.wait() == 0
