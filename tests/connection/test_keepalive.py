"""How long a WebSocket waits for its peer: each wait at its deadline and past it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.net.recorder import tcp_pair, unix_pair
from whorl.config import Config
from whorl.connection import websocket_deadlines
from whorl.connection.limits import Limits
from whorl.connection.websocket_deadlines import CLOSE_REPLY_SECONDS, WebSocketDeadlines
from whorl.platform import peer_acknowledges, peer_has_ended, peer_is_gone
from whorl.wire.websocket.protocol import State

LIMITS = Limits.of(Config("main:app", ws_ping_interval=3.0, ws_ping_timeout=5.0))
BEGAN = 100.0


class Clock(WebSocketDeadlines):
    """One whose waits have begun before."""

    def __init__(self, connection: Any, session: Any, ping_outstanding: bool) -> None:
        super().__init__(connection, session, LIMITS)
        self._pinged_since = BEGAN if ping_outstanding else 0.0
        self._closing_since = BEGAN


def calls_after(seconds: float, state: State, ping_outstanding: bool = False, fd: int | None = None) -> list[str]:
    """What is done about a connection that has waited for so long.

    Args:
        fd: of its socket, where reading is paused.
    """
    called: list[str] = []

    def note(name: str) -> Any:
        return lambda: called.append(name)

    connection = SimpleNamespace(
        waiting_since=BEGAN + seconds / 2
        if state is not State.OPEN
        else BEGAN,  # a peer that still talks gains nothing
        reading_paused=fd is not None,
        fileno=lambda: fd,
    )
    for name in ("restart_deadline", "disconnect_exchange", "close"):
        setattr(connection, name, note(name))
    session = SimpleNamespace(closing_state=state)
    for name in ("ping", "ping_timed_out", "send_close_reply"):
        setattr(session, name, note(name))
    clock = Clock(connection, session, ping_outstanding)
    clock.check(BEGAN + seconds, BEGAN + seconds)
    if called == ["ping"]:
        assert clock._pinged_since == BEGAN + seconds, "the next wait is counted from here"
    return called


@pytest.mark.parametrize(
    ("state", "ping_outstanding", "deadline_seconds", "done"),
    [
        (State.OPEN, False, 3.0, ["ping"]),
        (State.OPEN, True, 5.0, ["ping_timed_out"]),
        (State.CLOSING_OURS, False, 10.0, ["disconnect_exchange", "close"]),
        (State.CLOSING_THEIRS, False, CLOSE_REPLY_SECONDS, ["send_close_reply"]),
    ],
)
def test_each_wait_at_its_deadline_and_past_it(
    state: State, ping_outstanding: bool, deadline_seconds: float, done: list[str]
) -> None:
    assert calls_after(deadline_seconds, state, ping_outstanding) == []
    assert calls_after(deadline_seconds + 0.01, state, ping_outstanding) == done


class TestWhileWeDoNotRead:
    """The answer cannot be seen; that the peer's system acknowledges the ping can."""

    @pytest.fixture
    def pair(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        ours, theirs = tcp_pair()
        with ours, theirs:
            yield ours, theirs

    def test_it_is_pinged_all_the_same(self, pair: tuple[socket.socket, socket.socket]) -> None:
        assert calls_after(3.01, State.OPEN, fd=pair[0].fileno()) == ["ping"]

    @pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_INFO")
    def test_a_peer_that_acknowledges_is_there(self, pair: tuple[socket.socket, socket.socket]) -> None:
        ours, theirs = pair
        ours.send(b"x")
        theirs.recv(1)
        assert calls_after(5.01, State.OPEN, True, ours.fileno()) == ["restart_deadline"]

    @pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_INFO")
    def test_a_peer_that_does_not_is_gone(
        self, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ends = time.monotonic() + 10
        while peer_acknowledges(pair[0].fileno(), 0.0):  # nothing is on its way
            assert time.monotonic() < ends
        monkeypatch.setattr(websocket_deadlines, "peer_acknowledges", lambda fd, _: peer_acknowledges(fd, 0.0))
        assert calls_after(5.01, State.OPEN, True, pair[0].fileno()) == ["ping_timed_out"]

    def test_a_unix_socket_tells_when_it_is_closed(self) -> None:
        ours, theirs = unix_pair()
        with ours, theirs:
            assert peer_acknowledges(ours.fileno(), 0.0)
            assert not peer_is_gone(ours.fileno())
            assert not peer_has_ended(ours.fileno())
            theirs.close()
            assert peer_is_gone(ours.fileno())
            assert peer_has_ended(ours.fileno())
