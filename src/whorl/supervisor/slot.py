"""A place that a worker fills: who fills it, who is about to, and how often that failed.

Called by `supervisor`, which decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from whorl.supervisor.backoff import Backoff
from whorl.supervisor.worker import Phase, Worker

__all__ = ["Post"]


@dataclass(slots=True)
class Post:
    """One of as many as there should be workers.

    Attributes:
        number: from 1.
        worker: who fills it, or starts to fill it when it was empty.
        successor: who starts while somebody fills it, and takes over when ready.
        backoff: when to try again after a failure.
    """

    number: int
    worker: Worker | None = None
    successor: Worker | None = None
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def workers(self) -> Iterator[Worker]:
        """Those who belong here."""
        return (worker for worker in (self.worker, self.successor) if worker is not None)

    @property
    def is_served(self) -> bool:
        """Whether somebody here accepts clients."""
        return self.worker is not None and self.worker.phase is Phase.SERVING

    def wants_successor(self, now: float) -> bool:
        """Whether who fills it should be replaced, and that may be tried now."""
        worker = self.worker
        if worker is None or worker.due is None or self.successor is not None:
            return False
        return worker.phase is Phase.SERVING and now >= self.backoff.until
