"""The benchmark's own checks: a right answer passes them, a wrong one makes a fault. No figures, no peers, no wrk."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark runs on Linux only")
if sys.platform == "linux":
    from benchmarks.apps import plain
    from benchmarks.check import check
    from benchmarks.contenders import whorl
    from benchmarks.cores import Cores
    from benchmarks.fault import CannotRun, Fault
    from benchmarks.process import Server, running
    from benchmarks.report import report
    from benchmarks.rows import BY_NAME, FILE_LARGE, FILE_SMALL, ROWS, TLS_ROWS, Profile, choose
    from benchmarks.sample import Results, Sample
    from benchmarks.shakers import Shaker, handshake_in_memory
    from benchmarks.workers import ONE, OWN, SHARED, Found
    from benchmarks.workers import report as report_of_workers

    PLAIN_ROWS = [
        row for row in ROWS if row.profile is Profile.PLAIN and not row.request.path.endswith(f"?{FILE_LARGE}")
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("bench")
    (folder / str(FILE_SMALL)).write_bytes(plain.content(FILE_SMALL))
    core = min(os.sched_getaffinity(0))
    with running(whorl("Whorl", "asyncio", "asyncio"), Profile.PLAIN, Cores(core, core), folder) as server:
        yield server


def test_whorl_answers_every_row_rightly(server: Server) -> None:
    for row in PLAIN_ROWS:
        check(server, row)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    core = min(os.sched_getaffinity(0))
    folder = tmp_path_factory.mktemp("bench-tls")
    with running(whorl("Whorl", "asyncio", "asyncio"), Profile.TLS, Cores(core, core), folder) as server:
        yield server


def test_whorl_answers_every_row_of_tls_rightly(tls_server: Server) -> None:
    for name in TLS_ROWS:
        check(tls_server, BY_NAME[name])


@pytest.mark.parametrize("name", ["tls_full", "tls_resume"])
def test_connections_are_made_anew(tls_server: Server, name: str) -> None:
    assert handshake_in_memory(tls_server, replace(BY_NAME[name], connections=2), 0.2)


def test_a_full_handshake_resumes_no_session(tls_server: Server) -> None:
    context = tls_server.client_context
    assert context is not None
    resuming, full = Shaker(tls_server, context, True), Shaker(tls_server, context, False)
    resuming.run(time.monotonic() + 0.1)
    full.session = resuming.session
    full.run(time.monotonic() + 0.1)
    assert (resuming.failure, full.failure) == (None, "the session was resumed")


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, world"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (GOOD.replace(b"200 OK", b"500 Oh"), "status 500"),
        (GOOD.replace(b"200 OK", b"304 No").replace(b"12", b"0"), "status 304"),
        (GOOD[:-1], "IncompleteRead"),
        (GOOD.replace(b"12", b"11")[:-1], "wrong content, 11 bytes"),
        (GOOD.replace(b"world", b"whorl"), "wrong content, 12 bytes"),
        (b"", "RemoteDisconnected"),
        (b"SSH-2.0-whatever\r\n", "BadStatusLine"),
    ],
)
def test_a_wrong_answer_is_a_fault(answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once, args=(listener, answer))
        thread.start()
        fake: Any = SimpleNamespace(contender="fake", port=listener.getsockname()[1], client_context=None)
        with pytest.raises(Fault, match=why):
            check(fake, BY_NAME["hello"])
        thread.join()


def answer_once(listener: socket.socket, answer: bytes) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(65536)
        client.sendall(answer)


HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %b\r\n\r\n"
CONTENT = b"0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "no handshake"),
        (HANDSHAKE.replace(b"%b", b"bm90IHRoZSByaWdodCBvbmU="), "no handshake"),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "agreed on"),
        (HANDSHAKE + b"\x81\x20" + CONTENT[:-1] + b"!", "a wrong message of 32 bytes"),
        (HANDSHAKE + b"\x82\x20" + CONTENT, "a frame that begins with 0x82"),
        (HANDSHAKE + b"\x88\x02\x03\xe8", "a frame that begins with 0x88"),
        (HANDSHAKE + b"\x81\x20" + CONTENT[:-1], "closed a connection"),
    ],
)
def test_a_wrong_websocket_is_a_fault(answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk_once, args=(listener, answer))
        thread.start()
        fake: Any = SimpleNamespace(contender="fake", port=listener.getsockname()[1], client_context=None)
        with pytest.raises(Fault, match=why):
            check(fake, BY_NAME["ws32"])
        thread.join()


def talk_once(listener: socket.socket, answer: bytes) -> None:
    """The handshake with the right key; then, when the client has spoken, what comes behind it, and the end."""
    client, _ = listener.accept()
    with client:
        key = client.recv(65536).partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        head, end, rest = answer.partition(b"\r\n\r\n")
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        client.sendall(head.replace(b"%b", accept) + end)
        if rest:
            client.recv(65536)
            client.sendall(rest)


def test_a_void_round_is_the_first_thing_that_the_report_says() -> None:
    results = Results({}, ["hello"])
    for name, cost in (("Whorl", 8.0), ("Uvicorn httptools", 20.0)):
        results.add("hello", "uvloop 0.22.1", name, 0, Sample(cost))
    assert "VOID" not in report(results)
    assert "0.40 ≤ 0.50, met" in report(results)
    results.void.append("hello, round 2: Granian: status 500")
    assert report(results).splitlines()[2].startswith("**VOID in part")


def test_rows_are_chosen_by_name_or_beginning() -> None:
    assert [row.name for row in choose("hello,echo")] == ["hello", "echo1k", "echo64k", "echo8m"]
    with pytest.raises(CannotRun, match='no row "goodbye"'):
        choose("goodbye")


def test_two_workers_are_judged_by_what_a_request_costs() -> None:
    """Each round's cost by the same round's: 10 to 11 µs is 1.82 times one worker, 10 to 20 is 1.00."""
    found = {}
    for name in ("hello", "newconn"):
        found[name, ONE] = [Found(10.0, 900.0, 1.0), Found(20.0, 900.0, 1.0), Found(10.0, 900.0, 1.0)]
        found[name, SHARED] = [Found(11.0, 900.0, 0.6), Found(22.0, 900.0, 0.6), Found(11.0, 900.0, 0.6)]
        found[name, OWN] = [Found(20.0, 900.0, 0.5), Found(40.0, 900.0, 0.5), Found(20.0, 900.0, 0.5)]
    text = report_of_workers(found)
    assert "hello, world, 2 workers, one queue: 1.82 times one worker meets the bar, 1.7" in text
    assert "hello, world, 2 workers, a queue each: 1.00 times one worker MISSES the bar, 1.7" in text
    assert "| 2 workers, one queue | 11.0 | 1.82 | 60% | 0.9 |" in text
