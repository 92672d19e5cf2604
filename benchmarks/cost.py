"""What a server costs: the CPU time and the memory of a process and everything below it.

CPU time comes from the clock that Linux keeps for each process (clock_getcpuclockid(3)): nanoseconds, user and system,
of all its threads, those that have ended too. A child that has ended is counted by its parent once it was waited for
(proc(5), stat, cutime and cstime). Memory is the proportional set size (smaps_rollup): pages that forked processes
share count once. Linux only.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["cpu_seconds", "family", "memory_bytes"]

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted behind the name, which may hold spaces.
PARENT, CHILD_USER, CHILD_SYSTEM = 1, 13, 14


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = stat_fields(int(entry.name))
            if fields:
                children.setdefault(int(fields[PARENT]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none if the process has gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu_seconds(pid: int) -> float:
    """The CPU time, user and system, that a process and its descendants have used so far."""
    total = 0.0
    for member in family(pid):
        fields = stat_fields(member)
        if fields:
            total += time.clock_gettime(~member << 3 | 2)  # CPUCLOCK_SCHED of that process
            total += (int(fields[CHILD_USER]) + int(fields[CHILD_SYSTEM])) / TICKS_PER_SECOND
    return total


def memory_bytes(pid: int) -> int:
    """The memory that a process and its descendants hold."""
    total = 0
    for member in family(pid):
        for line in (PROC / str(member) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
