"""A worker slot: its worker, the replacement that starts, and when to try again after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from whorl.supervisor.worker import Worker

__all__ = ["Backoff", "RetiringWorker", "WorkerSlot"]


@dataclass(slots=True)
class Backoff:
    """The delay between attempts: none after the first failure, then doubled each time. It has no clock of its own.

    Args:
        min_seconds: the delay after the second failure.
        max_seconds: the longest delay.
        forget_seconds: a failure that comes so long after the previous one counts as the first.
    """

    min_seconds: float = 0.5
    max_seconds: float = 30.0
    forget_seconds: float = 60.0
    failures: int = 0
    until: float = -inf
    _last: float = -inf

    def failed(self, now: float) -> float:
        """Count a failure. Returns the delay in seconds, which ends at `until`."""
        if now - self._last > self.forget_seconds:
            self.failures = 0
        self._last = now
        self.failures += 1
        doublings = min(self.failures - 2, 32)
        delay_seconds = 0.0 if doublings < 0 else min(self.max_seconds, self.min_seconds * 2.0**doublings)
        self.until = now + delay_seconds
        return delay_seconds

    def reset(self) -> None:
        """Allow the next attempt at once."""
        self.until = -inf


@dataclass(slots=True)
class WorkerSlot:
    """One of `workers` slots. Each has a back-off of its own, so that a worker that crashes does not delay the others.

    Attributes:
        number: from 1.
        worker: the worker that serves, or that starts in an empty slot.
        replacement: the worker that starts while `worker` serves.
        backoff: when the next start may be tried.
    """

    number: int
    worker: Worker | None = None
    replacement: Worker | None = None
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def workers(self) -> Iterator[Worker]:
        """The worker and its replacement, as far as they exist."""
        return (worker for worker in (self.worker, self.replacement) if worker is not None)

    @property
    def is_served(self) -> bool:
        """Whether a worker of this slot accepts clients."""
        return self.worker is not None and self.worker.is_serving

    def add(self, worker: Worker) -> None:
        """Put a worker into the slot: as its worker if it is empty, otherwise as the replacement."""
        if self.worker is None:
            self.worker = worker
        else:
            self.replacement = worker

    def promote(self) -> Worker | None:
        """Make the replacement the worker. Returns the former worker."""
        former, self.worker, self.replacement = self.worker, self.replacement, None
        return former

    def drop_replacement(self) -> Worker | None:
        """Take the replacement out of the slot. Returns it."""
        dropped, self.replacement = self.replacement, None
        return dropped

    def needs_replacement(self, now: float) -> bool:
        """Whether a replacement may be started now."""
        worker = self.worker
        if worker is None or worker.replace_reason is None or self.replacement is not None:
            return False
        return worker.is_serving and now >= self.backoff.until


@dataclass(slots=True)
class RetiringWorker:
    """A worker that is no longer in a slot and drains, and until when it holds up the next replacement."""

    worker: Worker
    blocks_until: float
