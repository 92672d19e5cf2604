"""Where clients are waited for.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import OrNone
from whorl.config.quantities import Count, Mode
from whorl.config.setting import setting
from whorl.config.words import Host, Text

__all__ = ["SocketsSettings"]


@dataclass(frozen=True, kw_only=True)
class SocketsSettings:
    """Where clients are waited for."""

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
