"""What a WebSocket may cost, and how long its peer may be silent.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from whorl.config.kind import OrNone
from whorl.config.quantities import GIB, MIB, Count, Seconds, Size
from whorl.config.setting import setting
from whorl.config.words import Choice, Flag

__all__ = ["WebSocketSettings"]

UVICORN_IMPLEMENTATIONS: Final = ("websockets", "websockets-sansio", "wsproto")
ONE_CODEC: Final = "means auto: Whorl has one implementation of WebSocket"


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class WebSocketSettings:
    """What a WebSocket may cost, and how long its peer may be silent."""

    ws: str = setting(
        "WebSocket",
        "auto",
        Choice(("auto", "none", *UVICORN_IMPLEMENTATIONS), notes=dict.fromkeys(UVICORN_IMPLEMENTATIONS, ONE_CODEC)),
        "Whether WebSocket is served. With none, a request to upgrade is an ordinary request. The names of Uvicorn's "
        "implementations mean auto.",
    )
    ws_max_size: int = setting(
        "WebSocket",
        16 * MIB,
        Size(1, GIB),
        "The longest message, after inflating; a longer one ends the connection with 1009.",
    )
    ws_max_queue: int = setting(
        "WebSocket",
        32,
        Count(1, 100_000, "messages"),
        "Stop reading from the client while this many messages, or ws_max_size of them, wait for the application.",
    )
    ws_ping_interval: float | None = setting(
        "WebSocket",
        20.0,
        OrNone(Seconds(), "no pings", zero=True),
        "Ping a client that has sent nothing for this long.",
        why="Shorter than the 60 s after which common proxies close a silent connection.",
    )
    ws_ping_timeout: float | None = setting(
        "WebSocket",
        20.0,
        OrNone(Seconds(), "wait for ever", zero=True),
        "End the connection with 1011 when nothing comes for this long after a ping.",
    )
    ws_per_message_deflate: bool = setting(
        "WebSocket", True, Flag(), "Compress messages where the client offers it (RFC 7692)."
    )
