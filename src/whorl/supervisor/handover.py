"""A whole new server on the same sockets (SIGUSR2): new interpreter, new Whorl, new settings, and nobody is refused.

The old parent starts its own command line again and passes the sockets on. When all workers of the new one serve, it
says so, and the old ones drain. Until then the old one goes on, and it simply stays if the new one fails.

`Handover` is the old one's side, `Inheritance` the new one's. Called by `supervisor`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from whorl.config import Config
from whorl.server.listen import Bound, bind
from whorl.supervisor.messages import FROM_NEW_SERVER, Channel, Word

__all__ = ["Handover", "Inheritance"]

VARIABLE = "_WHORL_HANDOVER"
"""Not among the settings, which are WHORL_*."""


@dataclass(slots=True, eq=False)
class Handover:
    """A new server that starts, as the old one sees it.

    Attributes:
        process: its parent.
        channel: by which it says that it serves.
    """

    process: subprocess.Popen[bytes]
    channel: Channel

    @classmethod
    def start(cls, config: Config, bounds: Sequence[Bound], directory: str) -> Handover:
        """Start the command line of this process again.

        Args:
            config: what this server was asked for: the sockets are taken only by one that is to listen in the same
                places.
            bounds: its sockets.
            directory: where to start it.

        Raises:
            OSError: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        sockets = [[bound.handle.fileno(), bound.url, bound.inherited, bound.inode, bound.leads_to] for bound in bounds]
        letter = json.dumps({"line": theirs.fileno(), "places": places_of(config), "sockets": sockets})
        try:
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                pass_fds=[theirs.fileno(), *(bound.handle.fileno() for bound in bounds)],
                env={**os.environ, VARIABLE: letter},
                cwd=directory,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, Channel(ours, FROM_NEW_SERVER))

    def is_ready(self) -> bool | None:
        """Read what it has said: whether it serves; None where it has yet to say so."""
        heard, is_open = self.channel.hear()
        if self.channel.malformed is not None:
            self.process.terminate()  # it may serve already, and does not know that this server stays
            return False
        return bool(heard) or (None if is_open else False)

    def __str__(self) -> str:
        return f"the new server (process {self.process.pid})"


class Inheritance:
    """What a server has from the one before it.

    Args:
        line: the socket that leads to that one.
        places: where that one listens.
        bounds: its sockets, whose paths are still its own.
        inodes: of each of these a Unix socket's path, as `Bound` has it.
    """

    def __init__(
        self, line: socket.socket, places: str, bounds: list[Bound], inodes: list[tuple[int, int] | None]
    ) -> None:
        self._channel = Channel(line, {})
        self._places = places
        self._bounds = bounds
        self._inodes = inodes

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Inheritance | None:
        """What was passed to this process, once; None where there is nothing, as a rule.

        Args:
            environment: the variables; the one that tells is removed, and what names the parent names us.
        """
        text = environment.pop(VARIABLE, None)
        if text is None:
            return None
        letter = json.loads(text)
        if environment.get("WATCHDOG_PID") == str(os.getppid()):
            environment["WATCHDOG_PID"] = str(os.getpid())  # the service manager will want to hear this process
        bounds: list[Bound] = []
        inodes: list[tuple[int, int] | None] = []
        for descriptor, url, inherited, inode, leads_to in letter["sockets"]:
            os.set_inheritable(descriptor, False)
            bounds.append(Bound(socket.socket(fileno=descriptor), url, inherited, None, leads_to))
            inodes.append(None if inode is None else (inode[0], inode[1]))
        os.set_inheritable(letter["line"], False)
        return cls(socket.socket(fileno=letter["line"]), letter["places"], bounds, inodes)

    def bind(self, config: Config) -> list[Bound]:
        """The sockets of the server before, if this one is to listen in the same places; else new ones."""
        if places_of(config) == self._places:
            return self._bounds
        for bound in self._bounds:
            bound.handle.close()
        return bind(config)

    def take_over(self) -> None:
        """Tell the server before that this one serves. From now on it is ours to remove a Unix socket's path: if we had
        failed, the one before would go on there."""
        for bound, inode in zip(self._bounds, self._inodes, strict=True):
            bound.inode = inode
        self._channel.say(Word.READY)
        self._channel.close()


def places_of(config: Config) -> str:
    """Everywhere to listen, as text that can be compared."""
    return repr((config.places, config.redirect_http))
