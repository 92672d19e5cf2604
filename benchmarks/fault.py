"""What makes a round void, and what keeps the benchmark from running at all."""

from __future__ import annotations

__all__ = ["CannotRun", "Fault"]


class Fault(Exception):
    """A contender answered wrongly, too little or not at all. The text says what was seen."""


class CannotRun(Exception):
    """Something is missing on this machine. The text is one line that says what to do."""
