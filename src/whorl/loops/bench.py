"""`whorl loops --bench`: what each installed loop costs on this machine, in a table to pick by.

CPU time per operation is measured rather than operations per second: it does not depend on how fast the client is,
and little on what else the machine does. The loop under test has a process of its own (`bench_worker`), so loops do
not disturb one another, and the client of the echo, which runs here, is not counted. Rounds are interleaved: every
loop is measured once in each, so that a slow minute hits all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO

from whorl.loops.bench_worker import WORKLOADS
from whorl.loops.registry import ASYNCIO, KNOWN, KnownLoop, version, why_absent
from whorl.loops.report import columns
from whorl.platform import HERE

__all__ = ["run"]

ECHO = "echo 1 KiB"
MESSAGE = bytes(1024)
CONNECTIONS = 64
"""So many that the server always finds some ready, as under load: with few, its cost hangs on when it wakes."""
ECHO_SHARE = 3
"""How many times longer than each other workload the echo is measured: it matters most, and varies most."""
MOST_ROUNDS = 5
START_SECONDS = 0.3
"""What starting one process takes, about; the rest of its share is measured time."""
GRACE_SECONDS = 2.0
"""How far a process may overrun its share before it is ended. One that hangs is not asked again."""
MOST_ROUND_TRIPS = 10_000_000


class WorkerError(Exception):
    """A process under test died, hung or spoke nonsense; the text says which."""


@dataclass(slots=True)
class Contender:
    """A loop and what has been measured of it.

    Args:
        costs: CPU microseconds per operation for each workload, one figure a round.
        failure: why it is not measured any more.
    """

    known: KnownLoop
    costs: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in (ECHO, *WORKLOADS)})
    failure: str | None = None


class Worker:
    """A process that runs one loop under test; leaving the context ends it, whatever happened."""

    def __init__(self, loop_name: str, seconds: float, limit_seconds: float) -> None:
        # A file and not a pipe: nobody reads it while the process runs, and a pipe that is full would stop it.
        self._errors: IO[str] = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed on leaving)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "whorl.loops.bench_worker", loop_name, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._limit = threading.Timer(limit_seconds, self._process.kill)
        self._limit.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._limit.cancel()
        self._errors.close()

    def read(self) -> dict[str, float]:
        """Returns: the next line that the process prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            answer: dict[str, float] = json.loads(line)
        except ValueError:
            raise WorkerError(self._why_silent()) from None
        return answer

    def cpu_seconds(self) -> float:
        """Returns: the CPU time that the process has used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("cpu\n")
        self._process.stdin.flush()
        return self.read()["cpu_seconds"]

    def _why_silent(self) -> str:
        if self._limit.finished.is_set():
            return "hung and was stopped"
        self._errors.seek(0)
        said = self._errors.read().split("\n")
        return next((line.strip() for line in reversed(said) if line.strip()), "ended without a word")


def run(seconds: float = 15.0) -> str:
    """Measures each known loop that is installed here.

    Args:
        seconds: about how long, in all; a loop that hangs adds at most two seconds once.

    Returns:
        the table, how to read it, and what it was measured on: lines of text without a newline at the end.
    """
    contenders = [Contender(known) for known in KNOWN if why_absent(known, HERE) is None]
    rounds = max(1, min(MOST_ROUNDS, int(seconds / (len(contenders) * 4 * START_SECONDS))))
    share_seconds = seconds / (rounds * len(contenders))
    deadline = time.monotonic() + seconds
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            if contender.failure is None and (number == 0 or time.monotonic() + share_seconds / 2 < deadline):
                measure(contender, share_seconds)
    return "\n".join([show(contenders), "", *explain(contenders)])


def measure(contender: Contender, share_seconds: float) -> None:
    each_seconds = max(0.02, (share_seconds - START_SECONDS) / (len(WORKLOADS) + ECHO_SHARE) / 1.1)
    try:
        with Worker(contender.known.typed, each_seconds, share_seconds + GRACE_SECONDS) as worker:
            costs = worker.read()
            costs[ECHO] = echo_microseconds(worker, int(worker.read()["port"]), each_seconds * ECHO_SHARE)
    except (WorkerError, OSError) as error:
        contender.failure = str(error)
        return
    for name, cost in costs.items():
        contender.costs[name].append(cost)


def echo_microseconds(worker: Worker, port: int, seconds: float) -> float:
    """Returns: the server's CPU time for one message there and back, in microseconds."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=GRACE_SECONDS))
            for _ in range(CONNECTIONS)
        ]
        round_trips(clients, seconds / 10)  # warm up
        before = worker.cpu_seconds()
        count = round_trips(clients, seconds)
        return (worker.cpu_seconds() - before) * 1e6 / count


def round_trips(clients: list[socket.socket], seconds: float) -> int:
    """Sends a message on every connection, awaits every answer, and so on. Returns: how many came back."""
    count = 0
    end = time.perf_counter() + seconds
    while count < MOST_ROUND_TRIPS and (count == 0 or time.perf_counter() < end):
        for client in clients:
            client.sendall(MESSAGE)
        for client in clients:
            receive_answer(client)
        count += len(clients)
    return count


def receive_answer(client: socket.socket) -> None:
    missing = len(MESSAGE)
    while missing:
        data = client.recv(missing)
        if not data:
            raise WorkerError("closed a connection")
        missing -= len(data)


def show(contenders: list[Contender]) -> str:
    """Returns: the table, the cheapest echo first."""
    reference = next(contender for contender in contenders if contender.known is ASYNCIO)
    rows = [("loop", *(f"{name:>15}        " for name in reference.costs))]
    measured = [contender for contender in contenders if contender.costs[ECHO]]
    for contender in sorted(measured, key=lambda contender: statistics.median(contender.costs[ECHO])):
        cells = [cell(costs, reference.costs[name]) for name, costs in contender.costs.items()]
        rows.append((f"{contender.known.name} {version(contender.known, HERE)}", *cells))
    failures = [f"{contender.known.name}: {contender.failure}" for contender in contenders if contender.failure]
    return "\n".join([columns(rows), *failures])


def cell(costs: list[float], reference: list[float]) -> str:
    """Returns: the median, and its ratio to asyncio's.

    Not the lowest: a loop may be cheap in one process and dear in the next, by the mood of the memory allocator.
    """
    cost = statistics.median(costs)
    base = statistics.median(reference) if reference else 0.0
    ratio = f"{cost / base:.2f}x" if base else "-"  # a coarse clock may have seen no time pass
    return f"{cost:12.2f} us {ratio:>7}"


def explain(contenders: list[Contender]) -> list[str]:
    echoes = [contender.costs[ECHO] for contender in contenders if contender.costs[ECHO]]
    rounds = max(map(len, echoes), default=0)
    spread = max(((max(costs) - min(costs)) / statistics.median(costs) for costs in echoes), default=0)
    return [
        "CPU microseconds per operation, user and system, in the process that runs the loop, and the ratio to asyncio.",
        "Less is better. For a server look at echo first.",
        f"Median of {rounds} interleaved rounds; echo varied by up to {spread:.0%} from round to round.",
        f"{sysconfig.get_platform()}, {os.cpu_count()} CPUs, {sys.implementation.name} {HERE.python_version}.",
    ]
