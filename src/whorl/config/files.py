"""The files that hold settings: `whorl.toml`, `[tool.whorl]` in `pyproject.toml`, and files of environment variables.

`sources` calls this. It finds and reads; what the values mean is not known here. Paths in a file are relative to the
current directory, as they are on the command line.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final

from whorl.errors import ConfigError

__all__ = ["load_env_file", "read_settings"]

OWN_FILE: Final = "whorl.toml"
PROJECT_FILE: Final = "pyproject.toml"


def read_settings(directory: Path, named: str | None) -> tuple[str, dict[str, Any]]:
    """The settings in the file that was named, or else in the directory's `whorl.toml` or `pyproject.toml`.

    Args:
        directory: where to look when no file was named; its parents are not searched.
        named: the path of a TOML file. In one called `pyproject.toml` the settings are the table `[tool.whorl]`,
            elsewhere the whole file.

    Returns:
        How to call the file in a message, and its settings; both empty if there is no file.

    Raises:
        ConfigError: the file is not there or is not TOML, or both files of the directory hold settings.
    """
    if named is not None:
        table = read_table(directory / named, named)
        if table is None:
            raise ConfigError(f"{named} has no table [tool.whorl]: write one, or name another file")
        return named, table
    present = [name for name in (OWN_FILE, PROJECT_FILE) if (directory / name).is_file()]
    found = {name: read_table(directory / name, name) for name in present}
    holding = {name: table for name, table in found.items() if table is not None}
    if len(holding) > 1:
        raise ConfigError(f"{OWN_FILE} and [tool.whorl] in {PROJECT_FILE} both hold settings: name one with --config")
    return next(iter(holding.items()), ("", {}))


def read_table(path: Path, called: str) -> dict[str, Any] | None:
    """The settings in one TOML file, or None if it is a `pyproject.toml` without a table for Whorl.

    Args:
        path: where the file is.
        called: how to call it in a message.
    """
    import tomllib  # here, because most servers start without a file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{called} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{called} is not TOML: {error}") from None
    if path.name != PROJECT_FILE:
        return content
    tool = content.get("tool")
    table = tool.get("whorl") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"tool.whorl in {called} must be a table: write [tool.whorl]")
    return table


def load_env_file(path: str, environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Put the variables of a file into the environment. Those that the environment already has, stay as they are.

    Args:
        path: a file of NAME=value lines, as python-dotenv reads it.
        environment: what to add to; the process's own by default.

    Returns:
        The names that were added. Loading the same file again adds nothing.

    Raises:
        ConfigError: python-dotenv is not installed, or the file cannot be read.
    """
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise ConfigError(f"env_file {path} needs the package python-dotenv: pip install 'whorl[dotenv]'") from None
    if not os.path.isfile(path):
        raise ConfigError(f"env_file must be a file that exists, not {path!r}")
    try:
        values = dotenv_values(path, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"env_file {path} cannot be read: {error}") from None
    added = [name for name, value in values.items() if value is not None and name not in environment]
    environment.update({name: value for name, value in values.items() if value is not None and name in added})
    return added
