"""A run: rounds of every row on every contender, interleaved, so that a slow minute hits all of them.

In each round the contenders of a group run side by side, each idle while another is measured. A row in which anyone
failed is void for that round, for everyone, and says why. Whoever does not have what a row is about (pathsend), or
cannot be started, is left out of it and named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.check import check, warm_up
from benchmarks.contenders import Contender, Group
from benchmarks.fault import Fault
from benchmarks.measure import Terms, measure, measure_fresh
from benchmarks.process import Server, running
from benchmarks.rows import Load, Profile, Row
from benchmarks.sample import Results, Sample

__all__ = ["Session"]

SHARED_PROFILES = tuple(profile for profile in Profile if not profile.fresh)

TRIALS = 3
"""How often a row is tried in a round, before the round goes without it."""


class Session:
    """Measures.

    Args:
        groups: who.
        rows: what.
        rounds: how often.
        terms: how long, and where.
        results: what was found is added to them.
        say: told of progress, a line at a time.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        rows: Sequence[Row],
        rounds: int,
        terms: Terms,
        results: Results,
        say: Callable[[str], None],
    ) -> None:
        self._groups = groups
        self._rows = rows
        self._rounds = rounds
        self._terms = terms
        self._results = results
        self._say = say
        self._tried: set[tuple[str, Contender]] = set()
        self._out: set[tuple[str, Contender]] = set()

    def run(self) -> None:
        for number in range(self._rounds):
            for group in self._groups:
                self._say(f"round {number + 1} of {self._rounds}, {group.loop}")
                for profile in SHARED_PROFILES:
                    rows = [row for row in self._rows if row.profile is profile and group.wants(row)]
                    if rows:
                        self._run_profile(group, profile, rows, number)
        # These start their own servers, cost much time, and hardly vary.
        for row in self._rows:
            if row.profile.fresh:
                self._say(f"{row.name}, {self._groups[0].loop}")
                self._run_fresh(row)

    def _run_profile(self, group: Group, profile: Profile, rows: Sequence[Row], number: int) -> None:
        terms = self._terms
        with ExitStack() as stack:
            servers = []
            for contender in in_turn(group.contenders, number):
                if any(contender.takes_part(row) and (row.name, contender) not in self._out for row in rows):
                    try:
                        server = stack.enter_context(running(contender, profile, terms.cores, terms.folder))
                    except Fault as fault:
                        self._leave_out([row for row in rows if contender.takes_part(row)], contender, fault)
                        continue
                    servers.append(server)
            for row in rows:
                self._run_row(row, [server for server in servers if self._able(server, row)], number)

    def _able(self, server: Server, row: Row) -> bool:
        """Whether a server takes part in a row. Its first responses decide, before anything is measured."""
        contender = server.contender
        if not contender.takes_part(row) or (row.name, contender) in self._out:
            return False
        if (row.name, contender) not in self._tried:
            self._tried.add((row.name, contender))
            try:
                warm_up(server, row, check(server, row))
            except Fault as fault:
                self._leave_out([row], contender, fault)
                return False
        return True

    def _leave_out(self, rows: Sequence[Row], contender: Contender, fault: Fault) -> None:
        for row in rows:
            self._out.add((row.name, contender))
            self._note(self._results.absent, f"{row.name}: {fault}")

    def _run_row(self, row: Row, servers: Sequence[Server], number: int) -> None:
        runs = {server.contender: partial(measure, server, row, self._terms) for server in servers}
        self._run_round(row, number, runs)

    def _run_fresh(self, row: Row) -> None:
        contenders = self._groups[0].contenders
        if row.load is Load.MILLION:
            contenders = contenders[:1]  # it is about growth, not about the others
        for number in range(1 if row.once else self._rounds):
            runs = {
                contender: partial(measure_fresh, contender, row, self._terms)
                for contender in in_turn(contenders, number)
                if contender.takes_part(row)
            }
            self._run_round(row, number, runs)

    def _run_round(self, row: Row, number: int, runs: Mapping[Contender, Callable[[], Sample]]) -> None:
        """Measure one row once on everyone, and keep it if all went well. If not, that was void: it is done again, at
        last without whoever fails every time."""
        for trial in range(TRIALS):
            samples: dict[Contender, Sample] = {}
            faults: dict[Contender, Fault] = {}
            for contender, run in runs.items():
                if (row.name, contender) not in self._out:
                    try:
                        samples[contender] = run()
                    except Fault as fault:
                        faults[contender] = fault
            if not faults:
                self._keep(row, number, samples)
                return
            self._note(self._results.void, f"{row.name}, round {number + 1}: {'; '.join(map(str, faults.values()))}")
            if trial == TRIALS - 2:
                for failed, why in faults.items():
                    self._leave_out([row], failed, why)

    def _keep(self, row: Row, number: int, samples: dict[Contender, Sample]) -> None:
        for contender, sample in samples.items():
            self._results.add(row.name, contender.loop, contender.name, number, sample)
        figures = ", ".join(f"{contender.name} {sample.cost:.2f}" for contender, sample in samples.items())
        self._say(f"  {row.name} ({row.unit}): {figures}")

    def _note(self, notes: list[str], text: str) -> None:
        notes.append(text)
        self._say(f"  {'void' if notes is self._results.void else 'absent'}: {text}")


def in_turn(contenders: Sequence[Contender], number: int) -> Sequence[Contender]:
    """Forwards and backwards, so that nobody is always measured first."""
    return contenders if number % 2 == 0 else list(reversed(contenders))
