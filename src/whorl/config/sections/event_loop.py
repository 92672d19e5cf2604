"""Which event loop it runs on.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from whorl.config.setting import setting
from whorl.config.words import Text

__all__ = ["EventLoopSettings"]

UVICORN_NAMES: Final = {"none": "asyncio", "zuvloop": "zuvloop:new_event_loop"}


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class EventLoopSettings:
    """Which event loop it runs on."""

    loop: str = setting(
        "Event loop",
        "auto",
        Text("auto, asyncio, uvloop or <module>:<function>", "NAME", UVICORN_NAMES),
        "The event loop: auto, asyncio, uvloop or <module>:<function>. `whorl loops` lists those of this machine.",
        why="auto takes uvloop if it is installed, else asyncio.",
    )
