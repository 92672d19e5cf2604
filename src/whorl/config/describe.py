"""The documentation of the settings, made from their descriptions: `python -m whorl.config.describe docs/settings.md`.

A test compares the file with what this makes, so that the two cannot disagree. Nothing else calls it.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from whorl.config.config import SETTINGS
from whorl.config.setting import Setting

__all__ = ["settings_page"]

INTRODUCTION = """\
# Settings

<!-- Made from src/whorl/config/sections by `python -m whorl.config.describe docs/settings.md`: do not edit it. -->

Every setting can be written in several places. The first that has a value wins:

1. the command line: `whorl main:app --port 9000`
2. the environment: `WHORL_PORT=9000`
3. a file: `port = 9000` in `whorl.toml`, or under `[tool.whorl]` in `pyproject.toml`, in the current directory;
   or in the file that `--config FILE` or `WHORL_CONFIG` names; `--no-config` reads none, for directories in which
   others can write (a file can name code)
4. for `workers` alone, the variable `WEB_CONCURRENCY`, which hosting platforms set; with `reload` it is left aside
5. the default

From Python, `whorl.run(app, port=9000)` and `whorl.Config(app, port=9000)` take the same names and read neither the
environment nor a file.

`whorl --check-config` prints every value and where it came from. A name that is not a setting, a value out of range and
a combination that cannot work stop the start with one line each (exit status 3).

How values are written:

- **Sizes** are bytes, or carry a unit: `65536`, `64KiB`, `16MiB`, `1GiB`. Units are powers of 1024.
- **Times** are seconds, or carry a unit: `30`, `2.5`, `500ms`, `30s`, `2m`, `1h`.
- **Switches** are `--name` and `--no-name` on the command line, and `true`/`false`, `yes`/`no`, `on`/`off` or `1`/`0`
  elsewhere; `--name false` is understood too.
- **`none`** turns off what can be turned off (`None` in Python); where the table says so, `0` does as well.
- **A list** is a repeated option on the command line and an array in a file. In an environment variable each line is
  one item, so spaces and commas need no quoting: `WHORL_HEADERS=$'X-Frame-Options: DENY\\nX-Served-By: a, b'`.
  Lists are not added up: the winning place gives the whole list.
- **An empty environment variable** counts as absent.
- **Paths** are relative to the current directory, in a file as well.

`host` and `port`, `uds`, and `fd` are three ways to say where to listen. The winning place decides which: `--port` on
the command line beats a `uds` in the file.

In Kubernetes, a Service called `whorl` puts variables such as `WHORL_PORT=tcp://…` into every pod. Give it another
name, or set `enableServiceLinks: false`.
"""


def settings_page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION]
    for group, members in groupby(SETTINGS.values(), key=lambda setting: setting.group):
        parts.append(f"\n## {group}\n\n| Setting | Default | Accepts | What it does |\n|---|---|---|---|\n")
        parts.extend(row(setting) for setting in members)
    return "".join(parts)


def row(setting: Setting) -> str:
    """One setting as a row of its table."""
    kind = setting.kind
    options = [setting.short, setting.option or "APP", f"--no-{setting.option[2:]}" if kind.switch else ""]
    names = f"`{setting.name}`<br>{', '.join(f'`{option}`' for option in options if option)}<br>`{setting.variable}`"
    default = f"`{setting.shown_default}`" if setting.shown_default else ""
    help = f"{setting.help} *{setting.why}*" if setting.why else setting.help
    return f"| {names} | {default} | {escaped(kind.accepts())} | {escaped(help)} |\n"


def escaped(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8", newline="\n")
