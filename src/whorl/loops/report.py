"""The table of `whorl loops`: which loops are known, what to type for each, which can be used here and which one
`auto` takes.

It imports each loop that could run here, because only that tells whether it does; it makes none.
"""

from __future__ import annotations

from collections.abc import Sequence

from whorl.loops.choice import resolve
from whorl.loops.registry import KNOWN, Feature, KnownLoop, install_command, version, why_absent
from whorl.platform import HERE, Platform

__all__ = ["columns", "table"]

TOLD = (Feature.UNIX_SOCKETS,)
"""What a user asks for by an option, so that its lack is worth a word."""


def table(platform: Platform = HERE) -> str:
    """Returns: the table as lines of plain text, without a newline at the end."""
    taken = "uvloop" if resolve("auto", platform).spec.startswith("uvloop:") else "asyncio"
    rows = [("", "loop", "version", "--loop", "here")]
    for known in KNOWN:
        absent = why_absent(known, platform)
        mark = "*" if known.name == taken else ""
        shown = "-" if absent else version(known, platform)
        rows.append((mark, known.name, shown, known.typed, state(known, absent, platform)))
    return columns(rows) + "\n\n* what --loop auto takes"


def state(known: KnownLoop, absent: str | None, platform: Platform) -> str:
    if absent == "is not installed":
        return f"not installed: {install_command(known)}"
    if absent:
        return absent.removeprefix("is ")
    lacking = [f"no {feature.value}" for feature in TOLD if feature in known.lacking(platform)]
    return ", ".join(["available", *lacking])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lays rows out in columns as wide as their widest cell, two blanks apart.

    Args:
        rows: as many cells in each as in the first.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
