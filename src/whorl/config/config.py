"""Every setting of Whorl, each described once.

A field of `Config` is a setting: its group, its default, its kind (unit and bounds), the sentence that explains it.
From these fields derive the command line (`whorl.cli.options`), environment and files (`sources`), validation (`check`)
and the documentation (`describe`). To add a setting, add a field to its section; to relate two, add a line to
`relations`.

A `Config` that exists is sound: it was checked at construction, and it is frozen. It reads neither the environment nor
a file, and it knows nothing of the layers that read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from whorl.config.kind import OrNone
from whorl.config.names import no_such_setting
from whorl.config.relations import NOTES, RELATIONS
from whorl.config.sections.application import ApplicationSettings
from whorl.config.sections.deadlines import DeadlinesSettings
from whorl.config.sections.event_loop import EventLoopSettings
from whorl.config.sections.limits import LimitsSettings
from whorl.config.sections.logs import LogsSettings
from whorl.config.sections.proxy import ProxySettings
from whorl.config.sections.reload import ReloadSettings
from whorl.config.sections.response import ResponseSettings
from whorl.config.sections.sockets import SocketsSettings
from whorl.config.sections.tls import TlsSettings
from whorl.config.sections.uvicorn import UvicornSettings
from whorl.config.sections.websocket import WebSocketSettings
from whorl.config.sections.workers import WorkersSettings
from whorl.config.setting import Setting, description
from whorl.config.words import Application
from whorl.errors import ConfigError

__all__ = ["SETTINGS", "Config", "check"]


@dataclass(frozen=True)
class Config(
    ApplicationSettings,
    EventLoopSettings,
    SocketsSettings,
    TlsSettings,
    ProxySettings,
    WorkersSettings,
    ReloadSettings,
    LimitsSettings,
    DeadlinesSettings,
    ResponseSettings,
    WebSocketSettings,
    LogsSettings,
    UvicornSettings,
):
    """What the user asked for.

    Args:
        app: an import string such as "main:app", or the application itself.
        options: the fields below, by keyword. A value may also be text, as on the command line: "2m", "64KiB".

    Raises:
        ConfigError: names that are not settings, values of the wrong kind or out of range, combinations that cannot
            work; all of them at once.
    """

    app: Any = field(metadata=description("Application", Application(), "The application to serve.", option=""))

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """Refuse keywords that are not settings, in one go with whatever is wrong with the others."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in options if name not in known]
        if not unknown:
            return object.__new__(cls)
        problems = [no_such_setting(name, known, name) for name in unknown]
        try:
            cls(*arguments, **{name: value for name, value in options.items() if name in known})
        except ConfigError as error:
            problems.extend(error.problems)
        raise ConfigError(*problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each value that was accepted and has no effect."""
        values = {name: getattr(self, name) for name in SETTINGS}
        notes: list[str] = []
        for name, value in values.items():
            described = SETTINGS[name]
            note = described.kind.note(value) if value != described.default else None
            if note is not None:
                notes.append(f"{name}={described.kind.show(value)} {note}")
        notes += [relation.sentence.format(*relation.settings) for relation in NOTES if not relation.is_kept(values)]
        return tuple(notes)

    def __post_init__(self) -> None:
        values, problems = check({name: getattr(self, name) for name in SETTINGS})
        if problems:
            raise ConfigError(*problems)
        for name, value in values.items():
            object.__setattr__(self, name, value)


SETTINGS: Final = {
    described.name: Setting.of(described)
    for section in (Config, *Config.__bases__)
    for described in fields(section)
    if section is not Config or described.name == "app"
}
"""Every setting by name, in the order in which they are read: the application, then section by section."""


def check(written: Mapping[str, object], places: Mapping[str, str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """Read and relate values.

    Args:
        written: setting name -> what was written; a setting that is absent has its default.
        places: setting name -> how to name it in a message ("--port"); the name itself where it is absent.

    Returns:
        The sound values by name, defaults included, and one sentence for each problem.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    named = {name: name for name in SETTINGS} | dict(places or {})
    for name, described in SETTINGS.items():
        try:
            values[name] = described.kind.read(written_or_default(written, described))
        except ValueError as error:
            problems.append(f"{named[name]} {error}")
    sound = [relation for relation in RELATIONS if all(name in values for name in relation.settings)]
    problems += [
        relation.sentence.format(*(named[name] for name in relation.settings))
        for relation in sound
        if not relation.is_kept(values)
    ]
    return values, problems


def written_or_default(written: Mapping[str, object], described: Setting) -> object:
    """What was written; the default where nothing was, or where Python wrote None for a setting that cannot be None."""
    raw = written.get(described.name, described.default)
    return described.default if raw is None and not isinstance(described.kind, OrNone) else raw
