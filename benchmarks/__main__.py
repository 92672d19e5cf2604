"""`python -m benchmarks`: Whorl beside the other servers. `make bench` installs what it needs first, and calls it.

ROWS= names rows, or how they begin; ROUNDS= and SECONDS= how often and how long each is measured. Without ROWS= the
results are written to RESULTS.md and chart.svg; a part is only printed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.apps import plain
from benchmarks.chart import draw
from benchmarks.contenders import groups
from benchmarks.cores import Cores, raise_open_files
from benchmarks.facts import facts
from benchmarks.fault import CannotRun
from benchmarks.install import PREFERRED, Place
from benchmarks.measure import Terms
from benchmarks.report import report, verdict_of_run
from benchmarks.rows import FILE_LARGE, FILE_SMALL, choose
from benchmarks.sample import Results
from benchmarks.session import Session

__all__ = ["main", "number_from", "prepared"]

HERE = Path(__file__).parent
ROUNDS, SECONDS = 3, 1


def main() -> None:
    place = Place.here()
    rows = choose(os.environ.get("ROWS", ""))
    rounds, seconds = number_from("ROUNDS", ROUNDS), number_from("SECONDS", SECONDS)
    floor, nginx = (path if path.exists() else None for path in (place.floor, place.nginx))
    contenders = groups(place.newest_uvloop, place.compiled, floor, nginx)
    begun = time.monotonic()
    with prepared(seconds) as terms:
        results = Results(facts(rounds, seconds, terms.cores, nginx), [row.name for row in rows])
        try:
            Session(contenders, rows, rounds, terms, results, tell).run()
        finally:
            place.results.write_text(json.dumps(results.as_json(), indent=1))
    tell(f"measured in {time.monotonic() - begun:.0f} s")
    text = report(results)
    if os.environ.get("ROWS", ""):
        print(text)
    else:
        suffix = "" if place.folder.name == PREFERRED else f"-{place.folder.name}"
        (HERE / f"RESULTS{suffix}.md").write_text(text)
        draw(results, HERE / f"chart{suffix}.svg")
        tell(f"written: benchmarks/RESULTS{suffix}.md, benchmarks/chart{suffix}.svg")
    if results.void:
        sys.exit(verdict_of_run(results))


@contextmanager
def prepared(seconds: int, two_cores: bool = False) -> Iterator[Terms]:
    """The machine made ready: this process on the load's core, files to send in a folder that goes away again.

    Args:
        seconds: how long a load lasts.
        two_cores: whether the server gets two.
    """
    cores = Cores.choose(two_cores)
    raise_open_files()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("ended by SIGTERM"))  # and with us all servers end
    os.sched_setaffinity(0, {cores.load})
    with tempfile.TemporaryDirectory(prefix="whorl-bench-") as name:
        folder = Path(name)
        for size_bytes in (FILE_SMALL, FILE_LARGE):
            (folder / str(size_bytes)).write_bytes(plain.content(size_bytes))
        yield Terms(seconds, cores, folder)


def number_from(name: str, default: int) -> int:
    """A whole number from the environment.

    Raises:
        CannotRun: it is none, or less than one.
    """
    text = os.environ.get(name, "") or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise CannotRun(f"{name}: {text!r} is no whole number from 1 on")
    return int(text)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except CannotRun as error:
        sys.exit(f"error: {error}")
