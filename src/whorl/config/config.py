"""Every setting of Whorl, each described once.

A field of `Config` is a setting: its group, its default, its kind (unit and bounds), the sentence that explains it.
From these fields derive the command line (`whorl.cli.options`), environment and files (`sources`), validation (`check`)
and the documentation (`describe`). To add a setting, add a field here; to relate two, add a line to `relations`.

A `Config` that exists is sound: it was checked at construction, and it is frozen. It reads neither the environment nor
a file, and it knows nothing of the layers that read it.
"""

# ruff: noqa: RUF009 (`setting` is `dataclasses.field` with a description)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, Final, Self

from whorl.config.header_fields import HeaderFields
from whorl.config.kind import OrNone
from whorl.config.names import no_such_setting
from whorl.config.quantities import GIB, KIB, MIB, Count, Mode, Seconds, Size
from whorl.config.relations import RELATIONS
from whorl.config.setting import Setting, description, setting
from whorl.config.words import Application, Choice, Directory, File, Flag, Host, LogConfig, RootPath, Text
from whorl.errors import ConfigError

__all__ = ["SETTINGS", "Config", "check"]

LOG_LEVELS: Final = ("critical", "error", "warning", "info", "debug")
LOG_LEVEL_NUMBERS: Final = {str(50 - 10 * index): level for index, level in enumerate(LOG_LEVELS)}  # logging.ERROR: 40


@dataclass(frozen=True, slots=True)
class Config:
    """What the user asked for.

    Args:
        app: an import string such as "main:app", or the application itself.
        options: the fields below, by keyword. A value may also be text, as on the command line: "2m", "64KiB".

    Raises:
        ConfigError: names that are not settings, values of the wrong kind or out of range, combinations that cannot
            work; all of them at once.
    """

    app: Any = field(metadata=description("Application", Application(), "The application to serve.", option=""))
    _: KW_ONLY

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

    loop: str = setting(
        "Event loop",
        "auto",
        Text("auto, asyncio, uvloop or <module>:<function>", "NAME"),
        "The event loop: auto, asyncio, uvloop or <module>:<function>. `whorl loops` lists those of this machine.",
        why="auto takes uvloop if it is installed, else asyncio.",
    )

    host: str = setting(
        "Sockets",
        "127.0.0.1",
        Host(),
        "The address to listen on.",
        why="Nobody but this machine can reach it until you say so.",
    )
    port: int = setting("Sockets", 8000, Count(0, 65535), "The TCP port to listen on; 0 takes a free one.")
    uds: str | None = setting(
        "Sockets",
        None,
        OrNone(Text("the path of a Unix socket", "PATH"), "TCP"),
        "Listen on this Unix socket in place of host and port.",
    )
    uds_mode: int = setting(
        "Sockets", 0o666, Mode(), "The permissions of the Unix socket.", why="A proxy often runs as another user."
    )
    fd: int | None = setting(
        "Sockets",
        None,
        OrNone(Count(0, 2**31 - 1), "not used"),
        "Listen on this inherited file descriptor in place of host and port.",
    )
    backlog: int = setting(
        "Sockets",
        2048,
        Count(1, 65535, "connections"),
        "How many connections may wait to be accepted; the kernel may lower it (listen(2)).",
    )

    limit_concurrency: int | None = setting(
        "Limits",
        None,
        OrNone(Count(1, None, "requests"), "no limit", zero=True),
        "Answer 503 with Retry-After while this many requests are in flight; idle connections do not count.",
        why="Only the application knows how many it can bear.",
    )
    limit_max_requests: int | None = setting(
        "Limits",
        None,
        OrNone(Count(1, None, "requests"), "no limit", zero=True),
        "Drain and leave after this many requests.",
    )
    limit_max_requests_jitter: int = setting(
        "Limits", 0, Count(0, None, "requests"), "Add a random number, from 0 to this, to limit_max_requests."
    )
    limit_request_line: int = setting(
        "Limits", 16 * KIB, Size(16, MIB), "The longest request line; a longer one is answered 414."
    )
    limit_header_section: int = setting(
        "Limits", 64 * KIB, Size(16, 16 * MIB), "The largest header section of a request; a larger one is answered 431."
    )
    limit_header_fields: int = setting(
        "Limits", 128, Count(1, 100_000, "fields"), "The most header fields in a request; more are answered 431."
    )
    limit_body_size: int | None = setting(
        "Limits",
        None,
        OrNone(Size(1), "no limit", zero=True),
        "The largest request body; a larger one is answered 413.",
        why="Only the application knows what it wants to receive.",
    )
    limit_body_drain: int = setting(
        "Limits",
        MIB,
        Size(0, GIB),
        "Read and drop this much of a body that the application left unread; if more comes, close the connection.",
        why="Reading on is cheaper than a new connection, but only to a point.",
    )
    limit_pipeline: int = setting(
        "Limits",
        16,
        Count(1, 10_000, "requests"),
        "Serve a connection this many pipelined requests in one turn of the event loop.",
        why="One client's burst must not keep the others waiting.",
    )
    buffer_request_body: int = setting(
        "Limits",
        64 * KIB,
        Size(1, GIB),
        "Stop reading from the client while this much of a request body waits for the application.",
    )
    buffer_response_high: int = setting(
        "Limits",
        64 * KIB,
        Size(1, GIB),
        "Let the application's send() wait once this much of a response waits for the client.",
    )
    buffer_response_low: int = setting(
        "Limits", 16 * KIB, Size(0, GIB), "Let send() go on once no more than this is left of it."
    )

    timeout_first_byte: float | None = setting(
        "Deadlines",
        10.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Close a new connection that sends nothing for this long.",
    )
    timeout_request_head: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Answer 408 when a request's head takes longer than this.",
    )
    timeout_request_body: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Answer 408 when a request body makes no progress for this long.",
    )
    timeout_response: float | None = setting(
        "Deadlines",
        60.0,
        OrNone(Seconds(), "no deadline", zero=True),
        "Reset the connection when its client takes nothing of a response for this long.",
    )
    timeout_keep_alive: float | None = setting(
        "Deadlines",
        75.0,
        OrNone(Seconds(least=0.0), "no deadline"),
        "Close a connection that is idle between requests for this long; 0 closes it as soon as it is idle.",
        why="Longer than the 60 s of common load balancers, which would send a request into a closing connection.",
    )
    timeout_graceful_shutdown: float | None = setting(
        "Deadlines",
        30.0,
        OrNone(Seconds(least=0.0), "wait for ever"),
        "When the server stops, cancel the requests still in flight after this long; 0 cancels them at once.",
    )

    server_header: bool = setting("Response", True, Flag(), "Send the Server field.")
    date_header: bool = setting("Response", True, Flag(), "Send the Date field.")
    headers: tuple[tuple[bytes, bytes], ...] = setting(
        "Response",
        (),
        HeaderFields(),
        "Send this field with every response; may be repeated. A file has a list, a variable one field per line.",
        option="--header",
    )

    log_level: str = setting(
        "Logs",
        "info",
        Choice(LOG_LEVELS, LOG_LEVEL_NUMBERS, "LEVEL"),
        "The least severe messages of whorl.error to write: critical, error, warning, info or debug.",
    )
    access_log: bool = setting("Logs", True, Flag(), "Write a line for every response when it ends.")
    log_config: str | dict[str, Any] | None = setting(
        "Logs",
        None,
        OrNone(LogConfig(), "Whorl's own"),
        "Configure logging by this file (.json, .toml, .yaml or .ini) in place of Whorl's own configuration.",
    )
    use_colors: bool | None = setting(
        "Logs",
        None,
        OrNone(Flag(), "colours on a terminal", word="auto"),
        "Colour the log; without either, only on a terminal.",
    )

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

    def __post_init__(self) -> None:
        values, problems = check({name: getattr(self, name) for name in SETTINGS})
        if problems:
            raise ConfigError(*problems)
        for name, value in values.items():
            object.__setattr__(self, name, value)


SETTINGS: Final = {field.name: Setting.of(field) for field in fields(Config)}


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
            values[name] = described.kind.read(written.get(name, described.default))
        except ValueError as error:
            problems.append(f"{named[name]} {error}")
    for relation in RELATIONS:
        related = relation.settings
        if all(name in values for name in related) and not relation.holds(*(values[name] for name in related)):
            problems.append(relation.sentence.format(*(named[name] for name in related)))
    return values, problems
