"""How long a WebSocket waits for its peer: each wait at its deadline and past it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from whorl.transport.keepalive import ANSWER_SECONDS, check_websocket
from whorl.transport.shared import Deadlines
from whorl.websocket.connection import State

DEADLINES = Deadlines(ping_interval=3.0, ping_timeout=5.0, close_handshake=10.0)
BEGAN = 100.0


def calls_after(seconds: float, state: State, was_pinged: bool = False, reading_paused: bool = False) -> list[str]:
    """What is done about a connection that has waited for so long."""
    called: list[str] = []

    def note(name: str) -> Any:
        return lambda: called.append(name)

    connection = SimpleNamespace(
        since=BEGAN + seconds / 2 if state is not State.OPEN else BEGAN,  # a peer that still talks gains nothing
        reading_paused=reading_paused,
        shared=SimpleNamespace(deadlines=DEADLINES),
        leave_exchange=note("leave_exchange"),
        close=note("close"),
    )
    session = SimpleNamespace(closing_state=state, closing_since=BEGAN, was_pinged=was_pinged)
    for name in ("ping", "ping_unanswered", "answer_close"):
        setattr(session, name, note(name))
    check_websocket(connection, session, BEGAN + seconds, BEGAN + seconds)  # type: ignore[arg-type]
    if called == ["ping"] or reading_paused:
        assert connection.since == BEGAN + seconds, "the next wait is counted from here"
    return called


@pytest.mark.parametrize(
    ("state", "was_pinged", "deadline_seconds", "done"),
    [
        (State.OPEN, False, 3.0, ["ping"]),
        (State.OPEN, True, 5.0, ["ping_unanswered"]),
        (State.CLOSING_OURS, False, 10.0, ["leave_exchange", "close"]),
        (State.CLOSING_THEIRS, False, ANSWER_SECONDS, ["answer_close"]),
    ],
)
def test_each_wait_at_its_deadline_and_past_it(
    state: State, was_pinged: bool, deadline_seconds: float, done: list[str]
) -> None:
    assert calls_after(deadline_seconds, state, was_pinged) == []
    assert calls_after(deadline_seconds + 0.01, state, was_pinged) == done


@pytest.mark.parametrize("was_pinged", [False, True])
def test_silence_counts_only_while_we_read(was_pinged: bool) -> None:
    assert calls_after(1000.0, State.OPEN, was_pinged, reading_paused=True) == []
