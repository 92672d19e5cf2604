"""Where workers come from: a `Source` starts each as a fresh interpreter. See `nurseries` for those that are forked.

Called by `supervisor`, which decides when there is to be one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from math import inf

from whorl.config import Config
from whorl.server.listen import Bound
from whorl.supervisor.letter import Letter, Place
from whorl.supervisor.program import Program
from whorl.supervisor.reuse_port import Spread
from whorl.supervisor.worker import Worker, start

__all__ = ["Source", "patience_of"]

BEAT_SECONDS = 1.0
"""How often a worker says that its loop turns, unless the health check is so short that it must be oftener."""


class Source:
    """Starts workers.

    Args:
        config: what the user asked for.
        bounds: the sockets, bound.

    Attributes:
        directory: where workers start.
        patience_seconds: how long they may take to leave, None for as long as they like.
    """

    def __init__(self, config: Config, bounds: list[Bound]) -> None:
        self.config = config
        self.directory = start_directory()
        self.patience_seconds = patience_of(config)
        self._spread = Spread(bounds, config.reuse_port)

    def worker(self, number: int, now: float) -> Worker:
        """Start one, and wait for nothing.

        Args:
            number: the place that it fills.
            now: the time.

        Raises:
            OSError: the system has no room for another process.
        """
        places = tuple(map(Place.of, self._spread.of(number)))
        return self._start(self._letter(number, places), now)

    def abandon(self, number: int) -> None:
        """Let go of the queues that belong to a place alone: nobody accepts from them."""
        self._spread.drop(number)

    def _letter(self, number: int, places: tuple[Place, ...] = ()) -> Letter:
        beat_seconds = min(BEAT_SECONDS, (self.config.timeout_worker_healthcheck or inf) / 4)
        return Letter(number, self.config, places, Program.here(), beat_seconds, self.patience_seconds)

    def _start(self, letter: Letter, now: float) -> Worker:
        return start(letter, self.directory, now)

    # What only matters where workers are forked

    def renew(self) -> None:
        """From now on, workers shall have the code that is there now."""

    def ready(self, worker: Worker) -> None:
        """A worker serves: its code is good."""

    def revert(self) -> None:
        """The new code is no good: the old one goes on."""

    def reap(self) -> list[Worker]:
        """Take note of what has ended. Returns workers that should be replaced for it."""
        return []

    def close(self) -> None:
        """There are to be no more workers."""
        self._spread.close()

    @property
    def has_unborn(self) -> bool:
        """Whether workers were asked for whose processes are not known yet."""
        return False

    @property
    def processes(self) -> Iterator[subprocess.Popen[bytes]]:
        """Those that live beside the workers."""
        yield from ()


def patience_of(config: Config) -> float | None:
    """How long a worker may take to leave before it is ended by force: more than an orderly end takes at most, see
    docs/deployment.md."""
    bound_seconds = config.timeout_graceful_shutdown
    if bound_seconds is None:
        return None
    return config.drain_delay + bound_seconds + 5.0 + max(bound_seconds, 5.0) + 15.0 + 5.0


def start_directory() -> str:
    """Where workers are started: as the shell named it, so that a link that is pointed to a new release is followed."""
    named = os.environ.get("PWD", "")
    here = os.getcwd()
    try:
        return named if os.path.isabs(named) and os.path.samefile(named, here) else here
    except OSError:
        return here
