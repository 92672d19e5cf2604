"""One configuration out of four places: command line, environment, file, default; the first that has a value wins.
A platform that knows how much there is to use says how many workers there are by default.

Every value keeps its place, so that a message names what the user wrote ("--port", "WHORL_PORT", "port in whorl.toml")
and `whorl --check-config` can say where each value came from. Absent on purpose: merging of lists (the winning place
gives the whole list), nested tables, a file per environment.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whorl.config.config import SETTINGS, Config, check
from whorl.config.files import load_env_file, read_settings
from whorl.config.names import no_such_setting
from whorl.config.setting import ENVIRONMENT_PREFIX
from whorl.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "Assembled", "assemble"]

CONFIG_VARIABLE: Final = ENVIRONMENT_PREFIX + "CONFIG"
# That one names the file; the other is the build's (tools/build_hook.py), and may still be set.
NOT_SETTINGS: Final = {CONFIG_VARIABLE, ENVIRONMENT_PREFIX + "COMPILE"}

PLATFORM_VARIABLES: Final = {"workers": "WEB_CONCURRENCY"}
"""What platforms set by themselves, and other servers read as well; it counts less than anything written for Whorl."""

WAYS_TO_LISTEN: Final = (("host", "port"), ("uds", "uds_mode"), ("fd",), ("bind",))
"""The highest place that names one of these ways decides on the way: `--port` beats a `uds` in the file."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one place says about one setting.

    Args:
        raw: the value as it was written.
        place: how to name the setting in a message.
        origin: where it comes from, for the table of `--check-config`.
    """

    raw: object
    place: str
    origin: str


@dataclass(frozen=True, slots=True)
class Assembled:
    """A configuration, and each value's origin: setting name -> "--port", "WHORL_PORT", "whorl.toml" or "default"."""

    config: Config
    origins: Mapping[str, str]


def assemble(
    command_line: Mapping[str, object], environment: MutableMapping[str, str], directory: Path, file: str | None = None
) -> Assembled:
    """Make a configuration out of all places.

    Args:
        command_line: setting name -> what was written, for the options that were given.
        environment: the environment variables; those of an env_file are added to it.
        directory: where to look for `whorl.toml` and `pyproject.toml`.
        file: the path given to `--config`, empty for no file at all; without it, that of WHORL_CONFIG.

    Raises:
        ConfigError: everything that is wrong in all of these places.
    """
    problems: list[str] = []
    spelled = {name: SETTINGS[name].option or "APP" for name in command_line}
    arguments = {name: Written(raw, spelled[name], spelled[name]) for name, raw in command_line.items()}
    contents: dict[str, Written] = {}
    added: list[str] = []
    env_file: str | None = None
    try:
        contents = from_file(directory, environment.get(CONFIG_VARIABLE) or None if file is None else file, problems)
        env_file = env_file_of(arguments, environment, contents)
        added = load_env_file(env_file, environment) if env_file is not None else []
    except ConfigError as error:
        problems.extend(error.problems)
    variables = from_environment(environment, problems, {name: f"{name} in {env_file}" for name in added})

    merged = merge(from_platform(environment, added, env_file), contents, variables, arguments)
    if is_on("reload", merged) and "workers" in merged and merged["workers"].place == PLATFORM_VARIABLES["workers"]:
        del merged["workers"]  # whoever develops has not asked for it
    places = {name: written.place for name, written in merged.items()}
    values, unsound = check({name: written.raw for name, written in merged.items()}, places)
    if problems or unsound:
        raise ConfigError(*problems, *unsound)
    return Assembled(
        Config(**values), {name: merged[name].origin if name in merged else "default" for name in SETTINGS}
    )


def from_file(directory: Path, named: str | None, problems: list[str]) -> dict[str, Written]:
    """What the file says; keys that are not settings are added to the problems."""
    path, content = ("", {}) if named == "" else read_settings(directory, named)
    found: dict[str, Written] = {}
    for name, raw in content.items():
        if name in SETTINGS:
            found[name] = Written(raw, f"{name} in {path}", path)
        else:
            problems.append(no_such_setting(name, SETTINGS, f"{name} in {path}"))
    return found


def from_environment(
    environment: Mapping[str, str], problems: list[str], origins: Mapping[str, str]
) -> dict[str, Written]:
    """What the variables say; those that are not settings are added to the problems. An empty one counts as absent.

    Args:
        environment: all variables.
        problems: where to put the sentences.
        origins: variable name -> its origin, for those that do not come from the environment itself.
    """
    found: dict[str, Written] = {}
    for variable, raw in environment.items():
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS or not raw:
            continue
        if name in SETTINGS and variable == SETTINGS[name].variable:
            found[name] = Written(raw, variable, origins.get(variable, variable))
        else:
            problems.append(no_such_setting(name, SETTINGS, variable, lambda known: SETTINGS[known].variable))
    return found


def from_platform(environment: Mapping[str, str], added: list[str], env_file: str | None) -> dict[str, Written]:
    """What the platform suggests. An empty variable counts as absent.

    Args:
        environment: all variables.
        added: the names of those that come from an env_file.
        env_file: its path.
    """
    found: dict[str, Written] = {}
    for name, variable in PLATFORM_VARIABLES.items():
        if raw := environment.get(variable):
            origin = f"{variable} in {env_file}" if variable in added else variable
            found[name] = Written(raw, variable, origin)
    return found


def is_on(name: str, merged: Mapping[str, Written]) -> bool:
    """Whether a switch was written and is on; one that is unsound is reported elsewhere."""
    try:
        return name in merged and bool(SETTINGS[name].kind.read(merged[name].raw))
    except ValueError:
        return False


def env_file_of(
    arguments: Mapping[str, Written], environment: Mapping[str, str], contents: Mapping[str, Written]
) -> str | None:
    """The env_file of the highest place that has one; an unsound one is None here, and reported with the rest."""
    setting = SETTINGS["env_file"]
    raw = environment.get(setting.variable)
    variable = {setting.name: Written(raw, setting.variable, setting.variable)} if raw else {}
    for place in (arguments, variable, contents):
        if setting.name in place:
            try:
                path: str | None = setting.kind.read(place[setting.name].raw)
            except ValueError:
                return None
            return path
    return None


def merge(*places: Mapping[str, Written]) -> dict[str, Written]:
    """All places as one, the lowest first."""
    merged: dict[str, Written] = {}
    for place in places:
        ways = [way for way in WAYS_TO_LISTEN if any(name in place for name in way)]
        lost = [name for way in WAYS_TO_LISTEN if ways and way not in ways for name in way]
        merged = {name: written for name, written in merged.items() if name not in lost} | dict(place)
    return merged
