"""One loop, measured in a process of its own: `python -m whorl.loops.bench_worker LOOP SECONDS`.

Started by `bench`, which reads what it prints, one JSON object a line: first the CPU cost of each workload that needs
no network, then the port of an echo server. From then on each line on its standard input is answered with the CPU
time used so far, and the end of the input, or of the process that held it, ends this one.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import cast

from whorl.loops.choice import resolve

__all__ = ["main"]

BATCH = 500
MOST_BATCHES = 100_000
"""A bound for a clock that stands still; no loop comes near it."""

READ_LIMIT_BYTES = 65536
"""asyncio asks for 256 KiB at each read, which glibc serves with fresh memory from the kernel, at thrice the cost."""

Again = Callable[[], None]
Workload = Callable[[asyncio.AbstractEventLoop, Again], None]


def nothing() -> None:
    """The callback whose cost is nearly all the loop's."""


def queue_callbacks(loop: asyncio.AbstractEventLoop, again: Again) -> None:
    for _ in range(BATCH):
        loop.call_soon(nothing)
    loop.call_soon(again)


def fire_timers(loop: asyncio.AbstractEventLoop, again: Again) -> None:
    for _ in range(BATCH):
        loop.call_later(0.001, nothing)
    loop.call_later(0.002, again)


def cancel_timers(loop: asyncio.AbstractEventLoop, again: Again) -> None:
    for _ in range(BATCH):
        loop.call_later(30, nothing).cancel()
    loop.call_soon(again)


WORKLOADS: dict[str, Workload] = {
    "call_soon": queue_callbacks,
    "timer fired": fire_timers,
    "timer cancelled": cancel_timers,
}


def cost_microseconds(loop: asyncio.AbstractEventLoop, workload: Workload, seconds: float) -> float:
    """Repeats a workload for a while.

    Args:
        loop: the loop under test, not running.
        workload: queues one batch, and asks to be called again after it.
        seconds: for how long, by the clock on the wall.

    Returns:
        CPU time per operation, user and system, in microseconds.
    """
    batches = 0
    end = time.perf_counter() + seconds

    def again() -> None:
        nonlocal batches
        if batches >= MOST_BATCHES or (batches and time.perf_counter() >= end):
            loop.stop()
            return
        batches += 1
        workload(loop, again)

    loop.call_soon(again)
    begun = time.process_time()
    loop.run_forever()
    return (time.process_time() - begun) * 1e6 / (batches * BATCH)


class Echo(asyncio.Protocol):
    """Sends back what it gets, and reads in the same portions as Whorl's own connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transport is an asyncio.Transport, so nobody asks whether it is one.
        self.transport = cast("asyncio.Transport", transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_LIMIT_BYTES

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def serve_echo(loop: asyncio.AbstractEventLoop) -> None:
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    say({"port": server.sockets[0].getsockname()[1]})
    threading.Thread(target=answer, args=(loop,), daemon=True).start()
    loop.run_forever()


def answer(loop: asyncio.AbstractEventLoop) -> None:
    for _ in sys.stdin:
        say({"cpu_seconds": time.process_time()})
    loop.call_soon_threadsafe(loop.stop)


def say(thing: dict[str, float]) -> None:
    print(json.dumps(thing), flush=True)


def main(loop_name: str, seconds: float) -> None:
    # Ctrl+C reaches the whole process group; only the process that started us decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = resolve(loop_name).make().loop
    costs = {}
    for name, workload in WORKLOADS.items():
        cost_microseconds(loop, workload, seconds / 10)  # warm up
        costs[name] = cost_microseconds(loop, workload, seconds)
    say(costs)
    serve_echo(loop)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
