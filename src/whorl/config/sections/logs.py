"""What is written down.

One section of `Config`, which puts them together.
"""

# ruff: noqa: RUF009 (`setting` is `dataclasses.field` with a description)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from whorl.config.kind import OrNone
from whorl.config.setting import setting
from whorl.config.words import Choice, Flag, LogConfig

__all__ = ["LogsSettings"]

LOG_LEVELS: Final = ("critical", "error", "warning", "info", "debug")
LOG_LEVEL_ALIASES: Final = {
    **{str(50 - 10 * index): level for index, level in enumerate(LOG_LEVELS)},  # logging.ERROR: 40
    "trace": "debug",  # a level of Uvicorn's own, and its number
    "5": "debug",
}


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class LogsSettings:
    """What is written down."""

    log_level: str = setting(
        "Logs",
        "info",
        Choice(LOG_LEVELS, LOG_LEVEL_ALIASES, "LEVEL"),
        "The least severe messages of whorl.error to write: critical, error, warning, info or debug; trace is debug.",
    )
    access_log: bool = setting("Logs", True, Flag(), "Write a line for every response when it ends.")
    log_config: Any = setting(
        "Logs",
        None,
        OrNone(LogConfig(), "Whorl's own"),
        "Configure logging by this file in place of Whorl's own configuration: .json, .toml, .yaml and .yml are for "
        "logging.config.dictConfig, any other suffix is for fileConfig.",
    )
    use_colors: bool | None = setting(
        "Logs",
        None,
        OrNone(Flag(), "colors on a terminal", word="auto"),
        "Colour the log; without either, only on a terminal.",
    )
