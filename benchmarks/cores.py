"""Two cores: one for the server under test, the other for everything else. A server of two workers has two."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass

from benchmarks.fault import CannotRun

__all__ = ["OPEN_FILES", "Cores", "prepare_child", "raise_open_files"]

OPEN_FILES = 20_000
"""Enough for 10,000 connections on either side."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Cores:
    """Attributes: server, load, second: numbers of CPUs that this process may use; the server's second one, if any."""

    server: int
    load: int
    second: int | None = None

    @property
    def servers(self) -> set[int]:
        """All that the server may run on."""
        return {self.server} if self.second is None else {self.server, self.second}

    @classmethod
    def choose(cls, two: bool = False) -> Cores:
        """The first and the last that there are: on a large machine they share neither a core nor its caches.

        Args:
            two: whether the server gets a second one; on a machine of two, that is the load's.
        """
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise CannotRun(
                "the benchmark needs two CPUs, one for the server and one for the load: this machine has one"
            )
        return cls(usable[0], usable[-1], usable[1] if two else None)


def raise_open_files() -> None:
    """Let this process, and those it starts, open as many files as the idle connections need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES and os.geteuid() == 0:
        hard = OPEN_FILES
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def prepare_child(cores: set[int]) -> None:
    """Called in a server's process before its program starts: pin it, and let it end when the benchmark does."""
    os.sched_setaffinity(0, cores)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
