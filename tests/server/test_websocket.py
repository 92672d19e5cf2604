"""WebSocket over HTTP/1.1 on every loop: the handshake, messages both ways, and how it ends (RFC 6455, ASGI WebSocket
2.5)."""

from __future__ import annotations

import ast
import select
import time
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.harness import Process, serve
from tests.server.client import Client, Cut, ask, body, events, get, open_gate, post, start, until
from tests.server.conftest import Pool
from tests.server.peer import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    KEY,
    OFFER,
    PING,
    PONG,
    TEXT,
    Peer,
    close,
    frame,
    upgrade,
)
from tests.websocket.faults import FAULTS

ACCEPTS = {"type": "websocket.accept"}
CLOSES = {"type": "websocket.close"}


def says(**message: Any) -> dict[str, Any]:
    return {"type": "websocket.send", **message}


def denies(status: int = 401, *headers: Any) -> dict[str, Any]:
    return {**start(status, *headers), "type": "websocket.http.response.start"}


def denial(content: bytes, more: bool = False) -> dict[str, Any]:
    return {**body(content, more), "type": "websocket.http.response.body"}


def library(server: Process, target: str = "/echo", **more: Any) -> ClientConnection:
    """A client of the package `websockets`."""
    return connect(f"ws://127.0.0.1:{server.port}{target}", **more)


class TestHandshake:
    def test_the_answer_is_what_the_rfc_wants(self, server: Process) -> None:
        with Peer(server) as peer:
            response = peer.response
            assert response["sec-websocket-accept"] == ACCEPT
            assert (response["upgrade"], response["connection"]) == ("websocket", "Upgrade")
            for absent in ("content-length", "transfer-encoding", "sec-websocket-protocol", "sec-websocket-extensions"):
                assert response[absent] is None
            assert response["date"]

    def test_what_the_application_is_told(self, server: Process) -> None:
        lines = ("Sec-WebSocket-Protocol: one, two", "Origin: http://a", "X-A: 1")
        with Peer(server, "/scope?a=%20b", *lines) as peer:
            assert peer.response["sec-websocket-protocol"] == "one"
            scope = ast.literal_eval(peer.text())
            assert scope["client"][1] == peer.socket.getsockname()[1]
        assert "method" not in scope
        assert scope["type"] == "websocket"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert (scope["scheme"], scope["http_version"], scope["path"]) == ("ws", "1.1", "/scope")
        assert (scope["raw_path"], scope["query_string"], scope["root_path"]) == (b"/scope", b"a=%20b", "")
        assert scope["subprotocols"] == ["one", "two"]
        assert scope["extensions"] == {"websocket.http.response": {}}
        assert scope["state"] == {"shared": ["from the lifespan"]}
        assert (b"origin", b"http://a") in scope["headers"]

    def test_the_application_adds_fields_and_chooses_a_subprotocol(self, server: Process) -> None:
        accept = {**ACCEPTS, "subprotocol": "two", "headers": [(b"set-cookie", b"a=b"), (b"x-a", b"1")]}
        with Peer(server, "/", "Sec-WebSocket-Protocol: one,two", script=[accept]) as peer:
            assert peer.response["sec-websocket-protocol"] == "two"
            assert (peer.response["set-cookie"], peer.response["x-a"]) == ("a=b", "1")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"subprotocol": "three"},
            {"subprotocol": b"one"},
            {"headers": [(b"a", b"b\r\nc: d")]},
            {"headers": [(b"Sec-WebSocket-Protocol", b"one")]},
            {"headers": [(b"content-length", b"0")]},
            {"headers": [("a", "b")]},
        ],
        ids=str,
    )
    def test_what_cannot_be_accepted_raises_and_is_answered_500(
        self, server: Process, wrong: dict[str, Any], name: str
    ) -> None:
        with Client(server) as client:
            lines = ("Sec-WebSocket-Protocol: one",)
            client.send(upgrade("/", *lines, script=[("attempt", {**ACCEPTS, **wrong})], name=name))
            assert client.response().status == 500
        assert events(server, name, 1)[0].startswith(("ValueError", "TypeError"))

    def test_octets_that_follow_the_head_are_messages(self, server: Process) -> None:
        with Client(server) as client:
            client.send(upgrade(), frame(TEXT, b"early"), frame(BINARY, b"bird")[:5])
            assert client.head().status == 101
            client.send(frame(BINARY, b"bird")[5:])
            assert client.exactly(7) == b"\x81\x05early"
            assert client.exactly(6) == b"\x82\x04bird"

    def test_it_waits_its_turn_behind_pipelined_requests(self, server: Process) -> None:
        with Client(server) as client:
            client.send(post(b"abc"), upgrade(), frame(TEXT, b"x"))
            assert client.response().content == b"abc"
            assert client.head().status == 101
            assert client.exactly(3) == b"\x81\x01x"

    def test_octets_that_come_before_the_answer_are_kept(self, server: Process, name: str) -> None:
        with Client(server) as client:
            client.send(upgrade("/", script=[("note", 1), ("wait", name), ACCEPTS, ("hear",), ("hear",)], name=name))
            events(server, name, 1)
            client.send(frame(TEXT, b"early"))
            open_gate(server, name)
            assert client.head().status == 101
            noted = events(server, name, 3)
            assert noted[1] == {"type": "websocket.connect"}
            assert noted[2] == {"type": "websocket.receive", "text": "early"}

    @pytest.mark.parametrize(
        ("old", "new", "status"),
        [
            (KEY, "AAAA", 400),
            (KEY, "", 400),
            ("Version: 13", "Version: 8", 426),
            ("Sec-WebSocket-Version: 13\r\n", "", 426),
            ("GET", "POST", 400),
            ("GET", "HEAD", 400),
            ("GET", "OPTIONS", 400),
            ("Host: a", "Host: a\r\nContent-Length: 3", 400),
            ("Host: a", "Host: a\r\nTransfer-Encoding: chunked", 400),
            ("Host: a", "Host: a\r\nSec-WebSocket-Protocol: a, a", 400),
            ("Host: a", "Host: a\r\nSec-WebSocket-Extensions: ;", 400),
            ("Host: a\r\n", "", 400),
        ],
    )
    def test_one_that_is_wrong_is_refused(self, server: Process, old: str, new: str, status: int) -> None:
        with Client(server) as client:
            octets = upgrade().replace(old.encode(), new.encode())
            assert octets != upgrade()
            response = client.send(octets, b"abc" if "Length" in new else b"").response(new)
            assert response.status == status
            values = [value for name, value in response.fields if name == "connection"]
            assert "close" in values
            if status == 426:
                assert response["sec-websocket-version"] == "13"
                assert response["upgrade"] == "websocket"
                assert "Upgrade" in values
            assert client.half_close().rest() == b""

    def test_http_1_0_has_no_upgrade(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(upgrade("/", version="1.0"))
            assert (response.status, response.content) == (200, b"hello")

    def test_ws_none_serves_the_request_as_it_stands(self, pool: Pool, loop_name: str) -> None:
        server = pool.server(loop=loop_name, ws="none")
        with Client(server) as client:
            assert client.ask(post(b"abc", "/echo", *OFFER)).content == b"abc"
            assert client.ask(upgrade("/")).content == b"hello"
            assert client.ask(get()).content == b"hello"

    def test_an_access_line_says_101(self, server: Process, name: str) -> None:
        with Peer(server, f"/echo?{name}"):
            assert f'"GET /echo?{name} HTTP/1.1" 101 0 ' in server.wait_for_line(name, "stdout")


class TestDenial:
    def test_a_close_before_accept_is_403(self, server: Process, name: str) -> None:
        with Client(server) as client:
            response = client.ask(upgrade("/", script=[("hear",), CLOSES, ("hear",)], name=name))
            assert response.status == 403
            noted = events(server, name, 2)
            assert noted[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
            assert client.ask(get()).content == b"hello"

    def test_a_whole_response(self, server: Process) -> None:
        steps = [denies(401, (b"www-authenticate", b"Basic")), denial(b"who are you?")]
        with Client(server) as client:
            response = client.ask(upgrade("/", script=steps))
            assert (response.status, response.content) == (401, b"who are you?")
            assert (response["www-authenticate"], response["content-length"]) == ("Basic", "12")
            assert client.send(upgrade("/", script=[ACCEPTS])).head().status == 101

    def test_it_is_streamed(self, server: Process, name: str) -> None:
        steps = [denies(404), denial(b"first", True), ("wait", name), denial(b"second")]
        with Client(server) as client:
            client.send(upgrade("/", script=steps))
            response = client.head()
            assert (response.status, response["transfer-encoding"]) == (404, "chunked")
            chunks = client.chunks()
            assert next(chunks) == b"first"
            open_gate(server, name)
            assert next(chunks) == b"second"

    @pytest.mark.parametrize("steps", [[("fail",)], [], [denies()], [("hear",), ("fail",)]], ids=str)
    def test_an_application_that_gives_no_answer_is_answered_for(self, server: Process, steps: list[Any]) -> None:
        with Client(server) as client:
            assert client.ask(upgrade("/", script=steps)).status == 500

    def test_one_that_fails_in_a_streamed_denial_is_cut(self, server: Process) -> None:
        with Client(server) as client:
            client.send(upgrade("/", script=[denies(), denial(b"x", True), ("fail",)]))
            with pytest.raises(Cut):
                client.response()

    def test_messages_out_of_order_raise(self, server: Process, name: str) -> None:
        steps = [
            ("attempt", says(text="early")),
            ("attempt", {"type": "http.response.start", "status": 200}),
            ("attempt", denial(b"")),
            denies(),
            ("attempt", ACCEPTS),
            denial(b""),
            ("attempt", CLOSES),
        ]
        with Client(server) as client:
            assert client.ask(upgrade("/", script=steps, name=name)).status == 401
        assert [event.split(":")[0] for event in events(server, name, 5)] == ["RuntimeError"] * 5

    def test_a_client_that_leaves_before_the_answer(self, server: Process, name: str) -> None:
        steps = [("hear",), ("hear",), ("attempt", ACCEPTS)]
        with Client(server) as client:
            client.send(upgrade("/", script=steps, name=name))
            events(server, name, 1)
            client.reset()
        noted = events(server, name, 3)
        assert noted[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        assert noted[2].startswith("OSError")


class TestMessages:
    @pytest.mark.parametrize("compression", ["deflate", None])
    def test_text_and_octets_of_every_size(self, server: Process, compression: str | None) -> None:
        with library(server, compression=compression, max_size=None) as client:
            for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
                for message in ("é" * (size // 2), bytes(range(256)) * (size // 256) + b"x" * (size % 256)):
                    client.send(message)
                    assert client.recv() == message
            client.send(["frag", "men", "ted"])
            assert client.recv() == "fragmented"

    def test_many_in_one_read_come_in_order(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(*(frame(TEXT, b"%d" % number) for number in range(500)))
            assert [peer.text() for _ in range(500)] == [str(number) for number in range(500)]

    def test_octet_by_octet(self, server: Process) -> None:
        with Peer(server) as peer:
            for octet in frame(TEXT, b"slow") + frame(PING, b"p"):
                peer.send(bytes((octet,)))
            assert {peer.frame(), peer.frame()} == {(FIN | TEXT, b"slow"), (FIN | PONG, b"p")}

    def test_a_ping_within_a_message_is_answered_first(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(TEXT, b"a", flags=0), frame(PING, b"now"), frame(CONTINUATION, b"b"))
            assert peer.frame() == (FIN | PONG, b"now")
            assert peer.text() == "ab"

    def test_what_the_application_says_in_one_turn_leaves_in_order(self, server: Process) -> None:
        steps = [
            ACCEPTS,
            says(text="a"),
            says(bytes=b"b"),
            says(text="", bytes=None),
            says(bytes=b"c"),
            CLOSES,
        ]
        with Peer(server, "/", script=steps) as peer:
            assert [peer.frame() for _ in range(4)] == [(0x81, b"a"), (0x82, b"b"), (0x81, b""), (0x82, b"c")]
            assert peer.closing() == (1000, "")

    @pytest.mark.parametrize(
        "wrong", [{}, {"text": "a", "bytes": b"a"}, {"text": b"a"}, {"bytes": "a"}, {"text": "\ud800"}], ids=repr
    )
    def test_what_is_no_message_raises(self, server: Process, wrong: dict[str, Any], name: str) -> None:
        steps = [ACCEPTS, ("attempt", says(**wrong)), says(text="still here")]
        with Peer(server, "/", script=steps, name=name) as peer:
            assert peer.text() == "still here"
        assert "sent" not in events(server, name, 1)

    def test_a_receive_that_is_cancelled_loses_nothing(self, server: Process, name: str) -> None:
        steps = [ACCEPTS, ("hear",), ("hear_or_stop", 0.02), ("note", "go"), ("hear",)]
        with Peer(server, "/", script=steps, name=name) as peer:
            events(server, name, 3)
            peer.send(frame(TEXT, b"x"))
            assert events(server, name, 4)[1:] == [
                "nothing came",
                "go",
                {"type": "websocket.receive", "text": "x"},
            ]

    def test_a_message_has_the_one_key_that_is_meant(self, server: Process, name: str) -> None:
        """Handed over to an application that waits, and from the queue."""
        steps = [ACCEPTS, ("hear",), ("note", "waits"), ("hear",), ("hear",), ("wait", name), ("hear",), ("hear",)]
        text, octets = {"type": "websocket.receive", "text": "a"}, {"type": "websocket.receive", "bytes": b"b"}
        with Peer(server, "/", script=steps, name=name) as peer:
            events(server, name, 2)
            peer.send(frame(TEXT, b"a"))
            events(server, name, 3)
            peer.send(frame(BINARY, b"b"))
            events(server, name, 4)
            peer.send(frame(TEXT, b"a"), frame(BINARY, b"b"))
            open_gate(server, name)
            assert events(server, name, 6)[2:] == [text, octets, text, octets]

    def test_each_has_a_context_of_its_own(self, server: Process, name: str) -> None:
        """Messages arrive in callbacks of the loop, in other contexts."""
        sets = [ACCEPTS, ("hear",), ("set_variable", "mine"), ("note", "set"), ("hear",), ("get_variable",)]
        with Peer(server, "/", script=sets, name=name) as one:
            events(server, name, 2)
            with Peer(server, "/", script=[ACCEPTS, ("get_variable",)], name=name) as other:
                assert other.closing()[0] == 1000
            one.send(frame(TEXT, b"x"))
            noted = events(server, name, 5)
        assert [noted[1], noted[2], noted[4]] == ["set", "unset", "mine"]

    def test_compression_can_be_turned_off(self, pool: Pool, loop_name: str) -> None:
        server = pool.server(loop=loop_name, ws_per_message_deflate=False)
        with library(server) as client:
            assert client.response is not None
            assert "Sec-WebSocket-Extensions" not in client.response.headers
            client.send("a" * 1000)
            assert client.recv() == "a" * 1000


class TestClosing:
    """Who ends it, with which code, and what the other side hears."""

    @pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "leaving"), (3000, "é" * 61), (4999, "")])
    def test_by_the_client(self, server: Process, code: int, reason: str, name: str) -> None:
        with Peer(server, "/echo", f"X-Id: {name}") as peer:
            peer.send(frame(TEXT, b"last"), close(code, reason))
            assert peer.text() == "last"
            assert peer.ended() == (code, "")
        assert events(server, name, 1) == [{"type": "websocket.disconnect", "code": code, "reason": reason}]

    def test_by_the_client_without_a_code(self, server: Process, name: str) -> None:
        with Peer(server, "/echo", f"X-Id: {name}") as peer:
            peer.send(frame(CLOSE))
            assert peer.frame() == (FIN | CLOSE, b"")
            assert peer.rest() == b""
        assert events(server, name, 1) == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}]

    @pytest.mark.parametrize("how", ["half_close", "reset"])
    def test_by_a_client_that_vanishes(self, server: Process, how: str, name: str) -> None:
        with Peer(
            server, "/", script=[("hear",), ACCEPTS, ("echo_all",), ("attempt", says(text="x"))], name=name
        ) as peer:
            peer.send(frame(TEXT, b"x"))
            assert peer.text() == "x"
            getattr(peer, how)()
            noted = events(server, name, 3)
        assert noted[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        assert noted[2].startswith("OSError")

    @pytest.mark.parametrize(("code", "reason"), [(None, None), (1000, ""), (1008, "no"), (4000, "é" * 61)])
    def test_by_the_application(self, server: Process, code: int | None, reason: str | None, name: str) -> None:
        ends = {**CLOSES, "code": code, "reason": reason}
        with Peer(
            server, "/", script=[ACCEPTS, ends, ("hear",), ("hear",), ("attempt", says(text="x"))], name=name
        ) as peer:
            assert peer.closing() == (code or 1000, reason or "")
            peer.send(frame(TEXT, b"crossed it"), close(code or 1000))
            assert peer.rest() == b""
        noted = events(server, name, 3)
        assert noted[1] == {"type": "websocket.disconnect", "code": code or 1000, "reason": reason or ""}
        assert noted[2].startswith("RuntimeError")

    @pytest.mark.parametrize("wrong", [{"code": 1006}, {"code": 999}, {"code": 1000, "reason": "x" * 124}], ids=str)
    def test_by_the_application_in_a_way_that_is_none(self, server: Process, wrong: dict[str, Any], name: str) -> None:
        with Peer(server, "/", script=[ACCEPTS, ("attempt", {**CLOSES, **wrong}), says(text="x")], name=name) as peer:
            assert peer.text() == "x"
        assert events(server, name, 1)[0].startswith("ValueError")

    def test_an_application_that_returns_has_said_it_all(self, server: Process) -> None:
        with Peer(server, "/", script=[ACCEPTS, says(text="x")]) as peer:
            assert peer.text() == "x"
            assert peer.closing() == (1000, "")

    def test_an_application_that_fails(self, server: Process) -> None:
        with Peer(server, "/", script=[ACCEPTS, says(text="x"), ("fail",)]) as peer:
            assert peer.text() == "x"
            assert peer.closing() == (1011, "")

    def test_an_application_that_lets_the_oserror_pass_is_not_blamed(self, server: Process, name: str) -> None:
        script = [ACCEPTS, ("hear",), ("hear",), ("note", 0), says(text="x")]
        with Peer(server, f"/?{name}-innocent", script=script, name=name) as peer:
            peer.send(close())
            assert peer.ended() == (1000, "")
            events(server, name, 3)
        with Peer(server, f"/?{name}-guilty", script=[ACCEPTS, ("fail",)]) as peer:
            assert peer.closing() == (1011, "")
        server.wait_for_line(f"/?{name}-guilty")
        assert not [line for line in server.stderr if f"/?{name}-innocent" in line and "failed" in line]

    def test_a_busy_application_does_not_hold_up_the_answer_for_long(self, server: Process, name: str) -> None:
        with Peer(server, "/", script=[ACCEPTS, ("hear",), ("hear",), ("wait", name)], name=name) as peer:
            peer.send(frame(TEXT, b"x"))
            events(server, name, 2)
            peer.send(close(1000))
            assert peer.ended() == (1000, "")
        open_gate(server, name)

    def test_a_peer_that_goes_on_talking_is_not_waited_for_longer(self, server: Process, name: str) -> None:
        with Peer(server, "/", script=[ACCEPTS, ("hear",), ("hear",), ("wait", name)], name=name) as peer:
            peer.send(frame(TEXT, b"x"))
            events(server, name, 2)
            peer.send(close(1000))
            ends = time.monotonic() + 10
            while not select.select([peer.socket], [], [], 0.1)[0]:
                assert time.monotonic() < ends
                peer.drip(frame(TEXT, b"x"))
            assert peer.closing() == (1000, "")
        open_gate(server, name)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_is_malformed_gets_its_code_and_reason_after_what_came_before(
        self, server: Process, fault: str, name: str
    ) -> None:
        row = FAULTS[fault]
        offer = ["Sec-WebSocket-Extensions: permessage-deflate"] if row.compressed else []
        with Peer(server, "/echo", f"X-Id: {name}", *offer) as peer:
            peer.send(frame(TEXT, b"before"), row.octets, b"\x00" * 100)
            assert peer.text() == "before"
            assert peer.ended() == (row.code, row.reason)
        assert events(server, name, 1) == [{"type": "websocket.disconnect", "code": row.code, "reason": row.reason}]

    def test_one_that_goes_on_sending_can_still_read_why(self, server: Process) -> None:
        with Peer(server) as peer:
            peer.send(frame(TEXT, b"\xff"))
            for _ in range(20):
                peer.drip(b"x" * 10_000)
            assert peer.closing()[0] == 1007

    def test_nothing_is_left_behind(self, pool: Pool, loop_name: str) -> None:
        server = pool.server(loop=loop_name)
        names = ("WebSocketSession", "Http1Connection", "tasks")

        def held() -> list[int]:
            found = ast.literal_eval(ask(server, "/inspect").decode())
            return [found[name] for name in names]

        before = held()
        for ending in ("close", "reset", "half_close", "garbage"):
            for _ in range(5):
                with Peer(server) as peer:
                    peer.send(frame(TEXT, b"x")).text()
                    if ending == "close":
                        peer.send(close())
                    elif ending == "garbage":
                        peer.send(b"\xff" * 20)
                    else:
                        getattr(peer, ending)()
        until(lambda: held() <= before, otherwise=lambda: (before, held()))


def test_it_counts_under_limit_concurrency(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name, limit_concurrency=1) as server:
        with Peer(server) as peer, Client(server) as second, Client(server) as third:
            assert second.ask(upgrade()).status == 503
            assert third.ask(get()).status == 503
            peer.send(close())
            assert peer.ended() == (1000, "")
        with Client(server) as client:
            assert client.ask(get()).content == b"hello"
