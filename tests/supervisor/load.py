"""Clients that never stop: some keep their connection, some make one for each request. Each request must be answered.

A client here is as strict as can be: it does not try again. The one thing it honours is `Connection: close`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

PAUSE_SECONDS = 0.002 if os.environ.get("WHORL_TEST_SOAK") == "1" else 0.01
"""Between two requests of a client: some hundreds a second in all, which leaves the workers CPU time to start."""


class Target(Protocol):
    """A server to connect to, such as a `Process`."""

    stderr: list[str]

    def connect(self) -> socket.socket: ...


@dataclass
class Load:
    """Clients in threads, a context manager.

    Args:
        process: the server.
        keeping: how many clients keep their connection.
        short: how many make one for each request.

    Attributes:
        sent: how many requests were sent.
        answered: how many were answered with 200.
        failed: what went wrong with the others.
        answered_by: the contents of the answers: the pids of workers.
    """

    process: Target
    keeping: int = 2
    short: int = 2
    sent: int = 0
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    answered_by: set[str] = field(default_factory=set)
    _is_over: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Load:
        for target, count in ((self._keep, self.keeping), (self._connect_each_time, self.short)):
            for _ in range(count):
                self._threads.append(threading.Thread(target=self._run, args=(target,)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def take_answered_by(self) -> list[str]:
        """Return what answered since the last call."""
        with self._lock:
            answered_by, self.answered_by = self.answered_by, set()
        return sorted(answered_by)

    def check(self) -> None:
        """Assert that there were requests and none failed."""
        assert self.failed == [], (len(self.failed), self.failed[:5], self.report(), self.process.stderr[-30:])
        assert self.sent == self.answered > 0

    def report(self) -> str:
        return f"{self.sent} requests sent, {self.answered} answered, {len(self.failed)} failed"

    def _run(self, target: Callable[[], None]) -> None:
        while not self._is_over:
            try:
                target()
            except Exception as error:
                with self._lock:
                    self.failed.append(f"{target.__name__}: {error!r}")

    def _keep(self) -> None:
        with self.process.connect() as client:
            file = client.makefile("rb")
            is_first = True
            while not self._is_over:
                if self._ask(client, file, b"", "first" if is_first else "later"):
                    return
                is_first = False

    def _connect_each_time(self) -> None:
        with self.process.connect() as client:
            self._ask(client, client.makefile("rb"), b"Connection: close\r\n", "only")

    def _ask(self, client: socket.socket, file: object, fields: bytes, which: str) -> bool:
        """Send one request. Returns whether the server closes the connection after it."""
        with self._lock:
            self.sent += 1
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        line: bytes = file.readline()  # type: ignore[attr-defined]
        if not line:
            raise ConnectionError(f"closed without an answer to the {which} request")
        status, length, closes = int(line.split()[1]), 0, False
        while (line := file.readline().lower().strip()) != b"":  # type: ignore[attr-defined]
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            closes = closes or line == b"connection: close"
        content: bytes = file.read(length)  # type: ignore[attr-defined]
        if status != 200 or len(content) != length or not length:
            raise ConnectionError(f"status {status}, {len(content)} of {length} bytes")
        with self._lock:
            self.answered += 1
            self.answered_by.add(content.decode())
        time.sleep(PAUSE_SECONDS)
        return closes
