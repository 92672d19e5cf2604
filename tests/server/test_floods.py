"""Clients that send as fast as they can: what the server keeps of it, and how long others wait. `make soak` sends more;
tests/tls/test_floods.py has the flood over TLS, test_proxied.py that of `Forwarded`, test_departures.py that of
WebSockets which leave."""

from __future__ import annotations

import os
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, get, start

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
CLIENTS = 20 if SOAK else 4
CLIENT_BYTES = 20_000_000 if SOAK else 2_000_000
UNREAD_BYTES = 20_000_000
"""More than the kernel holds of one connection."""
MOST_KEPT_BYTES = CLIENTS * 1_500_000
"""64 KiB and one read of each wait, unsent responses as much, and malloc(3) keeps some."""
MOST_MEDIAN_SECONDS = 0.2
"""A busy machine's. On a quiet one it is 0.003; the server that sends all of them to the parser takes seconds."""


def resident_bytes(process: Process) -> int:
    """The memory that a process holds."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def flooding(server: Process, payload: bytes, count: int, size_bytes: int) -> Iterator[Event]:
    """Have some clients send a payload again and again, and read whatever comes. The event tells when all have sent
    so much."""
    done, ends = Event(), Event()

    def run() -> None:
        clients = {server.connect(): 0 for _ in range(count)}  # and how much each has sent
        for client in clients:
            client.setblocking(False)
        while not ends.is_set() and clients:
            unfinished = [client for client, sent in clients.items() if sent < size_bytes]
            readable, writable, _ = select.select(list(clients), unfinished, [], 0.1)
            for client in readable:
                if not client.recv(1 << 18):
                    del clients[client]
                    client.close()
            for client in writable:
                if client in clients:
                    clients[client] += client.send(payload[clients[client] % len(payload) :])
            if all(sent >= size_bytes for sent in clients.values()):
                done.set()
        for client in clients:
            client.close()

    thread = Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NOT TESTED HERE: memory is read from /proc")
def test_pipelined_requests(loop_name: str) -> None:
    request = get("/")
    with serve("tests.apps:app", loop=loop_name, access_log=False) as server, Client(server) as other:
        assert other.ask(get()).content == b"hello"
        before = resident_bytes(server)
        waits = []
        with flooding(server, request * (100_000 // len(request)), CLIENTS, CLIENT_BYTES) as done:
            most = before
            while not done.is_set() or len(waits) < 20:
                asked = time.monotonic()
                assert other.ask(get()).content == b"hello"
                waits.append(time.monotonic() - asked)
                most = max(most, resident_bytes(server))
        print(f"{CLIENTS} x {CLIENT_BYTES} bytes on {loop_name}: +{(most - before) >> 20} MiB, others wait")
        print(f"{statistics.median(waits) * 1000:.1f} ms, {max(waits) * 1000:.1f} ms at most")
        assert most - before < MOST_KEPT_BYTES
        assert statistics.median(waits) < MOST_MEDIAN_SECONDS
        assert server.stop() == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NOT TESTED HERE: memory is read from /proc")
def test_pipelined_requests_whose_responses_are_not_read(loop_name: str) -> None:
    request = get(script=[start(), ("content", 20_000)]) * 100
    with serve("tests.apps:app", loop=loop_name, access_log=False) as server, Client(server) as other:
        assert other.ask(get()).content == b"hello"
        before = resident_bytes(server)
        clients = {server.connect(): 0 for _ in range(CLIENTS)}  # and how much each has sent
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
        waiting = set(clients)
        while waiting:
            _, writable, _ = select.select([], waiting, [], 0.5)
            waiting.intersection_update(writable)  # the others are full: the server has stopped reading them
            for client in writable:
                clients[client] += client.send(request[clients[client] % len(request) :])
                if clients[client] >= UNREAD_BYTES:
                    waiting.discard(client)
        sent = sum(clients.values())
        assert other.ask(get()).content == b"hello"
        print(f"{sent} bytes of requests on {loop_name}: +{(resident_bytes(server) - before) >> 20} MiB")
        assert resident_bytes(server) - before < MOST_KEPT_BYTES
        for client in clients:
            client.close()
        assert server.stop() == 0
