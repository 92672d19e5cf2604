"""The loops known here: what to type for each, where each runs, and what each lacks.

A loop that is not in this table is welcome all the same: Whorl assumes that it can do whatever asyncio's own loop
can. What a loop lacks was found by running it, or is stated by its documentation; docs/event-loops.md says which,
with versions.

It makes no loop.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from whorl.platform import Platform

__all__ = [
    "ASYNCIO",
    "KNOWN",
    "NAMES",
    "UVLOOP",
    "Feature",
    "KnownLoop",
    "install_command",
    "suggestion",
    "version",
    "why_absent",
]


NAMES = ("auto", "asyncio", "uvloop")
"""The values of `--loop` that are complete in themselves."""


class Feature(Enum):
    """Something that not every loop can do. The value is what it is called in a sentence."""

    TLS = "TLS of its own"
    """For an application's own connections: what clients speak with Whorl is deciphered above the loop."""
    UNIX_SOCKETS = "Unix sockets"
    SENDFILE = "sendfile"
    """`loop.sendfile()` on its own transports."""
    SET_PROTOCOL = "change of protocol"
    """`transport.set_protocol()`."""
    KEEPS_CLIENTS = "listener that closes alone"
    """`Server.close()` closes the listener and leaves its connections as they are."""
    KEEPS_SOCKET = "listener that leaves its socket open"
    """`create_server(sock=s)` leaves `s` usable. Without this, hand over a duplicate."""
    PROMPT_PAUSE = "prompt pause"
    """`transport.pause_reading()` holds at once. Without this the loop reads on: offer it no buffer."""
    PROMPT_CLOSE = "prompt close"
    """`transport.close()` and `abort()` end the connection at once. Without this the peer waits: write EOF first."""


@dataclass(frozen=True, slots=True)
class KnownLoop:
    """One row of the table.

    Args:
        name: what the loop is called, and its module, and its distribution.
        python: the oldest Python it runs on.
        windows: whether it runs on Windows, or nowhere else.
        pypy: whether it runs on PyPy.
        lacks: what it cannot do, on any platform.
        wakes: whether a signal with a handler of Python's (`signal.signal`) wakes it where it waits.
    """

    name: str
    python: tuple[int, int] = (3, 11)
    windows: Literal["yes", "no", "only"] = "no"
    pypy: bool = False
    lacks: frozenset[Feature] = frozenset()
    wakes: bool = True

    @property
    def typed(self) -> str:
        """What to type after `--loop`."""
        return self.name if self.name in NAMES else f"{self.name}:new_event_loop"

    def why_unsupported(self, platform: Platform) -> str | None:
        """Returns: the end of a sentence that begins with the loop's name, or None if it can run on `platform`."""
        if platform.is_windows and self.windows == "no":
            return "does not run on Windows"
        if not platform.is_windows and self.windows == "only":
            return "runs on Windows only"
        if platform.is_pypy and not self.pypy:
            return "does not run on PyPy"
        if platform.python < self.python:
            return f"needs Python {self.python[0]}.{self.python[1]} or newer, and this is {platform.python_version}"
        return None

    def lacking(self, platform: Platform) -> frozenset[Feature]:
        """Returns: what this loop cannot do on `platform`."""
        return self.lacks if platform.has_unix_sockets else self.lacks | {Feature.UNIX_SOCKETS}


ASYNCIO = KnownLoop("asyncio", windows="yes", pypy=True)
UVLOOP = KnownLoop("uvloop", lacks=frozenset({Feature.SENDFILE}))
KNOWN = (
    UVLOOP,
    ASYNCIO,
    KnownLoop("rloop", pypy=True, lacks=frozenset(Feature)),  # it has none of them yet
    KnownLoop("zuvloop", python=(3, 14), windows="yes", wakes=False),
    KnownLoop("winloop", windows="only", lacks=frozenset({Feature.SENDFILE})),
    KnownLoop("blazio", python=(3, 12), windows="yes", lacks=frozenset({Feature.UNIX_SOCKETS, Feature.SENDFILE})),
    KnownLoop("rsloop", windows="yes", lacks=frozenset({Feature.SENDFILE})),
)


def why_absent(known: KnownLoop, platform: Platform) -> str | None:
    """Tries to import a loop's module.

    Returns:
        None if the loop can be used, else the end of a sentence that begins with its name.
    """
    unsupported = known.why_unsupported(platform)
    if unsupported:
        return unsupported
    try:
        importlib.import_module(known.name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        return "is not installed" if error.name == known.name else f"does not import: {one_line(error)}"
    except BaseException as error:  # a panic of Rust code is no Exception
        return f"does not import: {one_line(error)}"
    return None


def version(known: KnownLoop, platform: Platform) -> str:
    """Returns: the installed version, Python's own for asyncio, or `?` if the package does not say."""
    if known is ASYNCIO:
        return platform.python_version
    said = getattr(sys.modules.get(known.name), "__version__", None)
    if isinstance(said, str):
        return said
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that starting takes

    try:
        return version(known.name)
    except PackageNotFoundError:
        return "?"


def install_command(known: KnownLoop) -> str:
    return "pip install 'whorl[uvloop]'" if known is UVLOOP else f"pip install {known.name}"


def suggestion(name: str) -> str | None:
    """Returns: what the user may have meant by a misspelt `name`, ready to be typed; None if nothing is near."""
    from difflib import get_close_matches  # here, because a start without mistakes has no use for it

    if "." in name:
        return None  # a module of the user's own, and no loop's name has a dot
    typed_by_name = {known.name: known.typed for known in KNOWN} | {"auto": "auto"}
    nearest = get_close_matches(name.lower(), typed_by_name, n=1, cutoff=0.7)
    return typed_by_name[nearest[0]] if nearest else None


def one_line(error: BaseException) -> str:
    """Returns: `ValueError: text` on one line, however many the text has."""
    return " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())
