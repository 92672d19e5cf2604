"""What `whorl --check-config` prints: every setting, its value, and where the value came from.

`main` calls this with an assembled configuration; it neither reads nor checks anything.
"""

from __future__ import annotations

from itertools import groupby

from whorl.config import SETTINGS
from whorl.config.sources import Assembled

__all__ = ["settings_table"]

Row = tuple[str, str, str]


def settings_table(assembled: Assembled) -> str:
    """A table with a heading for each group. A value of several lines takes as many rows."""
    rows: list[Row] = []
    for group, members in groupby(SETTINGS.values(), key=lambda setting: setting.group):
        rows.extend([("", "", ""), (group, "", "")] if rows else [(group, "", "")])
        for setting in members:
            value = setting.kind.show(getattr(assembled.config, setting.name))
            first, *rest = value.split("\n")
            rows.append((f"  {setting.name}", first or "(empty)", assembled.origins[setting.name]))
            rows.extend(("", line, "") for line in rest)
    return aligned(rows)


def aligned(rows: list[Row]) -> str:
    """The rows as text, each column as wide as its widest cell."""
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{one:<{first}}  {two:<{second}}  {three}".rstrip() for one, two, three in rows)
