"""`make bench-compare BASE=<commit>`: Whorl as it stands here, uncommitted changes included, beside an earlier commit.

Both run side by side on the same loop, and each round measures one directly after the other. BASE=HEAD in a clean
checkout compares a thing with itself, which shows the noise. LOOP= is the loop, uvloop by default; COMPILED=1 compiles
the hot modules of both; ROWS=, ROUNDS= and SECONDS= as for `make bench`.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.__main__ import number_from, prepared, tell
from benchmarks.checkout import checkout, source_of
from benchmarks.contenders import ROOT, Group, whorl
from benchmarks.facts import commit, facts
from benchmarks.fault import CannotRun
from benchmarks.report import table, verdict_of_run
from benchmarks.rows import BY_NAME, Row, choose
from benchmarks.sample import Results
from benchmarks.session import Session

__all__ = ["compared", "main"]

ROWS = "hello,json,headers14,response12,echo1k,stream10,sleep0,pipeline16,newconn,accesslog"
ROUNDS, SECONDS = 7, 1
BASE, HERE = "base", "here"


def main() -> None:
    rows = [replace(row, once=False) for row in choose(os.environ.get("ROWS", "") or ROWS)]
    rounds, seconds = number_from("ROUNDS", ROUNDS), number_from("SECONDS", SECONDS)
    loop = os.environ.get("LOOP", "") or "uvloop"
    base = os.environ.get("BASE", "")
    with prepared(seconds) as terms, checkout(base, terms.folder) as tree:
        sources = [source_of(tree, terms.folder, BASE), source_of(ROOT, terms.folder, HERE)]
        group = Group(loop, [whorl(name, loop, loop, path) for name, path in zip((BASE, HERE), sources, strict=True)])
        results = Results(facts(rounds, seconds, terms.cores, None), [row.name for row in rows])
        Session([group], rows, rounds, terms, results, tell).run()
        print(f"base is {base} ({commit(tree)}), here is {commit(ROOT)}; {loop}, {results.facts['Interpreter']}\n")
    print(compared(results, rows, loop))
    if results.void or results.absent:
        print("\n".join(["", *results.void, *results.absent]))
        sys.exit(verdict_of_run(results))


def compared(results: Results, rows: Sequence[Row], loop: str) -> str:
    """A line for each row: the two costs, and their ratio with the quartiles between which half of the rounds lie."""
    lines = []
    for row in rows:
        ours, theirs = (results.find(row.name, loop, name) for name in (HERE, BASE))
        ratios = ours.ratios(theirs)
        if ratios:
            costs = [f"{series.median('cost'):.3f}" for series in (theirs, ours)]
            lines.append(
                (f"{BY_NAME[row.name].title}, {row.unit}", *costs, f"{statistics.median(ratios):.3f}", spread(ratios))
            )
    return table(("row", BASE, HERE, "ratio", "half of the rounds"), lines)


def spread(ratios: Sequence[float]) -> str:
    if len(ratios) < 2:
        return ""
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{low:.3f} to {high:.3f}"


if __name__ == "__main__":
    try:
        main()
    except CannotRun as error:
        sys.exit(f"error: {error}")
