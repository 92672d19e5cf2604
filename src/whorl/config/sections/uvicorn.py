"""Options of Uvicorn without a counterpart here, so that its command lines and programs work as they are.

One section of `Config`, which puts them together. Nothing reads these settings. A value other than the default makes a
line in the log that says so, or is refused where something would be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from whorl.config.kind import Missing, OrNone, Unused
from whorl.config.quantities import Count, Seconds
from whorl.config.setting import description, setting
from whorl.config.words import Choice, Flag, Text

__all__ = ["UvicornSettings"]

GROUP = "Uvicorn"


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class UvicornSettings:
    """Options of Uvicorn without a counterpart here."""

    http: str = setting(
        GROUP,
        "auto",
        Unused(Choice(("auto", "h11", "httptools", "zttp")), "Whorl has one HTTP parser"),
        "No effect: Whorl has one HTTP parser.",
    )
    http2: bool = setting(GROUP, False, Missing(Flag(), False), "Whorl has no HTTP/2 yet.")
    h11_max_incomplete_event_size: int | None = setting(
        GROUP,
        None,
        Unused(
            OrNone(Count(0, None, "bytes"), "not given"),
            "limit_request_line and limit_header_section bound a request's head",
        ),
        "No effect: limit_request_line and limit_header_section bound a request's head.",
    )
    reset_contextvars: bool = setting(
        GROUP,
        False,
        Unused(Flag(), "each request has a copy of the server's context anyway"),
        "No effect: each request has a copy of the server's context anyway.",
    )
    timeout_notify: float = setting(
        GROUP, 30.0, Unused(Seconds(0.0), "there is no callback_notify"), "No effect: there is no callback_notify."
    )
    callback_notify: Any = field(
        default=None,
        metadata=description(
            GROUP,
            Missing(OrNone(Text("none", "NONE"), "no callback"), None),
            "Whorl calls nothing at intervals: start a task in the application's lifespan.",
        ),
    )
