"""What was measured: one sample per row, contender and round, and what many of them say together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Results", "Sample", "Series"]


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes:
        cost: the row's first figure, in the row's unit: CPU microseconds per request, if it is not said otherwise.
        per_second: requests a second; None where the load does not ask as fast as it can.
        p50_us: microseconds within which half of the responses came.
        p99_us: and 99 of 100.
        memory: bytes that the server held afterwards.
    """

    cost: float
    per_second: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    memory: float | None = None


@dataclass
class Series:
    """The samples of one contender in one row, by round. A round that was void is absent in all of its row."""

    samples: dict[int, Sample] = field(default_factory=dict)

    def median(self, figure: str) -> float | None:
        """The median of a figure, named as in `Sample`; None if it was never measured."""
        values = [value for sample in self.samples.values() if (value := getattr(sample, figure)) is not None]
        return statistics.median(values) if values else None

    def ratios(self, other: Series, figure: str = "cost") -> list[float]:
        """This one's figure over the other's, for each round that has both: what disturbed a round disturbed both."""
        found = []
        for number, sample in self.samples.items():
            ours = getattr(sample, figure)
            theirs = getattr(other.samples.get(number), figure, None)
            if ours is not None and theirs:
                found.append(ours / theirs)
        return found

    def ratio(self, other: Series, figure: str = "cost") -> float | None:
        """The median of `ratios`."""
        found = self.ratios(other, figure)
        return statistics.median(found) if found else None


@dataclass
class Results:
    """All that one run of the benchmark found.

    Attributes:
        facts: machine, versions, date; name to text.
        series: by row, loop and contender ("hello", "asyncio", "Whorl").
        rows: the names of the rows that were asked for.
        void: what was wrong in each round that does not count.
        absent: why a contender took no part in a row.
    """

    facts: dict[str, str] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    series: dict[tuple[str, str, str], Series] = field(default_factory=dict)
    void: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def add(self, row: str, loop: str, name: str, number: int, sample: Sample) -> None:
        self.series.setdefault((row, loop, name), Series()).samples[number] = sample

    def find(self, row: str, loop: str, name: str) -> Series:
        """The series, an empty one if nothing was measured."""
        return self.series.get((row, loop, name), Series())

    def names(self, row: str, loop: str) -> Sequence[str]:
        """Who was measured in a row on a loop, in order."""
        return [name for found, on, name in self.series if found == row and on == loop]

    def loops(self) -> Sequence[str]:
        """The loops measured, in order; floors have none."""
        return list(dict.fromkeys(loop for _, loop, _ in self.series if loop))

    def as_json(self) -> dict[str, Any]:
        return {
            "facts": self.facts,
            "rows": self.rows,
            "void": self.void,
            "absent": self.absent,
            "series": [
                {"key": key, "samples": {number: asdict(sample) for number, sample in series.samples.items()}}
                for key, series in self.series.items()
            ],
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Results:
        results = cls(told["facts"], told["rows"], {}, told["void"], told["absent"])
        for entry in told["series"]:
            row, loop, name = entry["key"]
            for number, figures in entry["samples"].items():
                results.add(row, loop, name, int(number), Sample(**figures))
        return results
