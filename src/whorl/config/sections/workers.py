"""How many processes serve, and when one is replaced.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from whorl.config.kind import OrAuto, OrNone
from whorl.config.quantities import MIB, Count, Seconds, Size
from whorl.config.setting import setting
from whorl.config.words import Flag

__all__ = ["HEALTHCHECK_SECONDS", "WorkersSettings"]

HEALTHCHECK_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class WorkersSettings:
    """How many processes serve, and when one is replaced."""

    workers: int | Literal["auto"] = setting(
        "Workers",
        1,
        OrAuto(Count(1, 1024, "processes", zero=1), "one for each core that this process may use"),
        "Serve with this many processes, which a parent starts, watches and replaces; 1 (or 0) is one process without "
        "a parent.",
        short="-w",
        why="Each worker has an application of its own; only you know whether it bears that.",
    )
    preload: bool = setting(
        "Workers",
        False,
        Flag(),
        "Import the application once, in a process that workers are forked from, so that they share the memory of what "
        "was imported. A factory is called in each worker.",
        why="An application that opens sockets or starts threads when it is imported does not bear a fork.",
    )
    reuse_port: bool = setting(
        "Workers",
        False,
        Flag(),
        "Give each worker a queue of its own for new connections (SO_REUSEPORT), in place of one for all.",
        why="From one queue, whoever is free takes the next client, and a worker that leaves leaves nothing behind.",
    )
    limit_worker_memory: int | None = setting(
        "Workers",
        None,
        OrNone(Size(MIB), "no limit", zero=True),
        "Replace a worker whose resident memory is larger than this; its successor is ready first.",
    )
    limit_worker_lifetime: float | None = setting(
        "Workers",
        None,
        OrNone(Seconds(), "no limit", zero=True),
        "Replace a worker after this long, and up to a tenth of it more, so that they do not all leave together; its "
        "successor is ready first.",
    )
    limit_worker_replacements: int = setting(
        "Workers",
        1,
        Count(1, 1024, "workers"),
        "Replace at most this many workers at the same time.",
        why="A successor takes as much memory and processor time as a worker, while the old one serves.",
    )
    timeout_worker_healthcheck: float | None = setting(
        "Workers",
        HEALTHCHECK_SECONDS,
        OrNone(Seconds(), "never", zero=True),
        "Replace a worker whose event loop has not turned for this long, and write down what blocks it. Starting may "
        "take longer.",
    )
