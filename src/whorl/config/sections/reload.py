"""Starting again when files change, for development.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import Many
from whorl.config.quantities import Seconds
from whorl.config.setting import setting
from whorl.config.words import Directory, Flag, Text

__all__ = ["ReloadSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ReloadSettings:
    """Starting again when files change, for development."""

    reload: bool = setting(
        "Reload", False, Flag(), "Start again when a file of the application changes; for development."
    )
    reload_dirs: tuple[str, ...] = setting(
        "Reload",
        (),
        Many(Directory()),
        "Watch this directory and what is below it, in place of app_dir; may be repeated.",
        option="--reload-dir",
    )
    reload_includes: tuple[str, ...] = setting(
        "Reload",
        (),
        Many(Text("a pattern such as *.html", "PATTERN")),
        "Watch files with such names too, beside *.py; may be repeated.",
        option="--reload-include",
    )
    reload_excludes: tuple[str, ...] = setting(
        "Reload",
        (),
        Many(Text("a pattern such as tests or data/*.py", "PATTERN")),
        "Do not watch files and directories with such names; may be repeated.",
        option="--reload-exclude",
        why="Names that begin with a dot, __pycache__ and node_modules are never watched, unless they are included.",
    )
    reload_delay: float = setting(
        "Reload",
        0.25,
        Seconds(0.01, 60.0),
        "Wait until nothing has changed for this long; without the package watchfiles, also how often to look.",
        why="An editor or a version control system writes many files one after the other.",
    )
