"""What the connections of a server do in one iteration of the loop, stage by stage.

Handling one connection at a time evicts the next stage's code and data from the caches and the branch predictor, so a
batch runs each stage for all connections first. A response waits for the others of its batch, as it does on uvloop.

| stage | method | what it does |
|---|---|---|
| read | `read` | decrypts, or parses, what one read returned |
| decrypted | `decrypted` | parses what was decrypted |
| request | `request` | starts a request: its application runs until it first waits |
| response | `flush` | joins what a connection has to write |
| encryption | `encrypt` | encrypts it |
| write | `write` | writes it to the socket |

While a stage is open (`defers_…`), its method defers. Else the caller goes on at once without a call, which would cost
half a percent of a small request in pure Python. What is larger than `MAX_BATCHED_BYTES` is best handled while it is in
the cache, and is never deferred.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, Protocol

__all__ = ["MAX_BATCHED_BYTES", "MIN_BATCH_SIZE", "DataSink", "Flushable", "IoBatch", "ReadSink", "RequestSink"]

MIN_BATCH_SIZE: Final = 8
"""A batch pays from so many connections on. With fewer, a client gets its response sooner without one."""

MAX_BATCHED_BYTES: Final = 16 * 1024

MAX_RESPONSE_DELAY_SECONDS: Final = 0.005
"""A response waits so long for the applications of other requests, and then for the one that runs."""


class ReadSink(Protocol):
    """Takes what was read from its socket. Its errors are its own: other connections follow."""

    def deliver_read(self, data: bytes) -> None:
        """Handle what was read."""


class DataSink(Protocol):
    """Takes decrypted data. Its errors are its own."""

    def data_received(self, data: bytes) -> None:
        """Handle the data."""


class RequestSink(Protocol):
    """Starts its requests. Its errors are its own."""

    def start_request(self, request: Any) -> None:
        """Start a request."""


class Flushable(Protocol):
    """Has something to send. Its errors are its own."""

    def flush(self) -> None:
        """Send it."""


class IoBatch:
    """The stages of one batch.

    Args:
        max_delay_seconds: how long a response waits for the applications of other requests.
    """

    __slots__ = (
        "_decrypted",
        "_max_delay_seconds",
        "_reads",
        "_requests",
        "_responses",
        "_to_encrypt",
        "_to_write",
        "defers_decrypted",
        "defers_encryption",
        "defers_flush",
        "defers_reads",
        "defers_requests",
        "defers_writes",
    )

    def __init__(self, max_delay_seconds: float = MAX_RESPONSE_DELAY_SECONDS) -> None:
        self._max_delay_seconds = max_delay_seconds
        self._reads: list[tuple[ReadSink, bytes]] = []
        self._decrypted: list[tuple[DataSink, bytes]] = []
        self._requests: list[tuple[RequestSink, Any]] = []
        self._responses: list[Flushable] = []
        self._to_encrypt: list[Flushable] = []
        self._to_write: list[Flushable] = []
        self.defers_reads = False
        self.defers_decrypted = False
        self.defers_requests = False
        self.defers_flush = False
        self.defers_encryption = False
        self.defers_writes = False

    # While a stage is open

    def read(self, sink: ReadSink, data: bytes) -> None:
        """Have what was read delivered."""
        self._reads.append((sink, data))

    def decrypted(self, sink: DataSink, data: bytes) -> None:
        """Have decrypted data delivered."""
        self._decrypted.append((sink, data))

    def request(self, sink: RequestSink, request: Any) -> None:
        """Have a request started."""
        self._requests.append((sink, request))

    def flush(self, writer: Flushable) -> None:
        """Have a writer flushed with the responses of this batch."""
        self._responses.append(writer)

    def encrypt(self, writer: Flushable) -> None:
        """Have a writer flushed when all have joined what they write."""
        self._to_encrypt.append(writer)

    def write(self, writer: Flushable) -> None:
        """Have a writer flushed when all have encrypted."""
        self._to_write.append(writer)

    # What the poller asks for

    def open(self) -> None:
        """Collect what is read from now on, until `process`."""
        self.defers_reads = self.defers_decrypted = True

    def process(self) -> None:
        """Run the stages."""
        if self.defers_reads:
            reads, self._reads = self._reads, []
            decrypted, self._decrypted = self._decrypted, []
            self.defers_reads = False
            self._run(reads, decrypted, [])

    def _run(
        self,
        first: list[tuple[ReadSink, bytes]],
        second: list[tuple[DataSink, bytes]],
        third: list[tuple[RequestSink, Any]],
    ) -> None:
        self._decrypted = second
        self._requests = third
        self.defers_decrypted = self.defers_requests = self.defers_flush = True
        # The iterator of a list returns what is appended meanwhile.
        reads, decrypted, requests = iter(first), iter(second), iter(third)
        try:
            for read_sink, data in reads:
                read_sink.deliver_read(data)
            self.defers_decrypted = False
            for data_sink, data in decrypted:
                data_sink.data_received(data)
            self.defers_requests = False
            max_delay_seconds = self._max_delay_seconds
            deadline = perf_counter() + max_delay_seconds
            for request_sink, request in requests:
                request_sink.start_request(request)
                if perf_counter() > deadline:
                    self._send_responses()
                    deadline = perf_counter() + max_delay_seconds
        finally:
            self.defers_decrypted = self.defers_requests = self.defers_flush = False
            self._decrypted, self._requests = [], []
            self._send_responses()
            left = (list(reads), list(decrypted), list(requests))
            if any(left):  # SystemExit or KeyboardInterrupt: serve the others before the process ends
                self._run(*left)

    def _send_responses(self) -> None:
        responses, self._responses = self._responses, []
        self.send(responses)

    def send(self, writers: Iterable[Flushable]) -> None:
        """Join, encrypt and write what some writers have to send."""
        self.defers_encryption = self.defers_writes = True
        try:
            for writer in writers:
                writer.flush()
            self.defers_encryption = False
            to_encrypt, self._to_encrypt = self._to_encrypt, []
            for writer in to_encrypt:
                writer.flush()
        finally:
            self.defers_encryption = self.defers_writes = False
            to_write, self._to_write = self._to_write, []
            for writer in to_write:
                writer.flush()
