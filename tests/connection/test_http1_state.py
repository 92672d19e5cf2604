"""The phases of a connection: whatever client, server and sweep do, it keeps to the table of transitions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.connection.one_client import OneClient, connect, iterate
from whorl.compiled import compiled_modules
from whorl.connection.http1 import Http1Connection
from whorl.connection.http1_state import CLOSED, CLOSING, LINGERING, TRANSITIONS, Phase

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[tuple[Phase, Phase]]:
    """The transitions of every connection."""
    if "whorl.connection.http1" in compiled_modules():
        pytest.skip("the attributes of a compiled class cannot be watched")
    slot: Any = Http1Connection.__dict__["phase"]
    seen: set[tuple[Phase, Phase]] = set()

    def change(connection: Http1Connection, new: Phase) -> None:
        try:
            old = slot.__get__(connection)
        except AttributeError:
            pass  # its first
        else:
            seen.add((old, new))
        slot.__set__(connection, new)

    monkeypatch.setattr(Http1Connection, "phase", property(slot.__get__, change))
    return seen


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    if scope["path"] == "/read":
        await receive()
    if scope["path"] == "/wait":
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


RUNS: dict[str, tuple[bytes, ...]] = {
    "one request": (GET,),
    "in pieces": (GET[:9], GET[9:], GET[:9], GET[9:] + GET),
    "pipelined": (GET * 40,),
    "waiting": (GET.replace(b"/", b"/wait", 1) * 2,),
    "a body": (POST.replace(b"/", b"/read", 1) + b"abcde", GET),
    "a body that is not read": (POST, b"abc", b"de" + GET),
    "a body that is discarded with an error": (POST.replace(b"5", b"x"), b"abc"),
    "malformed": (b"GET / HTTP/1.1\r\n\r\n", b"more"),
    "malformed later": (GET + b"\0",),
    "empty lines": (b"\r", b"\n" + GET),
    "the last one": (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET, b"more"),
    "a WebSocket": (UPGRADE, b"\x88\x80abcd"),
}


@pytest.mark.parametrize("end", ["lost", "eof", "timeout", "drain", "abort"])
@pytest.mark.parametrize("pieces", RUNS.values(), ids=RUNS)
def test_a_connection_keeps_to_the_table(pieces: tuple[bytes, ...], end: str, seen: set[tuple[Phase, Phase]]) -> None:
    async def main() -> None:
        client = OneClient(b"")
        connection: Http1Connection = connect(client, app, timeout_linger=1.0)
        for piece in pieces:
            client.data += piece
            await iterate(client, 6)
        if end == "eof":
            connection.eof_received()
        elif end == "timeout":
            for now in (1.0, 2.0, 1000.0, 2000.0):
                connection.check_deadlines(now, now)
        elif end == "drain":
            connection.start_drain()
            connection.close_if_idle()
            connection.close_if_new()
        elif end == "abort":
            connection.reset()
        connection.connection_lost(None)
        assert connection.phase is CLOSED

    asyncio.run(main())
    assert {(old, new) for old, new in seen if new not in TRANSITIONS[old]} == set()


def test_every_phase_can_be_left() -> None:
    assert TRANSITIONS.keys() == set(Phase)
    assert [phase for phase, following in TRANSITIONS.items() if not following] == [CLOSED]
    assert all(CLOSED in following for phase, following in TRANSITIONS.items() if phase is not CLOSED)
    assert set(TRANSITIONS[LINGERING]) == {CLOSING, CLOSED}
