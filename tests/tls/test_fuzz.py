"""Handshakes and records that are damaged, cut short or never come: each connection ends, and nothing of it is left.

`make soak` does it with 10,000 idle handshakes at a time, and for longer.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import descriptors, get, resident_bytes, until
from tests.tls.client import TlsClient

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
DAMAGED = 10_000 if SOAK else 120
IDLE, HANDSHAKE_SECONDS = (10_000, 30.0) if SOAK else (300, 2.0)
MIB = 1024 * 1024
# Of an idle handshake: half of them have sent a hello, for which OpenSSL keeps what it needs.
MOST_BYTES_EACH = 100 * 1024

RECORD_TYPES = (20, 21, 22, 23, 24, 0, 71, 255)


@pytest.fixture(scope="module", autouse=True)
def enough_descriptors() -> Iterator[None]:
    """For clients and server, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def held(server: Process, trusting: ssl.SSLContext) -> dict[str, int]:
    """What the server holds, this connection included."""
    with TlsClient(server, trusting) as client:
        found: dict[str, int] = json.loads(client.ask(get("/inspect", "Connection: close")).content)
        return found


@contextmanager
def nothing_left(server: Process, loop_name: str, trusting: ssl.SSLContext, count: int) -> Iterator[None]:
    """What comes in this block leaves no connection, task, timer or file descriptor behind."""
    before, open_before = held(server, trusting), descriptors(server)
    yield
    # One loop lets go of what was closed in batches, whenever more is closed.
    slack = min(count, 400) if loop_name.startswith("rloop") else 0

    def is_so() -> bool:
        now = held(server, trusting)
        return all(now[kind] <= before[kind] + slack for kind in before) and descriptors(server) <= open_before + slack

    until(is_so, 60, lambda: (before, held(server, trusting), open_before, descriptors(server)))


class Shaker:
    """The client's end of a handshake whose bytes are in our hands."""

    def __init__(self, trusting: ssl.SSLContext) -> None:
        self.to_us, self.to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trusting.wrap_bio(self.to_us, self.to_them, server_hostname="localhost")

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.to_them.read()

    def finish(self, client: socket.socket) -> bytes:
        """Go on to the end of the handshake. Returns what ends it, unsent."""
        while True:
            received = client.recv(65536)
            if not received:
                raise ConnectionError("the server closed inside a handshake that is in order")
            self.to_us.write(received)
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                client.sendall(self.to_them.read())
            else:
                return self.to_them.read()

    def request(self) -> bytes:
        self.tls.write(get())
        return self.to_them.read()


def damage(octets: bytes, dice: random.Random) -> bytes:
    """The same with something wrong."""
    match dice.randrange(7):
        case 0:  # cut short
            return octets[: dice.randrange(len(octets))]
        case 1:  # a few bytes flipped
            changed = bytearray(octets)
            for _ in range(dice.randrange(1, 6)):
                changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            return bytes(changed)
        case 2:  # a piece twice
            at, end = sorted(dice.randrange(len(octets) + 1) for _ in range(2))
            return octets[:end] + octets[at:]
        case 3:  # a piece missing
            at, end = sorted(dice.randrange(len(octets) + 1) for _ in range(2))
            return octets[:at] + octets[end:]
        case 4:  # a record of another type, or that lies about its length
            return bytes([dice.choice(RECORD_TYPES), 3, dice.randrange(5)]) + dice.randbytes(2) + octets[5:]
        case 5:  # a record before it
            size = dice.choice((0, 1, 2, 64, 16384, 17000))
            header = bytes([dice.choice(RECORD_TYPES), 3, 3]) + size.to_bytes(2, "big")
            return header + dice.randbytes(min(size, 2000)) + octets
        case _:  # nothing but noise
            return b"\x16\x03\x01" + dice.randbytes(dice.randrange(1, 600))


def attack(server: Process, trusting: ssl.SSLContext, dice: random.Random) -> None:
    """One connection with damage at a stage of it, left in one way or another."""
    shaker = Shaker(trusting)
    with server.connect() as client:
        try:
            stage = dice.randrange(3)
            octets = shaker.hello()
            if stage:
                client.sendall(octets)
                octets = shaker.finish(client)
            if stage == 2:
                client.sendall(octets)
                octets = shaker.request()
            client.sendall(damage(octets, dice))
            match dice.randrange(3):
                case 0:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                case 1:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except ConnectionError:
            pass


def test_damage_ends_the_connection(loop_name: str, certificate: dict[str, Any], trusting: ssl.SSLContext) -> None:
    options = {"timeout_tls_handshake": 2, "timeout_first_byte": 2, "timeout_request_head": 2, "timeout_keep_alive": 2}
    with serve("tests.apps:app", loop=loop_name, **options, **certificate) as server:
        for number in range(20):  # whatever grows once has grown
            attack(server, trusting, random.Random(number))
        dice = random.Random(8446)
        with nothing_left(server, loop_name, trusting, DAMAGED):
            for _ in range(DAMAGED):
                attack(server, trusting, dice)
        assert server.stop() == 0
        assert not [line for line in server.stderr if "Traceback" in line or "bug of Whorl" in line], server.stderr


def test_idle_handshakes_cost_little_and_end(
    loop_name: str, certificate: dict[str, Any], trusting: ssl.SSLContext
) -> None:
    """Half of them say nothing at all, a quarter half of a hello, a quarter a hello and never what follows."""
    with serve("tests.apps:app", loop=loop_name, timeout_tls_handshake=HANDSHAKE_SECONDS, **certificate) as server:
        hello = Shaker(trusting).hello()
        stages = (b"", hello[: len(hello) // 2], b"", hello)
        held(server, trusting)
        memory = resident_bytes(server)
        with nothing_left(server, loop_name, trusting, IDLE):
            clients: list[socket.socket] = []
            try:
                began = time.monotonic()
                for number in range(IDLE):
                    client = server.connect()
                    clients.append(client)
                    client.sendall(stages[number % len(stages)])
                assert held(server, trusting)["SSLObject"] > 1, "others are served meanwhile"
                assert resident_bytes(server) < memory + IDLE * MOST_BYTES_EACH + 8 * MIB
                for client in clients:
                    client.settimeout(HANDSHAKE_SECONDS + 20)
                    while client.recv(65536):
                        pass
                assert time.monotonic() - began >= HANDSHAKE_SECONDS
            finally:
                for client in clients:
                    client.close()
        assert server.stop() == 0
