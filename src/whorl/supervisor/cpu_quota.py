"""How many cores this process may use: its affinity (sched_setaffinity(2)), and the quota of its control group
(cgroups(7), cpu.max in version 2, cpu.cfs_quota_us in version 1), which is how containers are held to a part of a
machine.

Called for `--workers auto`. It reads files and has no state.
"""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

__all__ = ["available_cores"]


def available_cores(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """The cores that this process may keep busy, at least 1. A quota of 1.5 cores counts as 2: a part of a core is
    there to be used.

    Args:
        proc: where the kernel says which groups this process is in.
        root: where the groups are mounted.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for directory in directories(proc, root) if (quota := quota_of(directory)) is not None]
    return max(1, min([cores, *(ceil(quota) for quota in quotas)]))


def directories(proc: Path, root: Path) -> list[Path]:
    """The groups that bind this process, innermost first. Inside a container the path may be that of the host, and
    only the root is there."""
    found: list[Path] = []
    for line in words(proc).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            top = root
        elif "cpu" in controllers.split(","):
            top = root / controllers if (root / controllers).is_dir() else root / "cpu"
        else:
            continue
        group = top / path.lstrip("/")
        while group != top and top in group.parents:
            found.append(group)
            group = group.parent
        found.append(top)
    return found


def quota_of(directory: Path) -> float | None:
    """How many cores a group may use, None for all of them."""
    quota, _, period = words(directory / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = words(directory / "cpu.cfs_quota_us").strip(), words(directory / "cpu.cfs_period_us").strip()
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such group
        return None
    return cores if cores > 0 else None


def words(path: Path) -> str:
    """A file's text, empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
