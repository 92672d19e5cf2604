"""What the connections of a server do in one iteration of the loop, stage by stage.

Handling one connection at a time evicts the next stage's code and data from the caches and the branch predictor, so a
batch runs each stage for all connections first. A response waits for the others of its batch, as it does on uvloop.

| stage | method | what it does |
|---|---|---|
| read | `read` | decrypts, or parses, what one read returned |
| decrypted | `decrypted` | parses what was decrypted |
| request | `request` | starts a request: its application runs until it first waits |
| response | `flush` | joins what a connection has to write |
| encrypt | `encrypt` | encrypts it |
| write | `write` | writes it to the socket |

Each method defers while its stage is open, else executes at once. What is larger than `MAX_BATCHED_BYTES` is not
deferred: it is best handled while it is in the cache.
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

    __slots__ = ("_decrypted", "_max_delay_seconds", "_reads", "_requests", "_responses", "_to_encrypt", "_to_write")

    def __init__(self, max_delay_seconds: float = MAX_RESPONSE_DELAY_SECONDS) -> None:
        self._max_delay_seconds = max_delay_seconds
        # None: the stage is not open, and its method executes at once.
        self._reads: list[tuple[ReadSink, bytes]] | None = None
        self._decrypted: list[tuple[DataSink, bytes]] | None = None
        self._requests: list[tuple[RequestSink, Any]] | None = None
        self._responses: list[Flushable] | None = None
        self._to_encrypt: list[Flushable] | None = None
        self._to_write: list[Flushable] | None = None

    # What connections ask for

    def read(self, sink: ReadSink, data: bytes) -> None:
        """Have what was read delivered."""
        reads = self._reads
        if reads is not None and len(data) <= MAX_BATCHED_BYTES:
            reads.append((sink, data))
        else:
            sink.deliver_read(data)

    def decrypted(self, sink: DataSink, data: bytes) -> None:
        """Have decrypted data delivered."""
        if self._decrypted is None:
            sink.data_received(data)
        else:
            self._decrypted.append((sink, data))

    def defers_requests(self) -> bool:
        """Return whether `request` would defer."""
        return self._requests is not None

    def request(self, sink: RequestSink, request: Any) -> None:
        """Have a request started."""
        if self._requests is None:
            sink.start_request(request)
        else:
            self._requests.append((sink, request))

    def defer_flush(self, writer: Flushable) -> bool:
        """Have a writer flushed with the responses of this batch. Returns False if none is being collected."""
        if self._responses is None:
            return False
        self._responses.append(writer)
        return True

    def defer_encryption(self, writer: Flushable, size_bytes: int) -> bool:
        """Have a writer flushed in the stage `encrypt`. Returns False if it has to encrypt at once."""
        if self._to_encrypt is None or size_bytes > MAX_BATCHED_BYTES:
            return False
        self._to_encrypt.append(writer)
        return True

    def defer_write(self, writer: Flushable, size_bytes: int) -> bool:
        """Have a writer flushed in the stage `write`. Returns False if it has to write at once."""
        if self._to_write is None or size_bytes > MAX_BATCHED_BYTES:
            return False
        self._to_write.append(writer)
        return True

    def is_writing(self) -> bool:
        """Return whether the stage `write` follows."""
        return self._to_write is not None

    # What the poller asks for

    def open(self) -> None:
        """Collect what is read from now on, until `process`."""
        self._reads = []

    def process(self) -> None:
        """Run the stages."""
        reads, decrypted = self._reads or [], self._decrypted or []
        self._reads = self._decrypted = None
        if reads or decrypted:
            self._run(reads, decrypted, [])

    def _run(
        self,
        first: list[tuple[ReadSink, bytes]],
        second: list[tuple[DataSink, bytes]],
        third: list[tuple[RequestSink, Any]],
    ) -> None:
        self._decrypted = second
        self._requests = third
        self._responses = []
        # The iterator of a list returns what is appended meanwhile.
        reads, decrypted, requests = iter(first), iter(second), iter(third)
        try:
            for read_sink, data in reads:
                read_sink.deliver_read(data)
            self._decrypted = None
            for data_sink, data in decrypted:
                data_sink.data_received(data)
            self._requests = None
            max_delay_seconds = self._max_delay_seconds
            deadline = perf_counter() + max_delay_seconds
            for request_sink, request in requests:
                request_sink.start_request(request)
                if perf_counter() > deadline:
                    responses, self._responses = self._responses, []
                    self.flush(responses)
                    deadline = perf_counter() + max_delay_seconds
        finally:
            responses = self._responses
            self._decrypted = self._requests = self._responses = None
            self.flush(responses)
            left = (list(reads), list(decrypted), list(requests))
            if any(left):  # SystemExit or KeyboardInterrupt: serve the others before the process ends
                self._run(*left)

    def flush(self, writers: Iterable[Flushable]) -> None:
        """Join, encrypt and write what some writers have to send."""
        to_encrypt: list[Flushable] = []
        to_write: list[Flushable] = []
        self._to_encrypt = to_encrypt
        self._to_write = to_write
        try:
            for writer in writers:
                writer.flush()
            self._to_encrypt = None
            for writer in to_encrypt:
                writer.flush()
        finally:
            self._to_encrypt = self._to_write = None
            for writer in to_write:
                writer.flush()
