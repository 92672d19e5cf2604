"""Workers seen from outside: which processes there are, and which one answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.harness import Process, read_response

TIMEOUT_SECONDS = 45.0  # a new server of two workers starts three interpreters, on a machine that may be busy


def children(process: Process) -> set[int]:
    """The child processes of a server. `/proc/PID/task/TID/children` may miss some (proc(5))."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue  # it has ended
        if int(rest.split()[1]) == process.popen.pid:
            found.add(int(name.partition(" ")[0]))
    return found


def all_children(process: Process, count: int) -> set[int]:
    """So many child processes. A preloaded worker becomes one of them a moment after it is ready, when the process that
    forked it for the fork server has ended."""
    until(lambda: len(children(process)) == count, lambda: children(process))
    return children(process)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ask(process: Process, target: str = "/") -> int:
    """The pid of the process that answers."""
    with process.connect() as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        status, _, content = read_response(client)
        assert status == 200
        return int(content)


def send(process: Process, target: str) -> socket.socket:
    """Send a request that takes a while, and wait until the application has it."""
    before = len(process.stdout)
    client = process.connect()
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    until(lambda: "here" in process.stdout[before:], lambda: (process.stdout, process.stderr))
    return client


def until(holds: Callable[[], bool], what: Callable[[], object] = str) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def lines(process: Process, text: str) -> list[str]:
    """The lines of standard error that contain a text."""
    return [line for line in process.stderr if text in line]


def wait_for(process: Process, text: str, count: int = 1) -> None:
    """Wait until so many lines of standard error contain a text."""
    until(lambda: len(lines(process, text)) >= count, lambda: (text, process.stderr))
