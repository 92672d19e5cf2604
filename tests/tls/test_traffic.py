"""HTTP over TLS: the same as without, in both directions, and at both ends of a connection (RFC 9112 section 9.8)."""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import socket
import ssl
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.harness import Process, read_all, serve
from tests.server.client import PATIENCE_SECONDS, Client, Cut, body, descriptors, get, post, request, start, until
from tests.server.together import serve_together
from tests.tls.client import Authority, TlsClient

MIB = 1024 * 1024
UNFINISHED = 20


def events(server: Process, trusting: ssl.SSLContext, name: str, count: int) -> list[Any]:
    """What the requests of this name have noted. No collection meanwhile: a finalizer that runs then makes CPython 3.11
    count its own recursion wrongly (gh-106905)."""
    with TlsClient(server, trusting) as client:
        told = client.ask(get(f"/events?name={name}&count={count}")).content.decode()
    gc.disable()
    try:
        found: list[Any] = ast.literal_eval(told)
    finally:
        gc.enable()
    return found


def inspect(server: Process, trusting: ssl.SSLContext) -> dict[str, int]:
    """What the server holds, by kind."""
    with TlsClient(server, trusting) as client:
        found: dict[str, int] = json.loads(client.ask(get("/inspect", "Connection: close")).content)
        return found


def settled(server: Process, trusting: ssl.SSLContext) -> dict[str, int]:
    """The same, once the connections of the tests before have gone, and only the one that asks is left."""

    def alone() -> dict[str, int] | None:
        now = inspect(server, trusting)
        return now if sum(count for kind, count in now.items() if kind.endswith("Connection")) == 1 else None

    found = until(alone)
    assert found is not None
    return found


class TestBodies:
    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_large_ones_go_both_ways(self, server: Process, authority: Authority, version: str) -> None:
        content = os.urandom(3 * MIB)
        context = authority.context(maximum_version=getattr(ssl.TLSVersion, version))
        with TlsClient(server, context) as client:
            assert client.ask(post(content)).content == content
            assert client.ask(get()).content == b"hello"

    def test_pipelined_requests_are_answered_in_order(self, server: Process, trusting: ssl.SSLContext) -> None:
        with TlsClient(server, trusting) as client:
            client.send(*(post(b"%d" % number) for number in range(100)))
            assert [client.response().content for _ in range(100)] == [b"%d" % number for number in range(100)]

    def test_records_may_be_cut_anywhere(self, server: Process, authority: Authority) -> None:
        """Every byte of handshake and request comes by itself."""
        to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.context().wrap_bio(to_us, to_them, server_hostname="localhost")
        with server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def turn(act: Any) -> Any:
                while True:
                    try:
                        done = act()
                    except ssl.SSLWantReadError:
                        done = None
                    for octet in to_them.read():
                        client.sendall(bytes([octet]))
                    if done is not None:
                        return done
                    to_us.write(client.recv(1))

            turn(lambda: tls.do_handshake() or True)
            turn(lambda: tls.write(get("/", "Connection: close")))
            received = b""
            while piece := turn(lambda: tls.read(1000)):
                received += piece
            assert received.endswith(b"\r\n\r\nhello")

    @pytest.mark.parametrize("size", [0, 1, 70_000, 5 * MIB])
    def test_files(self, server: Process, trusting: ssl.SSLContext, tmp_path: Path, size: int) -> None:
        content = os.urandom(size)
        (tmp_path / "file").write_bytes(content)
        pathsend = {"type": "http.response.pathsend", "path": str(tmp_path / "file")}
        with TlsClient(server, trusting) as client:
            assert client.ask(get(script=[start(), pathsend])).content == content
            assert client.ask(get()).content == b"hello"


def test_a_websocket(server: Process, trusting: ssl.SSLContext) -> None:
    script = [("hear",), {"type": "websocket.accept"}, {"type": "websocket.send", "text": "x" * 1_000}]
    with connect(
        f"wss://localhost:{server.port}/", ssl=trusting, additional_headers={"X-Script": repr(script)}, proxy=None
    ) as client:
        assert client.recv() == "x" * 1_000


class TestBackPressure:
    def test_a_response_that_nobody_reads_is_not_made(
        self, server: Process, trusting: ssl.SSLContext, name: str
    ) -> None:
        with TlsClient(server, trusting) as client:
            client.send(get(script=[start(), ("stream", 1000, 100_000), body()], name=name))
            client.head()
            made = until(
                lambda: (found := events(server, trusting, name, 1)) == events(server, trusting, name, 1) and found
            )
            assert len(made) < 300, "not much more than the kernel's buffers hold"
            pieces = b"".join(client.chunks())
            assert len(pieces) == 100_000_000

    def test_an_upload_that_nobody_reads_is_not_taken(
        self, server: Process, trusting: ssl.SSLContext, name: str
    ) -> None:
        with TlsClient(server, trusting) as client:
            head = post(
                None, "/", f"Content-Length: {100 * MIB}", script=[("wait", name), ("read",), start(), body(b"all")]
            )
            client.send(head)
            client.tls.settimeout(0.3)
            sent = 0
            with pytest.raises((TimeoutError, ssl.SSLError)):
                while sent < 100 * MIB:
                    sent += client.tls.send(b"." * 16384)
            assert sent < 20 * MIB
        with TlsClient(server, trusting) as client:
            client.ask(get(f"/open?name={name}"))

    def test_a_large_response_is_whole_after_a_slow_start(self, server: Process, trusting: ssl.SSLContext) -> None:
        with TlsClient(server, trusting) as slow, TlsClient(server, trusting) as quick:
            slow.send(get(script=[start(), ("content", 20 * MIB)]), get())
            assert quick.ask(get()).content == b"hello"
            assert slow.response().content == b"." * (20 * MIB)
            assert slow.response().content == b"hello"


class TestTheEnd:
    def test_ours_is_a_close_notify(self, server: Process, trusting: ssl.SSLContext) -> None:
        """The client raises SSLEOFError without one."""
        with TlsClient(server, trusting) as client:
            client.send(get("/", "Connection: close"))
            assert client.response().content == b"hello"
            assert client.rest() == b""

    def test_a_refusal_can_be_read_while_the_client_sends(self, server: Process, trusting: ssl.SSLContext) -> None:
        with TlsClient(server, trusting) as client:
            client.send(request("GET", "/", "Bad Field: x"))
            for _ in range(10):
                client.send(b"x" * 10_000)
            assert client.response().status == 400
            assert client.rest() == b""

    def test_an_end_with_close_notify_leaves_the_response(
        self, server: Process, trusting: ssl.SSLContext, name: str
    ) -> None:
        """The client has said all it has to say, and still reads."""
        to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting.wrap_bio(to_us, to_them, server_hostname="localhost")
        with server.connect() as client:

            def exchange(act: Any) -> Any:
                while True:
                    try:
                        return act()
                    except ssl.SSLWantReadError:
                        if to_them.pending:
                            client.sendall(to_them.read())
                        to_us.write(client.recv(65536))

            exchange(tls.do_handshake)
            tls.write(get(script=[("wait", name), start(), body(b"after")]))
            client.sendall(to_them.read())
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
            client.sendall(to_them.read())
            client.shutdown(socket.SHUT_WR)
            with TlsClient(server, trusting) as other:
                other.ask(get(f"/open?name={name}"))
            received = read_all(client)
            assert len(received) > 100, "a response, and a close_notify"

    def test_without_close_notify_is_a_disconnect(self, server: Process, trusting: ssl.SSLContext, name: str) -> None:
        with TlsClient(server, trusting) as client:
            client.send(get(script=[("note", "here"), ("until_gone",)], name=name))
            assert events(server, trusting, name, 1)
            client.half_close()
            assert events(server, trusting, name, 2)[1] == "http.disconnect after 0"

    def test_a_reset_is_a_disconnect(self, server: Process, trusting: ssl.SSLContext, name: str) -> None:
        client = TlsClient(server, trusting)
        client.send(get(script=[("note", "here"), ("until_gone",)], name=name))
        assert events(server, trusting, name, 1)
        client.reset()
        assert events(server, trusting, name, 2)[1] == "http.disconnect after 0"

    def test_a_response_that_is_cut_has_no_close_notify_or_no_end(
        self, server: Process, trusting: ssl.SSLContext
    ) -> None:
        with TlsClient(server, trusting) as client:
            with pytest.raises((Cut, ssl.SSLError, ConnectionError)):
                client.ask(get(script=[start(), body(b"x", True), ("fail",)]))


class TestTheHandshake:
    def test_half_of_one_leaves_nothing_behind(self, hasty: Process, loop_name: str, trusting: ssl.SSLContext) -> None:
        before = settled(hasty, trusting)
        open_before = descriptors(hasty)
        to_them = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            trusting.wrap_bio(ssl.MemoryBIO(), to_them, server_hostname="localhost").do_handshake()
        hello = to_them.read()
        clients = [hasty.connect() for _ in range(UNFINISHED * 3)]
        since = time.monotonic()
        try:
            for number, client in enumerate(clients):
                client.sendall((b"", hello, hello[:100])[number % 3])
            for client in clients:
                read_all(client)
            assert time.monotonic() - since > 0.27
        finally:
            for client in clients:
                client.close()
        until(lambda: inspect(hasty, trusting) == before)
        # One loop lets go of what was closed in batches, whenever more is closed.
        slack = len(clients) if loop_name.startswith("rloop") else 0
        until(lambda: descriptors(hasty) <= open_before + slack)

    def test_a_client_that_resets_inside_one_is_forgotten(self, server: Process, trusting: ssl.SSLContext) -> None:
        before = settled(server, trusting)
        for _ in range(UNFINISHED):
            client = server.connect()
            client.sendall(b"\x16\x03\x01")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        until(lambda: inspect(server, trusting) == before)

    def test_plain_http_is_told_so(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(get())
            assert (response.status, response.closes) == (400, True)
            assert b"https://" in response.content
            assert client.rest() == b""

    def test_plain_HEAD_is_told_so_without_content(self, server: Process) -> None:
        with Client(server) as client:
            response = client.ask(b"HEAD /plain-head HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD")
            assert (response.status, response.closes) == (400, True)
            assert client.rest() == b""
        assert '"HEAD /plain-head HTTP/1.1" 400 0 ' in server.wait_for_line("/plain-head", "stdout")

    def test_random_records_end_the_connection(self, server: Process, trusting: ssl.SSLContext) -> None:
        chance = random.Random(6)
        before = settled(server, trusting)
        for _ in range(100):
            with server.connect() as client:
                header = chance.choice(
                    [b"", b"\x16\x03\x01\x00\x40\x01", b"\x16\x03\x03", b"\x17\x03\x03\x00\x10", b"\x80\x2e\x01"]
                )
                try:
                    client.sendall(header + chance.randbytes(chance.randrange(1, 300)))
                    client.shutdown(socket.SHUT_WR)
                    read_all(client)
                except ConnectionError:
                    pass
        until(lambda: inspect(server, trusting) == before)

    def test_a_damaged_record_ends_the_connection(self, server: Process, trusting: ssl.SSLContext) -> None:
        with TlsClient(server, trusting) as client:
            client.ask(get())
            with socket.socket(fileno=os.dup(client.tls.fileno())) as raw:
                raw.sendall(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                client.rest()


class TestLeaving:
    def test_what_is_under_way_is_finished(
        self, loop_name: str, certificate: dict[str, Any], trusting: ssl.SSLContext, name: str
    ) -> None:
        with serve("tests.apps:app", loop=loop_name, **certificate) as process:
            with TlsClient(process, trusting) as busy, TlsClient(process, trusting) as idle:
                busy.send(get(script=[("print", "under way"), ("sleep", 0.3), start(), body(b"done")]))
                idle.ask(get())
                process.wait_for_line("under way", "stdout")
                process.signal(15)
                assert idle.rest() == b""
                response = busy.response()
                assert (response.content, response.closes) == (b"done", True)
                assert busy.rest() == b""
            assert process.wait() == 0


def test_tls_on_a_plain_port_is_refused_at_once(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name) as process:
        with process.connect() as client:
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(client, server_hostname="localhost")


def test_many_at_once_hear_each_its_own(server: Process, trusting: ssl.SSLContext) -> None:
    serve_together(lambda: TlsClient(server, trusting))


def test_a_request_and_an_end_among_many(server: Process, trusting: ssl.SSLContext) -> None:
    """Who says good-bye right after its request has its response all the same."""
    with ExitStack() as stack:
        blocker = stack.enter_context(TlsClient(server, trusting))
        clients = [stack.enter_context(TlsClient(server, trusting)) for _ in range(20)]
        blocker.ask(get())
        for client in clients:
            client.ask(get())
        blocker.send(get(script=[("block", 0.2), start(), body(b"done")]))
        for client in clients:
            client.send(get())
            client.tls.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                client.tls.unwrap()  # it waits for theirs
            client.tls.settimeout(PATIENCE_SECONDS)
        assert blocker.response().content == b"done"
        for client in clients:
            assert client.response().content == b"hello"
