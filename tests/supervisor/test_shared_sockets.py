"""Processes that share a listening socket share its flags too (open(2), open file description): a worker that makes it
blocking, even for a moment, lets another one sleep in accept(2). strace(1) sees each change, however short."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Process, serve
from tests.supervisor.processes import ask, children, lines, until, wait_for
from tests.supervisor.test_handover import end, hand_over

APP = "tests.supervisor.apps:app"
STARTS = 200
STRACE = shutil.which("strace")
CLEARED = re.compile(r"FIONBIO, \[0\]|F_SETFL, (?!.*O_NONBLOCK)")


def why_not_traced() -> str | None:
    """Why system calls cannot be watched here, None where they can."""
    if STRACE is None:
        return "strace is not installed: NOT TESTED that no process changes the flags of a shared socket"
    if subprocess.run([STRACE, "-f", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        return "strace may not trace here: NOT TESTED that no process changes the flags of a shared socket"
    return None


WHY_NOT = why_not_traced()
needs_strace = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


class Trace:
    """The system calls by which a server's processes changed the flags of their sockets.

    Args:
        path: where strace writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: Process | None = None

    @contextmanager
    def serve(self, **options: object) -> Iterator[Process]:
        assert STRACE is not None
        # -D: the server is our child, and strace its grandchild.
        strace = (STRACE, "-D", "-f", "--seccomp-bpf", "-qq", "-y", "-e", "trace=ioctl,fcntl", "-o", str(self.path))
        with serve(APP, python=(*strace, sys.executable), access_log=False, **options) as process:
            yield process

    def check(self, inodes: set[str]) -> None:
        """Nothing that was done to the sockets with these inodes made them blocking."""
        calls = [line for line in self.path.read_text().splitlines() if any(inode in line for inode in inodes)]
        assert calls, "strace has seen the sockets"
        assert not [line for line in calls if CLEARED.search(line)]


def listening(process: Process) -> set[str]:
    """The listening socket as strace and /proc name it."""
    port = f":{process.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "0A"}


@needs_strace
class TestFlags:
    @pytest.mark.parametrize("preload", [False, True])
    def test_starts_replacements_and_handover(self, loop_name: str, preload: bool, tmp_path: Path) -> None:
        trace = Trace(tmp_path / "calls")
        with trace.serve(workers=2, loop=loop_name, preload=preload) as server:
            inodes = listening(server)
            before = children(server)
            server.signal(signal.SIGHUP)
            wait_for(server, "is ready", 2)
            until(lambda: not before & children(server))
            new = hand_over(server, server.popen.pid, 1)
            assert ask(server)
            end(new)
        trace.check(inodes)

    def test_200_starts(self, tmp_path: Path) -> None:
        """Each request has its worker replaced, and the other worker accepts meanwhile."""
        trace = Trace(tmp_path / "calls")
        with trace.serve(workers=2, preload=True, limit_max_requests=1) as server:
            inodes = listening(server)
            until(lambda: ask(server) and len(lines(server, "is ready")) >= STARTS)  # type: ignore[return-value]
        trace.check(inodes)

    def test_reload(self, loop_name: str, tmp_path: Path) -> None:
        trace = Trace(tmp_path / "calls")
        with trace.serve(reload=True, reload_dir=tmp_path, loop=loop_name) as server:
            inodes = listening(server)
            assert ask(server)
        trace.check(inodes)
