"""The chart for the README: CPU per request of a few rows, a small picture each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bars import COMPILED, MAIN, WHORL
from benchmarks.rows import BY_NAME
from benchmarks.sample import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

SHOWN = ("hello", "headers14", "echo1k", "stream10", "accesslog", "fastapi")
OURS, THEIRS, INK = "#0f766e", "#b8c0c8", "#1f2933"
WIDEST = 4.0
"""Times Whorl's cost at which a bar is cut, lest the dearest server make all others look alike."""


def draw(results: Results, file: Path) -> None:
    """Write the chart as SVG."""
    import matplotlib as mpl  # only those who draw wait for it

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": "whorl", "font.family": "sans-serif", "font.size": 9, "text.color": INK})
    figure, grid = pyplot.subplots(2, 3, figsize=(10.5, 5.2), layout="constrained")
    for axes, row in zip(grid.flat, SHOWN, strict=True):
        draw_row(axes, results, row)
    interpreter = results.facts.get("Interpreter", "")
    figure.suptitle(f"Server CPU per request, µs ({interpreter}, {MAIN}; less is better)", color=INK)
    figure.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def draw_row(axes: Axes, results: Results, row: str) -> None:
    costs = {name: cost for name in results.names(row, MAIN) if (cost := results.find(row, MAIN, name).median("cost"))}
    axes.set_title(BY_NAME[row].title, loc="left", fontsize=9.5, color=INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    axes.tick_params(length=0)
    if not costs:
        return
    limit = costs.get(WHORL, max(costs.values())) * WIDEST
    lengths = [min(cost, limit) for cost in costs.values()]
    axes.barh(list(costs), lengths, color=[OURS if name in (WHORL, COMPILED) else THEIRS for name in costs], height=0.7)
    axes.invert_yaxis()
    axes.set_xlim(0, max(lengths) * 1.2)
    for place, (cost, length) in enumerate(zip(costs.values(), lengths, strict=True)):
        cut = " »" if cost > limit else ""
        axes.text(length, place, f" {cost:.1f}{cut}", va="center", color=INK)
