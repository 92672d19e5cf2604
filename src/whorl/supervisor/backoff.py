"""How long to wait before the next try of something that failed: not at all at first, then twice as long each time.

One for each place that a worker fills, so that one that crashes does not keep the others waiting. It has no clock: the
time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

__all__ = ["Backoff"]


@dataclass(slots=True)
class Backoff:
    """Counts failures that follow one another.

    Args:
        least_seconds: the wait after the second failure; after the first there is none.
        most_seconds: the longest wait.
        forget_seconds: a failure so long after the one before is a first one again.
    """

    least_seconds: float = 0.5
    most_seconds: float = 30.0
    forget_seconds: float = 60.0
    failures: int = 0
    until: float = -inf
    _last: float = -inf

    def failed(self, now: float) -> float:
        """Count a failure. Returns how many seconds to wait; `until` is when that has passed."""
        if now - self._last > self.forget_seconds:
            self.failures = 0
        self._last = now
        self.failures += 1
        doublings = min(self.failures - 2, 32)
        wait_seconds = 0.0 if doublings < 0 else min(self.most_seconds, self.least_seconds * 2.0**doublings)
        self.until = now + wait_seconds
        return wait_seconds
