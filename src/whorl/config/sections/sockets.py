"""Where clients are waited for.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.kind import OrNone
from whorl.config.places import DEFAULT_HOST, UNIX_MODE, DescriptorPlace, Place, Places, TcpPlace, UnixPlace
from whorl.config.quantities import Count, Mode
from whorl.config.setting import setting
from whorl.config.words import Host, Text

__all__ = ["SocketsSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SocketsSettings:
    """Where clients are waited for."""

    host: str | None = setting(
        "Sockets",
        DEFAULT_HOST,
        OrNone(Host(), "every address", word="*"),
        "The address to listen on.",
        why="Nobody but this machine can reach it until you say so.",
    )
    port: int = setting("Sockets", 8000, Count(0, 65535), "The TCP port to listen on; 0 takes a free one.", short="-p")
    uds: str | None = setting(
        "Sockets",
        None,
        OrNone(Text("the path of a Unix socket", "PATH"), "TCP"),
        "Listen on this Unix socket in place of host and port.",
    )
    uds_mode: int = setting(
        "Sockets", UNIX_MODE, Mode(), "The permissions of the Unix socket.", why="A proxy often runs as another user."
    )
    fd: int | None = setting(
        "Sockets",
        None,
        OrNone(Count(0, 2**31 - 1), "not used"),
        "Listen on this inherited file descriptor in place of host and port.",
    )
    bind: tuple[Place, ...] = setting(
        "Sockets",
        (),
        Places(),
        "Listen here in place of all of the above: 127.0.0.1:8000, [::]:8000 (IPv4 as well), :8000 (every address), "
        "8000 (127.0.0.1), unix:/run/app.sock?mode=0660 or fd://3; may be repeated. A file has a list, a variable puts "
        "spaces between.",
        short="-b",
    )
    redirect_http: int | None = setting(
        "Sockets",
        None,
        OrNone(Count(0, 65535), "no redirects"),
        "Listen on this port too, on the same addresses, and answer every request there with a redirect to TLS "
        "(308); 0 takes a free one.",
        why="A browser that is given a name alone may still try port 80 first.",
    )
    backlog: int = setting(
        "Sockets",
        2048,
        Count(1, 65535, "connections"),
        "How many connections may wait to be accepted; the kernel may lower it (listen(2)).",
    )

    @property
    def places(self) -> tuple[Place, ...]:
        """Everywhere to listen, whichever way it was written."""
        if self.bind:
            return self.bind
        if self.fd is not None:
            return (DescriptorPlace(self.fd),)
        if self.uds is not None:
            return (UnixPlace(self.uds, self.uds_mode),)
        return (TcpPlace(self.host or "", self.port),)
