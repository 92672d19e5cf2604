"""One measurement: a load on a server, and what it cost the server.

Each kind of load is one function, `Load` to function in a table at the end. Every one of them looks at a whole response
before and after. Called by `session`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import wrk
from benchmarks.apps import plain
from benchmarks.check import check, warm_up
from benchmarks.contenders import Contender
from benchmarks.cores import Cores
from benchmarks.cost import cpu_seconds, memory_bytes
from benchmarks.crowd import Crowd
from benchmarks.fault import Fault
from benchmarks.process import Server, running
from benchmarks.rows import Load, Profile, Row
from benchmarks.sample import Sample
from benchmarks.shakers import handshake_in_memory
from benchmarks.talkers import Talkers

__all__ = ["measure", "measure_fresh"]

MILLION = 1_000_000
FIRST_REQUESTS = 10_000
HELLO_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
STARTS = 5
"""How often a server is started for one sample of its start."""
LATE_LINES = 0.01
"""Which part of the access log's lines may still be on their way when the load has ended."""


@dataclass(frozen=True)
class Terms:
    """Attributes: seconds: how long a load lasts; cores: which CPUs; folder: for what the servers write."""

    seconds: int
    cores: Cores
    folder: Path


def measure(server: Server, row: Row, terms: Terms) -> Sample:
    """Measure one row on a server that runs.

    Raises:
        Fault: it answered wrongly, too little or not at all.
    """
    size_bytes = check(server, row)
    warm_up(server, row, size_bytes)
    sample = MEASURES[row.load](server, row, terms, size_bytes)
    check(server, row)
    return replace(sample, memory=memory_bytes(server.pid))


def under_wrk(server: Server, row: Row, terms: Terms, size_bytes: int, pause_ms: int = 0) -> Sample:
    lines_before = line_count(server) if row.profile is Profile.ACCESS_LOG else 0
    before = cpu_seconds(server.pid)
    answer = wrk.load(server, row, terms.seconds, size_bytes, pause_ms)
    used = cpu_seconds(server.pid) - before
    if row.profile is Profile.ACCESS_LOG:
        lines = line_count(server) - lines_before
        if lines < answer.requests * (1 - LATE_LINES):
            raise Fault(f"{server.contender}: {lines} lines in the access log for {answer.requests} requests")
    return Sample(used * 1e6 / answer.requests, answer.per_second, answer.p50_us, answer.p99_us)


def line_count(server: Server) -> int:
    with server.log.open("rb") as file:
        return sum(1 for _ in file)


def at_half(server: Server, row: Row, terms: Terms, size_bytes: int) -> Sample:
    """What the delay is when there is time to spare: each connection pauses so long that half of what the server could
    do is asked of it."""
    capacity = wrk.load(server, row, 1, size_bytes).per_second
    # A connection is busy for its pause and for the response, which takes next to nothing at half the load.
    pause_ms = max(1, round(row.connections / (capacity / 2) * 1000))
    return under_wrk(server, row, terms, size_bytes, pause_ms)


def handshakes(server: Server, row: Row, terms: Terms, size_bytes: int) -> Sample:
    """Clients that connect anew for each request."""
    begun, before = time.monotonic(), cpu_seconds(server.pid)
    answered = handshake_in_memory(server, row, terms.seconds)
    used, seconds = cpu_seconds(server.pid) - before, time.monotonic() - begun
    return Sample(used * 1e6 / answered, answered / seconds)


def events(server: Server, row: Row, terms: Terms, size_bytes: int) -> Sample:
    """Clients that stay and are sent an event at every tick, until each has had as many as it asked for."""
    count = round(terms.seconds / plain.TICK_SECONDS)
    request = f"GET {row.request.path}?{count} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with Crowd(server, row.connections) as crowd:
        before = cpu_seconds(server.pid)
        answers = crowd.ask(request, b"0\r\n\r\n")
        used = cpu_seconds(server.pid) - before
    for answer in answers.values():
        if not answer.startswith(b"HTTP/1.1 200") or answer.count(plain.EVENT) != count:
            raise Fault(f"{server.contender}: {answer.count(plain.EVENT)} of {count} events, {answer[:60]!r}")
    return Sample(used * 1e6 / (count * len(answers)))


def talk(server: Server, row: Row, terms: Terms, size_bytes: int) -> Sample:
    """WebSocket clients: each answered, or all hearing one."""
    with quiet_errors(server), Talkers(server, row) as talkers:
        begun, before = time.monotonic(), cpu_seconds(server.pid)
        heard = talkers.echo(terms.seconds) if row.load is Load.TALK else talkers.broadcast(terms.seconds)
        used, seconds = cpu_seconds(server.pid) - before, time.monotonic() - begun
    return Sample(used * 1e6 / heard, heard / seconds)


@contextmanager
def quiet_errors(server: Server) -> Iterator[None]:
    """A connection that breaks is the server's fault."""
    try:
        yield
    except OSError as error:
        raise Fault(f"{server.contender}: {error!r}") from None


MEASURES: dict[Load, Callable[[Server, Row, Terms, int], Sample]] = {
    Load.WRK: under_wrk,
    Load.HALF: at_half,
    Load.HANDSHAKES: handshakes,
    Load.RESUMPTIONS: handshakes,
    Load.EVENTS: events,
    Load.TALK: talk,
    Load.ROOM: talk,
}


def measure_fresh(contender: Contender, row: Row, terms: Terms) -> Sample:
    """Measure one row on a server that is started for it, and ended after it.

    Raises:
        Fault: as `measure`.
    """
    return FRESH_MEASURES[row.load](contender, row, terms)


def cold_start(contender: Contender, row: Row, terms: Terms) -> Sample:
    """From the start of the process to the end of the first response."""
    seconds = []
    for _ in range(STARTS):
        with running(contender, row.profile, terms.cores, terms.folder) as server:
            check(server, row)
            seconds.append(server.start_seconds)
            memory = memory_bytes(server.pid)
    return Sample(statistics.median(seconds), memory=memory)


def idle(contender: Contender, row: Row, terms: Terms) -> Sample:
    """What a connection holds that has had one response and waits for its next request."""
    with running(contender, row.profile, terms.cores, terms.folder) as server:
        wrk.load(server, replace(row, connections=64), 1, check(server, row))
        before = memory_bytes(server.pid)
        with Crowd(server, row.connections) as crowd:
            answers = crowd.ask(HELLO_REQUEST, plain.HELLO)
            memory = memory_bytes(server.pid)
            if crowd.still_open() < row.connections:
                raise Fault(f"{contender} closed {row.connections - crowd.still_open()} of {row.connections}")
        wrong = sum(not answer.startswith(b"HTTP/1.1 200") for answer in answers.values())
        if wrong:
            raise Fault(f"{contender}: {wrong} wrong responses of {len(answers)}")
        check(server, row)
    return Sample((memory - before) / 1024 / row.connections, memory=memory)


def silence(contender: Contender, row: Row, terms: Terms) -> Sample:
    """What a WebSocket holds over which one message went each way, and then none."""
    with running(contender, row.profile, terms.cores, terms.folder) as server, quiet_errors(server):
        with Talkers(server, replace(row, connections=64)) as talkers:
            talkers.echo(1)
        before = memory_bytes(server.pid)
        with Talkers(server, row) as talkers:
            talkers.echo(0)
            memory = memory_bytes(server.pid)
            talkers.echo(0)
        check(server, row)
    return Sample((memory - before) / 1024 / row.connections, memory=memory)


def million(contender: Contender, row: Row, terms: Terms) -> Sample:
    """Whether memory grows with the requests that were served."""
    with running(contender, row.profile, terms.cores, terms.folder) as server:
        size_bytes = check(server, row)
        with Crowd(server, row.connections) as crowd:
            for _ in range(FIRST_REQUESTS // row.connections + 1):
                crowd.ask(HELLO_REQUEST, plain.HELLO)
        before = memory_bytes(server.pid)
        served = FIRST_REQUESTS
        while served < MILLION:
            served += wrk.load(server, row, 5 if served < MILLION * 3 // 4 else 1, size_bytes).requests
        memory = memory_bytes(server.pid)
        check(server, row)
    return Sample(memory / before, memory=memory)


FRESH_MEASURES: dict[Load, Callable[[Contender, Row, Terms], Sample]] = {
    Load.COLD: cold_start,
    Load.IDLE: idle,
    Load.MILLION: million,
    Load.SILENCE: silence,
}
