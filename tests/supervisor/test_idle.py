"""What an idle server costs, and how soon it exits."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness import Process, read_response, serve
from tests.supervisor.processes import children

APP = "tests.supervisor.apps:app"
SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
EXIT_SECONDS = 0.2
TRIES = 5
"""The best of these counts, because the machine may be busy with something else."""
IDLE_SECONDS = 20.0
PARENTS_PART = 0.001


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process (clock_getcpuclockid(3)): to the nanosecond, where proc(5) has ticks."""
    return time.clock_gettime(~pid << 3 | 2)


def waited_seconds(pid: int) -> float:
    """How long the threads of a process have waited for a CPU, all together (proc(5), schedstat)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[1])
    return total / 1e9


def seconds_to_exit(server: Process) -> float:
    """From SIGTERM to its exit, with an idle client. What its processes wait for a
    CPU that others use does not count: the parent, and the worker that had to wait longest."""
    parent = server.popen.pid
    before = {pid: waited_seconds(pid) for pid in (parent, *children(server))}
    waited = dict.fromkeys(before, 0.0)
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_response(client)[0] == 200
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        while os.waitid(os.P_PID, parent, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            for pid in before:
                with suppress(OSError):
                    waited[pid] = waited_seconds(pid) - before[pid]
            time.sleep(0.002)
        seconds = time.monotonic() - begun
        assert client.recv(1) == b""
    assert server.wait() == 0
    return seconds - waited.pop(parent) - max(waited.values(), default=0.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_idle_server_exits_at_once(loop_name: str, workers: int) -> None:
    taken: list[float] = []
    while not taken or (min(taken) >= EXIT_SECONDS and len(taken) < TRIES):
        with serve(APP, workers=workers, loop=loop_name) as server:
            taken.append(seconds_to_exit(server))
    assert min(taken) < EXIT_SECONDS, taken


@pytest.mark.skipif(not SOAK, reason="takes twenty seconds; run by make soak")
def test_the_parent_sleeps(loop_name: str) -> None:
    with serve(APP, workers=2, loop=loop_name) as server:
        before = cpu_seconds(server.popen.pid)
        time.sleep(IDLE_SECONDS)
        part = (cpu_seconds(server.popen.pid) - before) / IDLE_SECONDS
        print(f"the parent of 2 idle workers on {loop_name}: {part:.4%} of a CPU")
        assert part < PARENTS_PART
