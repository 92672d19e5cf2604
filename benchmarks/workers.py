"""`make bench-workers`: one worker beside two, and one queue of new connections for all beside a queue for each
(--reuse-port).

Each worker is under the same load, some of what it can do, so that there is time to spare, and what counts is the CPU
time per request: two workers that need 1/0.85 of it do 1.7 times as much with two cores. (A worker that has less to do
takes less from each turn of its loop, and pays more for a request: one at 40 % and two at 20 % do not compare.) Where
the machine has a third CPU for the load, requests per second are measured as well. How even the load is spread is the
busiest worker's part of the CPU time of all workers.

LOOP= is the loop, uvloop by default; ROUNDS= and SECONDS= as for `make bench`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import wrk
from benchmarks.__main__ import number_from, prepared, tell
from benchmarks.check import check, warm_up
from benchmarks.contenders import whorl
from benchmarks.cost import cpu_seconds, family
from benchmarks.fault import CannotRun, Fault
from benchmarks.measure import Terms
from benchmarks.process import Server, running
from benchmarks.report import table
from benchmarks.rows import BY_NAME, Row

__all__ = ["Found", "main", "report"]

ONE, SHARED, OWN = "1 worker", "2 workers, one queue", "2 workers, a queue each"
WAYS = {ONE: (), SHARED: ("--workers", "2"), OWN: ("--workers", "2", "--reuse-port")}
WORKERS = {ONE: 1, SHARED: 2, OWN: 2}
ROWS = ("hello", "newconn")
ROUNDS, SECONDS = 5, 2
LOAD = 0.4
"""Which part of its capacity is asked of each worker: the load has to fit beside the workers on two CPUs."""
START_SECONDS, LOOK_SECONDS, IDLE = 60.0, 0.5, 0.05
"""How long workers may take to start; how often to look; which part of a CPU is next to nothing."""
BAR = 1.7
"""How many times as much as one worker two have to do."""


@dataclass(frozen=True)
class Found:
    """One measurement.

    Attributes:
        cost_us: CPU time per request, microseconds.
        p99_us: within which 99 of 100 responses came.
        busiest: the busiest worker's part of all workers' CPU time.
        per_second: requests, with nothing held back; None where the load has no CPU of its own.
    """

    cost_us: float
    p99_us: float
    busiest: float
    per_second: float | None = None


def main() -> None:
    rounds, seconds = number_from("ROUNDS", ROUNDS), number_from("SECONDS", SECONDS)
    loop = os.environ.get("LOOP", "") or "uvloop"
    found: dict[tuple[str, str], list[Found]] = defaultdict(list)
    with prepared(seconds, two_cores=True) as terms, ExitStack() as stack:
        servers = dict(started(loop, terms, stack))
        for name in ROWS:
            row = BY_NAME[name]
            pause_ms = pause(servers[ONE], row)
            for number in range(rounds):
                tell(f"round {number + 1} of {rounds}, {row.title}")
                for way, server in in_turn(servers, number):
                    found[name, way].append(measure(server, row, terms, max(1, pause_ms // WORKERS[way])))
    print(f"Whorl on {loop}, workers on CPUs {sorted(terms.cores.servers)}, load on CPU {terms.cores.load}\n")
    print(report(found))


def started(loop: str, terms: Terms, stack: ExitStack) -> Iterator[tuple[str, Server]]:
    """The servers, side by side: each idle while another is measured."""
    for way, options in WAYS.items():
        contender = whorl(way, loop, loop, options=options)
        server = stack.enter_context(running(contender, BY_NAME[ROWS[0]].profile, terms.cores, terms.folder))
        wait_for_workers(server, 3 if options else 1)
        yield way, server


def wait_for_workers(server: Server, count: int) -> None:
    """Wait for the processes, and for the last of them to have started: it uses next to no CPU time then."""
    ends = time.monotonic() + START_SECONDS
    used = 0.0
    while True:
        before, used = used, cpu_seconds(server.pid)
        if len(family(server.pid)) == count and used - before < IDLE * LOOK_SECONDS:
            return
        if time.monotonic() > ends:
            raise Fault(f"{server.contender}: {len(family(server.pid))} of {count} processes")
        time.sleep(LOOK_SECONDS)


def in_turn(servers: Mapping[str, Server], number: int) -> Sequence[tuple[str, Server]]:
    """Forwards and backwards, so that nobody is always the first."""
    return list(servers.items())[:: -1 if number % 2 else 1]


def pause(server: Server, row: Row) -> int:
    """How long each connection has to wait between two requests, milliseconds, for the load to be what it should."""
    size_bytes = check(server, row)
    warm_up(server, row, size_bytes)
    capacity = wrk.load(server, row, 1, size_bytes).per_second
    return max(1, round(row.connections / (capacity * LOAD) * 1000))


def measure(server: Server, row: Row, terms: Terms, pause_ms: int) -> Found:
    """Measure one way.

    Raises:
        Fault: it answered wrongly, too little or not at all.
    """
    size_bytes = check(server, row)
    warm_up(server, row, size_bytes)
    before = {pid: cpu_seconds(pid) for pid in family(server.pid)}
    answer = wrk.load(server, row, terms.seconds, size_bytes, pause_ms)
    used = {pid: cpu_seconds(pid) - seconds for pid, seconds in before.items()}
    of_workers = [seconds for pid, seconds in used.items() if pid != server.pid] or list(used.values())
    per_second = None
    if terms.cores.load not in terms.cores.servers:
        per_second = wrk.load(server, row, terms.seconds, size_bytes).per_second
    return Found(used[server.pid] * 1e6 / answer.requests, answer.p99_us, max(of_workers) / sum(of_workers), per_second)


def report(found: Mapping[tuple[str, str], Sequence[Found]]) -> str:
    """A table, and what it comes to."""
    lines, verdicts = [], []
    for name in ROWS:
        for way in WAYS:
            samples = found[name, way]
            times = times_one(found, name, way)
            told = [sample.per_second for sample in samples if sample.per_second is not None]
            lines.append(
                (
                    BY_NAME[name].title,
                    way,
                    f"{statistics.median(sample.cost_us for sample in samples):.1f}",
                    f"{times:.2f}",
                    f"{statistics.median(sample.busiest for sample in samples):.0%}",
                    f"{statistics.median(sample.p99_us for sample in samples) / 1000:.1f}",
                    f"{statistics.median(told):.0f}" if told else "",
                )
            )
            if way != ONE:
                verdict = "meets" if times >= BAR else "MISSES"
                verdicts.append(f"{BY_NAME[name].title}, {way}: {times:.2f} times one worker {verdict} the bar, {BAR}")
    head = ("row", "", "CPU µs per request", "times one worker", "busiest worker", "p99 ms", "requests/s, full load")
    return table(head, lines) + "\n\n" + "\n".join(verdicts)


def times_one(found: Mapping[tuple[str, str], Sequence[Found]], name: str, way: str) -> float:
    """How much of one worker's work these do with a core each: the median of the rounds' ratios."""
    pairs = zip(found[name, ONE], found[name, way], strict=True)
    return statistics.median(WORKERS[way] * one.cost_us / this.cost_us for one, this in pairs)


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, Fault) as error:
        sys.exit(f"error: {error}")
