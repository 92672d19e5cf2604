"""The setting that is a list of places to listen on: `bind`, and what host, port, uds and fd come to.

    127.0.0.1:8000    [::]:8000    localhost:0    :8000    8000    unix:/run/app.sock?mode=0660    fd://3

A place is read here, once; `server.sockets` binds it. Nothing is opened or looked up. `config` uses this kind for
`bind`; see `kind` for what a kind is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from whorl.config.kind import Kind
from whorl.config.quantities import Count, Mode
from whorl.config.words import Host

__all__ = ["DEFAULT_HOST", "UNIX_MODE", "DescriptorPlace", "Place", "Places", "TcpPlace", "UnixPlace"]

DEFAULT_HOST: Final = "127.0.0.1"
UNIX_MODE: Final = 0o666
PORT: Final = Count(0, 65535)
DESCRIPTOR: Final = Count(0, 2**31 - 1)
BETWEEN: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class TcpPlace:
    """A host, empty for every address of this machine, and a port, 0 for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixPlace:
    """The path of a Unix socket and its permission bits."""

    path: str
    mode: int = UNIX_MODE

    def __str__(self) -> str:
        return f"unix:{self.path}" + (f"?mode={self.mode:04o}" if self.mode != UNIX_MODE else "")


@dataclass(frozen=True, slots=True)
class DescriptorPlace:
    """A bound socket that the parent process left open."""

    number: int

    def __str__(self) -> str:
        return f"fd://{self.number}"


Place = TcpPlace | UnixPlace | DescriptorPlace


class Places(Kind[tuple[Place, ...]]):
    """Places to listen on: a list of texts, or one text with spaces, commas or line ends between them.

    The one text is how an environment variable writes the list. A path with a space or a comma in it needs the list.
    """

    def read(self, raw: object) -> tuple[Place, ...]:
        if isinstance(raw, str):
            raw = [item for item in BETWEEN.split(raw) if item]
        if not isinstance(raw, Iterable) or isinstance(raw, (bytes, bytearray, dict)):
            raise self.refusal(raw)
        places: list[Place] = []
        for item in raw:
            place = item if isinstance(item, Place) else self.place(item)
            if place in places and not (isinstance(place, TcpPlace) and place.port == 0):
                raise ValueError(f"names {place} twice")
            places.append(place)
        for place in places:
            if isinstance(place, TcpPlace) and place.host == "0.0.0.0" and TcpPlace("::", place.port) in places:
                raise ValueError(f"names {place} beside [::]:{place.port}, which takes IPv4 along: leave {place} out")
        return tuple(places)

    def place(self, item: object) -> Place:
        """One place."""
        if not isinstance(item, str):
            raise self.refusal(item)
        text = item.strip()
        if text.startswith("unix:"):
            return self.unix(item, text.removeprefix("unix:"))
        if text.startswith("fd:"):
            return DescriptorPlace(self.number(item, text[3:].removeprefix("//"), DESCRIPTOR))
        host, colon, port = text.removeprefix("tcp://").rpartition(":")
        if not colon:  # a port alone opens nothing to the network that the default would not
            return TcpPlace(DEFAULT_HOST, self.number(item, text, PORT))
        if host in ("", "*"):
            return TcpPlace("", self.number(item, port, PORT))
        is_bracketed = host.startswith("[") and host.endswith("]")
        if ":" in host and not is_bracketed:
            raise self.refusal(item)
        try:
            return TcpPlace(Host().read(host[1:-1] if is_bracketed else host), self.number(item, port, PORT))
        except ValueError:
            raise self.refusal(item) from None

    def unix(self, item: object, text: str) -> UnixPlace:
        """What follows `unix:`: a path, and perhaps `?mode=`."""
        path, question, query = text.partition("?")
        if path.startswith("//"):  # as in a URI with an empty authority
            path = path[2:]
        if not path or not path.isprintable():
            raise self.refusal(item)
        if not question:
            return UnixPlace(path)
        name, _, mode = query.partition("=")
        if name != "mode":
            raise ValueError(f"has {item!r}: after ? a Unix socket may have mode=, such as unix:{path}?mode=0660")
        try:
            return UnixPlace(path, Mode().read(mode))
        except ValueError as error:
            raise ValueError(f"has {item!r}, whose mode {error}") from None

    def number(self, item: object, text: str, kind: Count) -> int:
        try:
            return kind.read(text)
        except ValueError:
            raise self.refusal(item) from None

    def accepts(self) -> str:
        return "<host>:<port>, [<IPv6 address>]:<port>, :<port>, <port>, unix:<path>?mode=<octal> or fd://<number>"

    def show(self, value: tuple[Place, ...]) -> str:
        return "\n".join(map(str, value))

    @property
    def metavar(self) -> str:
        return "PLACE"

    @property
    def is_list(self) -> bool:
        return True
