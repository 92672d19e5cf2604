"""A Socket.IO server on every loop: over WebSocket, over long polls, and from the one to the other
(`rooms/socketio_room.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.frameworks.guest import GONE, PATIENCE_SECONDS, WAYS, Guest, Refused
from tests.harness import Process, serve
from tests.loops_here import LOOPS

pytest.importorskip("socketio", reason="python-socketio is not installed (pip install 'whorl[frameworks]')")


@pytest.fixture(scope="module", params=LOOPS)
def process(request: pytest.FixtureRequest) -> Iterator[Process]:
    """The rooms, served. It must leave in order with a client still there, and say nothing of a failure."""
    with serve("tests.frameworks.rooms.socketio_room:app", loop=request.param, timeout_graceful_shutdown=5) as process:
        yield process
        with Guest(process, "websocket") as guest:
            process.popen.terminate()
            assert guest.websocket is not None
            with pytest.raises(ConnectionClosed) as closed:
                guest.websocket.recv(PATIENCE_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert process.wait() == 0
    said = "\n".join(process.stderr)
    assert "bug of Whorl" not in said
    assert "Traceback" not in said
    assert "did not finish in time" not in said


@pytest.mark.parametrize("way", WAYS)
def test_an_exchange(process: Process, way: str) -> None:
    with Guest(process, way) as guest:
        for number in range(10):
            assert guest.call("turn", f"é{number}" * 500) == [f"{number}é" * 500]
            octets = bytes(range(256)) * number
            assert guest.call("turn", octets) == [octets[::-1]]


def test_a_broadcast_reaches_everyone_whichever_way_they_came(process: Process) -> None:
    with ExitStack() as stack:
        guests = [stack.enter_context(Guest(process, way)) for way in WAYS for _ in range(3)]
        for guest in guests:
            assert guest.call("enter", "here") == []
        outside = stack.enter_context(Guest(process, "websocket"))
        for speaker in guests[::3]:
            speaker.emit("say", "here", "é" * 1000)
            for guest in guests:
                assert guest.hear() == ["said", "é" * 1000]
        assert outside.call("turn", "nothing came before this") == ["siht erofeb emac gnihton"]


@pytest.mark.parametrize("way", WAYS)
def test_a_broadcast_of_octets(process: Process, way: str) -> None:
    """To one kind of client at a time: python-engineio 4.15 itself fails where bytes go to polls and to WebSockets."""
    with ExitStack() as stack:
        guests = [stack.enter_context(Guest(process, way)) for _ in range(3)]
        for guest in guests:
            guest.call("enter", way)
        guests[0].emit("say", way, b"\x00\xff" * 1000)
        for guest in guests:
            assert guest.hear() == ["said", b"\x00\xff" * 1000]


@pytest.mark.parametrize("way", WAYS)
def test_the_others_hear_who_has_left(process: Process, way: str) -> None:
    with Guest(process, "websocket") as stays, Guest(process, way) as goes:
        goes.leave()
        assert stays.hear() == ["left", "client disconnect"]


@pytest.mark.parametrize("way", ["websocket", "upgrade"])
def test_and_who_has_vanished(process: Process, way: str) -> None:
    with Guest(process, "websocket") as stays, Guest(process, way) as goes:
        goes.vanish()
        assert stays.hear() == ["left", "transport close"]


@pytest.mark.parametrize("way", WAYS)
def test_the_application_ends_it(process: Process, way: str) -> None:
    with Guest(process, way) as guest:
        guest.emit("leave me")
        assert guest.hear() == GONE


@pytest.mark.parametrize("way", WAYS)
def test_the_application_refuses(process: Process, way: str) -> None:
    with pytest.raises(Refused, match="we are closed"):
        Guest(process, way, auth="closed")
