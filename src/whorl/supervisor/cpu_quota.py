"""How many CPUs this process may use: its affinity (sched_setaffinity(2)) and the quota of its control group
(cgroups(7), cpu.max in version 2, cpu.cfs_quota_us in version 1), which limits containers."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

__all__ = ["available_cpus"]


def available_cpus(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of CPUs that this process may keep busy, at least 1. A quota of 1.5 CPUs counts as 2.

    Args:
        proc: where the kernel lists the groups of this process.
        root: where the groups are mounted.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for directory in directories(proc, root) if (quota := quota_of(directory)) is not None]
    return max(1, min([cpus, *(ceil(quota) for quota in quotas)]))


def directories(proc: Path, root: Path) -> list[Path]:
    """List the groups that limit this process, innermost first. In a container the path may be that of the host, where
    only the root exists."""
    found: list[Path] = []
    for line in read(proc).splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0":
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
    """Return the number of CPUs that a group may use, None if it is not limited."""
    quota, _, period = read(directory / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = read(directory / "cpu.cfs_quota_us").strip(), read(directory / "cpu.cfs_period_us").strip()
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such group
        return None
    return cpus if cpus > 0 else None


def read(path: Path) -> str:
    """Return the text of a file, empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
