"""The two loggers of a server, `whorl.error` and `whorl.access`, and how the configuration sets them up.

`whorl.error` carries what the operator should know and goes to standard error; `whorl.access` carries one line per
response and goes to standard output. `log_config` chooses who decides: None is our own lines, below; a file's name or
a dictionary is the user's own, see `logging.config`; an empty dictionary touches nothing, and what the program around
us configured stands.

Our own setting is put together by hand and not with `logging.config.dictConfig`, which closes every handler in the
process: it would silence files that a program around us has open. Nobody else's logger, handler or level is touched.

The command line or the server calls `configure` once per process. Two servers in one process share the loggers, as
`logging` has it: the last one's levels hold.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, TextIO

from whorl.errors import ConfigError
from whorl.observe.colors import paint_level, paint_status, wants_colors
from whorl.observe.escaping import text_of

__all__ = [
    "ACCESS_LINE",
    "ACCESS_LOGGER",
    "ERROR_LOGGER",
    "TIME_FORMAT",
    "AccessFormatter",
    "LineFormatter",
    "LineHandler",
    "LogSettings",
    "configure",
    "keep_enabled",
    "reopen",
    "writes_files",
]

ERROR_LOGGER = "whorl.error"
ACCESS_LOGGER = "whorl.access"

ACCESS_LINE = '%s "%s" %s %d %.1fms'
"""The message of an access record: client, request line, status, bytes of content, milliseconds."""
STATUS_AT = 2
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

# Whoever disables all loggers that exist, as `dictConfig` does by default, disables this one too; whoever names one of
# ours means it, and does not name this.
CANARY = logging.getLogger("whorl.canary")


class LogSettings(Protocol):
    """What this layer reads of the configuration."""

    @property
    def log_level(self) -> str: ...

    @property
    def log_config(self) -> Any: ...

    @property
    def use_colors(self) -> bool | None: ...

    @property
    def access_log(self) -> bool: ...


class LineFormatter(logging.Formatter):
    """Time, level, message. A `log_config` of one's own may name it: `"()": "whorl.observe.logs.LineFormatter"`.

    Args:
        colors: whether the level's word is colored.
    """

    def __init__(self, colors: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", TIME_FORMAT)
        self.colors = colors

    def formatMessage(self, record: logging.LogRecord) -> str:
        if not self.colors:
            return super().formatMessage(record)
        level = paint_level(record.levelno, f"{record.levelname:<7}")
        return f"{record.asctime} {level} {record.message}"


class AccessFormatter(logging.Formatter):
    """Time and message: an access line has no level. It may be named in a `log_config` as well.

    Args:
        colors: whether the status is colored.
    """

    def __init__(self, colors: bool = False) -> None:
        super().__init__("%(asctime)s %(message)s", TIME_FORMAT)
        self.colors = colors

    def format(self, record: logging.LogRecord) -> str:
        status = getattr(record, "status", None)
        args = record.args
        if self.colors and isinstance(status, int) and isinstance(args, tuple):
            record = copy.copy(record)  # other handlers see the same record
            record.args = (*args[:STATUS_AT], paint_status(status), *args[STATUS_AT + 1 :])
        return super().format(record)


class LineHandler(logging.StreamHandler[TextIO]):
    """Our own handler on either logger, so that it can be told from those that somebody else attached."""

    def handleError(self, record: logging.LogRecord) -> None:
        """A stream that is gone has nobody to complain to, least of all once per line."""
        if not (isinstance(sys.exception(), OSError) or is_closed(self.stream)):
            super().handleError(record)


def configure(settings: LogSettings) -> None:
    """Set up logging for this process.

    Args:
        settings: `log_level`, `log_config`, `use_colors` and `access_log` of the configuration. Level and colors are
            for our own lines; a `log_config` says its own.

    Raises:
        ConfigError: `log_config` cannot be read or does not configure logging.
    """
    if settings.log_config is None:
        _install(ERROR_LOGGER, sys.stderr, LineFormatter, settings)
        _install(ACCESS_LOGGER, sys.stdout if settings.access_log else None, AccessFormatter, settings)
    elif settings.log_config != {}:
        _apply(settings.log_config)
    keep_enabled()


def keep_enabled() -> None:
    """Enable our loggers again if a logging configuration has disabled all that existed, and say so.

    `dictConfig` and `fileConfig` do that unless they are told otherwise: the applications that call them do not mean
    us, and without a log nobody would learn why a request fails. A logger that is disabled by its name stays so.
    """
    if not CANARY.disabled:
        return
    CANARY.disabled = False
    disabled = [logger for logger in map(logging.getLogger, (ERROR_LOGGER, ACCESS_LOGGER)) if logger.disabled]
    for logger in disabled:
        logger.disabled = False
    if disabled:
        logging.getLogger(ERROR_LOGGER).warning(
            "a logging configuration disabled all loggers that existed; %s enabled again "
            "(disable_existing_loggers=False leaves them alone)",
            " and ".join(logger.name for logger in disabled) + (" are" if len(disabled) > 1 else " is"),
        )


def file_handlers() -> Iterator[logging.FileHandler]:
    """The handlers of this process that write to a file."""
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in (logging.root, *loggers):
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                yield handler


def writes_files() -> bool:
    """Return whether this process logs to a file."""
    return any(True for _ in file_handlers())


def reopen() -> None:
    """Reopen every log file: a program that rotates logs has given it another name."""
    for handler in file_handlers():
        with handler.lock or nullcontext():
            if handler.stream is not None:
                handler.stream.close()
                handler.stream = None  # it is opened with the next line


def _install(
    name: str, stream: TextIO | None, formatter: Callable[[bool], logging.Formatter], settings: LogSettings
) -> None:
    """Give a logger our handler in place of an earlier one of ours. Handlers that somebody else attached stay."""
    logger = logging.getLogger(name)
    for earlier in [handler for handler in logger.handlers if isinstance(handler, LineHandler)]:
        logger.removeHandler(earlier)
        earlier.close()
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False
    logger.disabled = False
    # A program without a console has no stream.
    if stream is not None and not is_closed(stream):
        handler = LineHandler(stream)
        handler.setFormatter(formatter(wants_colors(stream, settings.use_colors)))
        logger.addHandler(handler)


def is_closed(stream: TextIO) -> bool:
    """Whether a standard stream can take nothing more. An application may close it, or put an object of its own there
    that can only `write` and `flush`."""
    return bool(getattr(stream, "closed", False))


def _apply(log_config: Any) -> None:
    """Hand the user's own configuration to `logging`. Loggers that exist stay enabled unless it says otherwise.

    Args:
        log_config: a path, a dictionary for `dictConfig`, or a `RawConfigParser` for `fileConfig`.
    """
    from configparser import RawConfigParser
    from logging.config import dictConfig, fileConfig  # here, because most servers start without a log_config

    source = f"log_config {os.fspath(log_config)}" if isinstance(log_config, (str, os.PathLike)) else "log_config"
    try:
        config = _parse(Path(log_config)) if isinstance(log_config, (str, os.PathLike)) else log_config
        if isinstance(config, RawConfigParser):
            fileConfig(config, disable_existing_loggers=False)
        else:
            dictConfig({"disable_existing_loggers": False, **config})
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ConfigError(f"{source} does not configure logging: {_reason(error)}") from error


def _parse(path: Path) -> Mapping[str, Any]:
    """What a file holds: a table for `dictConfig`, or, where the suffix is none of ours, a parser for `fileConfig`."""
    import json
    import tomllib
    from configparser import ConfigParser

    text = path.read_text("utf-8")
    readers: dict[str, Callable[[str], Any]] = {
        ".json": json.loads,
        ".toml": tomllib.loads,
        ".yaml": _load_yaml,
        ".yml": _load_yaml,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        parser = ConfigParser(None)
        parser.read_string(text, str(path))
        return parser
    content = reader(text)
    if not isinstance(content, dict):
        raise ConfigError(
            f"log_config {path} does not hold a table: write a dictionary as logging.config.dictConfig takes it"
        )
    return content


def _load_yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigError("log_config in YAML needs PyYAML: pip install 'whorl[yaml]'") from None
    return yaml.safe_load(text)


def _reason(error: BaseException) -> str:
    """Why, in one line. `dictConfig` says only which part it could not make; the causes below say why."""
    texts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # a handler's own class may have raised, and its causes lead back
        seen.add(id(link))
        text = f"{text_of(link)} is missing" if isinstance(link, KeyError) else text_of(link)  # of `fileConfig`
        texts.append(" ".join(text.split()) or type(link).__name__)
        link = link.__cause__
    return ": ".join(texts)
