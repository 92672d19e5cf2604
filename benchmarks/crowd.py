"""Many clients in one process: for rows where most of them wait most of the time.

They are opened, asked and read together, with one selector, on the load's core.
"""

from __future__ import annotations

import selectors
import socket
import time
from types import TracebackType
from typing import cast

from benchmarks.fault import Fault
from benchmarks.process import Server

__all__ = ["Crowd"]

BATCH = 500
"""How many connect at once: below every server's backlog."""
READ_BYTES = 256 * 1024
TIMEOUT_SECONDS = 60.0


class Crowd:
    """Clients of one server; leaving the context closes their connections.

    Args:
        server: theirs.
        count: how many.
    """

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._clients: list[socket.socket] = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self._selector.close()

    def ask(self, request: bytes, ending: bytes) -> dict[socket.socket, bytes]:
        """Every client, connected first if it is not, sends a request and reads until its response ends so.

        Returns:
            What came, by client.

        Raises:
            Fault: a connection failed, closed or stalled.
        """
        answers: dict[socket.socket, bytes] = {}
        try:
            if not self._clients:
                for start in range(0, self._count, BATCH):
                    batch = [self._connect() for _ in range(min(BATCH, self._count - start))]
                    answers |= self._exchange(batch, request, ending)
            else:
                answers = self._exchange(self._clients, request, ending)
        except OSError as error:
            raise Fault(f"{self._server.contender}: client {len(self._clients)} of {self._count}: {error}") from None
        return answers

    def _connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._server.port), timeout=TIMEOUT_SECONDS)
        client.setblocking(False)
        self._selector.register(client, selectors.EVENT_READ)
        self._clients.append(client)
        return client

    def _exchange(self, clients: list[socket.socket], request: bytes, ending: bytes) -> dict[socket.socket, bytes]:
        received: dict[socket.socket, list[bytes]] = {client: [] for client in clients}
        for each in clients:
            each.sendall(request)
        waiting = len(clients)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while waiting:
            for key, _ in self._selector.select(1.0):
                client = cast("socket.socket", key.fileobj)
                data = client.recv(READ_BYTES)
                if not data or client not in received:
                    raise Fault(f"{self._server.contender} closed a connection, or spoke unasked: {data[:60]!r}")
                pieces = received[client]
                pieces.append(data)
                if data.endswith(ending) or (len(data) < len(ending) and b"".join(pieces).endswith(ending)):
                    waiting -= 1
            if time.monotonic() > deadline:
                raise Fault(f"{self._server.contender}: {waiting} of {len(clients)} responses are not complete")
        return {client: b"".join(pieces) for client, pieces in received.items()}

    def still_open(self) -> int:
        """How many connections the server has not closed."""
        closed = sum(1 for _ in self._selector.select(0))
        return len(self._clients) - closed
