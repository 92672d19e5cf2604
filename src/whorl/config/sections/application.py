"""What is served: the application and what it is told.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import OrNone
from whorl.config.setting import setting
from whorl.config.words import Choice, Directory, File, Flag, RootPath

__all__ = ["ApplicationSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ApplicationSettings:
    """What is served: the application and what it is told."""

    factory: bool = setting(
        "Application", False, Flag(), "Call APP, without arguments, to get the application; it may be async."
    )
    app_dir: str = setting(
        "Application",
        "",
        Directory(),
        "Import APP from this directory: put it first on sys.path. Empty is the current one.",
    )
    interface: str = setting(
        "Application",
        "auto",
        Choice(("auto", "asgi3", "asgi2", "wsgi")),
        "What kind of application APP is. wsgi needs the package a2wsgi.",
    )
    lifespan: str = setting(
        "Application",
        "auto",
        Choice(("auto", "on", "off")),
        "Run the application's startup and shutdown (ASGI lifespan). auto goes on without if it has none.",
    )
    root_path: str = setting(
        "Application", "", RootPath(), "The path that the application is mounted under (ASGI root_path)."
    )
    env_file: str | None = setting(
        "Application",
        None,
        OrNone(File(), "no file"),
        "Add the variables of this file to the environment, WHORL_* too; those already there stay. "
        "Needs the package python-dotenv.",
    )
