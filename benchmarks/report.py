"""The results as Markdown: bars first, then what they come from.

`python -m benchmarks.report` writes them again from the last run's samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.bars import BARS, BARS_BY_PEER, COMPILED, MAIN, PEERS, WHORL, Bar
from benchmarks.install import Place
from benchmarks.rows import BY_NAME, FLOOR_ROWS, ROWS, Load, Row
from benchmarks.sample import Results, Series

__all__ = ["report", "table", "verdict_of_run"]

READING = """\
CPU is what the server used for one request: user and system time of all its processes and threads, in microseconds.
Figures are medians of the rounds, ratios medians of the ratios within each round. Less is better, but for requests a
second. Every server serves the same application object, is pinned to one CPU, and is loaded from another."""
FIGURES: tuple[tuple[str, str, float], ...] = (
    ("Requests a second", "per_second", 1),
    ("Half of the responses within, ms", "p50_us", 1e-3),
    ("99 of 100 responses within, ms", "p99_us", 1e-3),
    ("Memory after it, MiB", "memory", 1 / 1024 / 1024),
)


def report(results: Results) -> str:
    """The whole document."""
    sections = [
        "# Results",
        *([f"**{verdict_of_run(results)}**"] if results.void else []),
        "\n".join(f"- **{name}**: {text}" for name, text in results.facts.items()),
        READING,
        "## The bars",
        bars(results),
        *(part for loop in results.loops() for part in on_loop(results, loop)),
        *floors(results),
        *(part for title, figure, factor in FIGURES for part in other_figure(results, title, figure, factor)),
        "## Void rounds",
        listing(results.void, "None. " + verdict_of_run(results)),
        "## Not measured",
        listing(results.absent, "Nothing: every contender took part in every row."),
    ]
    return "\n\n".join(sections) + "\n"


def verdict_of_run(results: Results) -> str:
    """One sentence: whether every contender was right all the time."""
    if not results.void:
        return "Every response of every contender was right and whole."
    return (
        f"VOID in part: {len(results.void)} rounds in which a contender answered wrongly, short or not at all do not"
        " count, for anyone; they are listed at the end."
    )


def bars(results: Results) -> str:
    """Each promise beside its figure."""
    peers = [bars for bars in BARS_BY_PEER if bars[0].row in results.rows]
    others = [bar for bar in BARS if bar.row in results.rows]
    installed_peers = [[installed(bar, results) for bar in bars] for bars in peers]
    installed_others = [installed(bar, results) for bar in others]
    failed = sum(f"{WHORL}, " in text for text in results.void)

    def met(peers: Sequence[Sequence[Bar]], others: Sequence[Bar]) -> int:
        return sum(bar.met(results) for bar in [*(bar for bars in peers for bar in bars), *others]) + (not failed)

    count = sum(map(len, peers)) + len(others) + 1
    parts = [
        f"{met(installed_peers, installed_others)} of {count} are met by Whorl as it is installed where there is a C"
        f" compiler, {met(peers, others)} in pure Python; {failed} rounds were void by Whorl's fault (bar: 0).",
        *tables(installed_peers, installed_others, results),
    ]
    pure = tables(
        [bars for bars, ours in zip(peers, installed_peers, strict=True) if any(bar.ours == COMPILED for bar in ours)],
        [bar for bar, ours in zip(others, installed_others, strict=True) if ours.ours == COMPILED],
        results,
    )
    if pure:
        parts += ["In pure Python (`WHORL_COMPILE=0`); all that is not here is above, and was measured of that:", *pure]
    return "\n\n".join(parts)


def installed(bar: Bar, results: Results) -> Bar:
    """The bar for Whorl with compiled modules, where those were measured."""
    compiled = replace(bar, ours=COMPILED)
    return bar if compiled.measured(results) is None else compiled


def tables(peers: Sequence[Sequence[Bar]], others: Sequence[Bar], results: Results) -> list[str]:
    """Bars against each peer, a line for each row, and a line for each other bar."""
    parts = []
    if peers:
        rows = [(BY_NAME[bars[0].row].title, *(verdict(bar, results) for bar in bars)) for bars in peers]
        parts.append(table(("Whorl's cost, of that of", *PEERS), rows))
    if others:
        parts.append(table(("", ""), [(describe(bar), verdict(bar, results)) for bar in others]))
    return parts


def verdict(bar: Bar, results: Results) -> str:
    measured = bar.measured(results)
    if measured is None:
        return f"**not measured** (≤ {bar.limit:.2f}{bar.unit})"
    met = bar.met(results)
    return (
        f"{measured:.2f} ≤ {bar.limit:.2f}{bar.unit}, met" if met else f"**{measured:.2f} > {bar.limit:.2f}{bar.unit}**"
    )


def describe(bar: Bar) -> str:
    text = BY_NAME[bar.row].title
    if bar.figure == "p99_us":
        text += ", p99"
    if bar.loop != MAIN:
        text += f", {bar.loop}"
    if bar.peer_row is not None:
        return f"{text}, of {BY_NAME[bar.peer_row].title}"
    return text if bar.peer is None else f"{text}, of {bar.peer}"


def on_loop(results: Results, loop: str) -> list[str]:
    """The first figure of every row on one loop, and Whorl's ratio to each peer."""
    names = list(dict.fromkeys(name for row in ROWS for name in results.names(row.name, loop)))
    costs, ratios = [], []
    for row in ROWS:
        series = {name: results.find(row.name, loop, name) for name in names}
        if not any(one.samples for one in series.values()):
            continue
        costs.append((row.title, row.unit, *(cost(row, one) for one in series.values())))
        if row.load is not Load.MILLION:
            ours = series.get(WHORL, Series())
            ratios.append((row.title, *(ratio(ours, series[name]) for name in names if name != WHORL)))
    peers = [name for name in names if name != WHORL]
    return [
        f"## {loop}: cost",
        table(("row", "", *names), costs),
        f"## {loop}: Whorl's cost, of each peer's",
        table(("row", *peers), ratios),
    ]


def cost(row: Row, series: Series) -> str:
    found = series.median("cost")
    if found is None:
        return ""
    return f"{found:.0f}" if found >= 1000 else f"{found:.3f}" if row.unit == "s" else f"{found:.2f}"


def ratio(ours: Series, theirs: Series) -> str:
    found = ours.ratio(theirs)
    return "" if found is None else f"{found:.2f}"


def floors(results: Results) -> list[str]:
    """What the kernel alone costs, and what runs no Python, and Whorl beside them."""
    rows = []
    for row in FLOOR_ROWS:
        ours = results.find(row, MAIN, WHORL)
        for name in results.names(row, ""):
            floor = results.find(row, "", name)
            rows.append((BY_NAME[row].title, name, f"{floor.median('cost'):.2f}", ratio(ours, floor)))
    return ["## The floors", table(("row", "", "µs", "Whorl's cost, of it"), rows)] if rows else []


def other_figure(results: Results, title: str, figure: str, factor: float) -> list[str]:
    """A figure of the main loop's contenders, in every row that has it."""
    names = list(dict.fromkeys(name for row in ROWS for name in results.names(row.name, MAIN)))
    rows = []
    for row in ROWS:
        medians = [results.find(row.name, MAIN, name).median(figure) for name in names]
        if any(median is not None for median in medians):
            rows.append((row.title, *(shown(median, factor) for median in medians)))
    return [f"## {title}", table(("row", *names), rows)] if rows else []


def shown(median: float | None, factor: float) -> str:
    if median is None:
        return ""
    value = median * factor
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def listing(texts: Sequence[str], none: str) -> str:
    return "\n".join(f"- {text}" for text in texts) if texts else none


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    print(report(Results.from_json(json.loads(Place.here().results.read_text()))))
