"""Long WebSocket messages on every loop."""

from __future__ import annotations

import pytest

from tests.harness import Process
from tests.server.client import events, open_gate
from tests.server.conftest import Pool
from tests.server.peer import BINARY, CONTINUATION, FIN, PING, PONG, TEXT, Peer, close, frame

ACCEPTS = {"type": "websocket.accept"}
SIZES = [70_000, 10, 33_000, 0, 300_000, 125, 65_536, 65_535, 5]


def content(size: int) -> bytes:
    return bytes(33 + number % 89 for number in range(size))


class TestMessages:
    @pytest.mark.parametrize("pause", [False, True], ids=["together", "one by one"])
    def test_long_and_short_ones_in_their_order(self, server: Process, pause: bool) -> None:
        with Peer(server) as peer:
            sent = [(kind, content(size)) for kind in (TEXT, BINARY) for size in SIZES]
            if not pause:
                peer.send(*(frame(kind, payload) for kind, payload in sent))
            for kind, payload in sent:
                if pause:
                    peer.send(frame(kind, payload))
                assert peer.frame() == (FIN | kind, payload)
            peer.send(close())
            assert peer.ended() == (1000, "")

    def test_each_waits_for_the_application_as_it_came(self, server: Process, name: str) -> None:
        """What waits is not read over by what comes after it."""
        with Peer(server, "/", script=[ACCEPTS, ("hear",), ("wait", name), ("echo_all",)], name=name) as peer:
            payloads = [bytes([number]) * 40_000 for number in range(10)]
            for payload in payloads:
                peer.send(frame(BINARY, payload))
            events(server, name, 1)
            open_gate(server, name)
            assert [peer.frame()[1] for _ in payloads] == payloads

    def test_fragments_and_what_stands_between_them(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(TEXT, content(90_000)))
            assert peer.text() == content(90_000).decode()
            peer.send(
                frame(TEXT, content(40_000), flags=0),
                frame(PING, b"there?"),
                frame(CONTINUATION, content(50_000), flags=0),
                frame(CONTINUATION),
            )
            assert peer.frame() == (FIN | PONG, b"there?")
            assert peer.text() == (content(40_000) + content(50_000)).decode()

    def test_octet_by_octet_after_a_long_one(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(BINARY, content(70_000)))
            assert peer.frame() == (FIN | BINARY, content(70_000))
            for octet in frame(TEXT, b"slowly"):
                peer.send(bytes([octet]))
            assert peer.text() == "slowly"


class TestEnds:
    def test_a_fault_after_a_long_one(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(TEXT, content(70_000)), frame(TEXT, b"x", flags=FIN | 0x10))
            assert peer.text() == content(70_000).decode()
            assert peer.ended()[0] == 1002

    def test_a_long_one_that_is_no_text(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(TEXT, content(70_000)))
            assert peer.text() == content(70_000).decode()
            peer.send(frame(TEXT, content(70_000) + b"\xff"))
            assert peer.ended()[0] == 1007

    @pytest.mark.parametrize("how", ["closes", "resets"])
    def test_who_leaves_after_a_long_one_is_forgotten(self, server: Process, name: str, how: str) -> None:
        with Peer(server, "/", script=[ACCEPTS, ("hear",), ("hear",), ("hear",)], name=name) as peer:
            peer.send(frame(TEXT, content(70_000)))
            events(server, name, 2)
            peer.reset() if how == "resets" else peer.socket.close()
            assert "disconnect" in str(events(server, name, 3)[2])


def test_behind_a_preamble_that_may_come(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, proxy_protocol="allow")
    with Peer(server) as peer:
        for size in SIZES:
            peer.send(frame(TEXT, content(size)))
            assert peer.text() == content(size).decode()
