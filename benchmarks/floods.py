"""`make bench-floods`: how long other clients wait while some flood the server, beside Uvicorn.

A flood is what keeps a server busy at little cost to the client: many small things in each read. One client asks for
hello meanwhile, again and again on one connection, and its median and 99th percentile are reported, with the flooded
server's CPU per second. Whorl has to be ahead in the median of every flood. LOOP= is the loop, uvloop by default;
SECONDS= is how long each flood lasts.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import signal
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.__main__ import number_from, prepared, tell
from benchmarks.certificate import HOST, Certificate
from benchmarks.contenders import Contender, uvicorn, whorl
from benchmarks.cost import cpu_seconds
from benchmarks.fault import CannotRun, Fault
from benchmarks.measure import Terms
from benchmarks.process import Server, running
from benchmarks.report import table
from benchmarks.rows import Profile

__all__ = ["FLOODS", "Flood", "main"]

SECONDS = 3
WARM_UP_SECONDS = 0.5
SEND_BYTES = 64 * 1024
READ_BYTES = 256 * 1024
TIMEOUT_SECONDS = 10.0
"""Who waits for longer is reported with that."""

HELLO = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
EMPTY_PING = b"\x89\x80\0\0\0\0"
EMPTY_TEXT = b"\x81\x80\0\0\0\0"
UPLOAD = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"1\r\na\r\n"
CHUNKS = 50_000
"""In each upload, whose echo ends it: the body is bounded, and the next one follows on the same connection."""


@dataclass(frozen=True)
class Flood:
    """What some clients do.

    Attributes:
        title: what the report calls it.
        clients: how many.
        begins: what each sends first.
        repeats: what it then sends without end.
        over_tls: whether each byte of that goes in a TLS record of its own.
    """

    title: str
    clients: int
    begins: bytes
    repeats: bytes
    over_tls: bool = False


ONE_UPLOAD = UPLOAD + CHUNK * CHUNKS + b"0\r\n\r\n"
FLOODS = (
    Flood("empty pings, 1 client", 1, UPGRADE, EMPTY_PING * 10_000),
    Flood("empty pings, 20 clients", 20, UPGRADE, EMPTY_PING * 10_000),
    Flood("empty messages, 20 clients", 20, UPGRADE, EMPTY_TEXT * 10_000),
    Flood("chunks of one byte, 20 uploads", 20, b"", ONE_UPLOAD),
    Flood("pipelined requests, 20 clients", 20, b"", HELLO * 2_000),
    Flood("TLS records of one byte, 20 clients", 20, b"", HELLO * 50, over_tls=True),
)


def main() -> None:
    seconds = number_from("SECONDS", SECONDS)
    loop = os.environ.get("LOOP", "") or "uvloop"
    servers = [whorl("Whorl", loop, loop), uvicorn("httptools", loop, loop)]
    lines = []
    behind = []
    with prepared(seconds) as terms:
        for flood in FLOODS:
            tell(flood.title)
            medians = []
            for server in servers:
                waits, busy = measure(flood, server, terms)
                medians.append(statistics.median(waits))
                p99 = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else waits[0]
                lines.append((flood.title, server.name, milliseconds(medians[-1]), milliseconds(p99), f"{busy:.2f}"))
            if medians[0] > medians[1]:
                behind.append(flood.title)
    print(table(("flood", "server", "median ms", "p99 ms", "CPU"), lines))
    if behind:
        sys.exit(f"Whorl is behind: {', '.join(behind)}")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def measure(flood: Flood, contender: Contender, terms: Terms) -> tuple[list[float], float]:
    """Flood a server.

    Returns:
        how long the other client waited, in seconds, each time; and how many CPUs the server was busy on.
    """
    with running(contender, Profile.TLS if flood.over_tls else Profile.PLAIN, terms.cores, terms.folder) as server:
        with flooded(flood, server, terms), server.connect(TIMEOUT_SECONDS) as client:
            time.sleep(WARM_UP_SECONDS)
            begins, used = time.perf_counter(), cpu_seconds(server.pid)
            waits: list[float] = []
            while (asked := time.perf_counter()) < begins + terms.seconds:
                try:
                    ask(client)
                except TimeoutError:
                    waits.append(TIMEOUT_SECONDS)
                    break
                waits.append(time.perf_counter() - asked)
            return waits, (cpu_seconds(server.pid) - used) / (time.perf_counter() - begins)


def ask(client: socket.socket) -> None:
    client.sendall(HELLO)
    received = b""
    while not received.endswith(b"Hello, world"):
        data = client.recv(READ_BYTES)
        if not data:
            raise Fault("the connection of the other client was closed")
        received += data


@contextmanager
def flooded(flood: Flood, server: Server, terms: Terms) -> Iterator[None]:
    """Run the flood in a process of its own, so that it does not wait for the other client."""
    context = Certificate.in_folder(terms.folder).client_context() if flood.over_tls else None
    process = multiprocessing.get_context("fork").Process(target=run_flood, args=(flood, server.port, context))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def run_flood(flood: Flood, port: int, context: ssl.SSLContext | None) -> None:
    """Send, and read whatever comes, until the process is ended. A client that the server disconnects comes again."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with selectors.DefaultSelector() as selector:
        for _ in range(flood.clients):
            join_flood(flood, port, context, selector)
        while True:
            for key, events in selector.select():
                client, sender = key.fileobj, key.data
                assert isinstance(client, socket.socket)
                try:
                    if events & selectors.EVENT_READ and not client.recv(READ_BYTES):
                        raise ConnectionResetError
                    if events & selectors.EVENT_WRITE:
                        sender.send(client)
                except ConnectionError:
                    selector.unregister(client)
                    client.close()
                    join_flood(flood, port, context, selector)


def join_flood(flood: Flood, port: int, context: ssl.SSLContext | None, selector: selectors.BaseSelector) -> None:
    """Connect another client."""
    client, encrypt = connect(port, context)
    client.sendall(encrypt(flood.begins))
    client.setblocking(False)
    selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, Sender(flood.repeats, encrypt))


class Sender:
    """What is left to send on one connection."""

    def __init__(self, repeats: bytes, encrypt: Callable[[bytes], bytes]) -> None:
        self._repeats = repeats
        self._encrypt = encrypt
        self._left = memoryview(b"")

    def send(self, client: socket.socket) -> None:
        if not self._left:
            self._left = memoryview(self._encrypt(self._repeats))
        try:
            self._left = self._left[client.send(self._left[:SEND_BYTES]) :]
        except BlockingIOError:
            pass


def connect(port: int, context: ssl.SSLContext | None) -> tuple[socket.socket, Callable[[bytes], bytes]]:
    """A connection, and what makes TLS records of bytes, one of each, where that is wanted."""
    client = socket.create_connection((HOST, port), TIMEOUT_SECONDS)
    if context is None:
        return client, bytes
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.sendall(outgoing.read())
            incoming.write(client.recv(READ_BYTES))

    def encrypt(data: bytes) -> bytes:
        for byte in data:
            tls.write(bytes((byte,)))
        return outgoing.read()

    return client, encrypt


if __name__ == "__main__":
    try:
        main()
    except CannotRun as error:
        sys.exit(f"error: {error}")
