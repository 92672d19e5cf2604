"""SIGUSR2: a new server takes over the sockets, with a new interpreter, a new Whorl and new settings; no client is
refused.

The running server starts its own command line again and passes its sockets. When all workers of the new server are
ready, that sends READY, and the running one drains. If the new server fails, nothing changes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from whorl.config import Config
from whorl.errors import StartError
from whorl.server.listen import ListenSocket, bind
from whorl.supervisor.messages import (
    FROM_NEW_SERVER,
    HANDOVER_VARIABLE,
    TO_NEW_SERVER,
    Channel,
    MalformedMessage,
    MessageType,
    decode,
    encode,
)

__all__ = ["Handover", "InheritedServer"]


@dataclass(slots=True, eq=False)
class Handover:
    """The new server, as the running one sees it.

    Attributes:
        process: the new supervisor.
        channel: on which it reports that it serves.
    """

    process: subprocess.Popen[bytes]
    channel: Channel

    @classmethod
    def start(cls, config: Config, listen_sockets: Sequence[ListenSocket], directory: str) -> Handover:
        """Start this process's command line again.

        Args:
            config: this server's settings. The new server uses the sockets only if it is to listen on the same
                addresses.
            listen_sockets: this server's listening sockets.
            directory: the new server's working directory.

        Raises:
            OSError: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        fds = [listen_socket.handle.fileno() for listen_socket in listen_sockets]
        sockets = [
            [fd, listen_socket.url, listen_socket.inherited, listen_socket.inode, listen_socket.leads_to]
            for fd, listen_socket in zip(fds, listen_sockets, strict=True)
        ]
        message = encode(MessageType.HANDOVER, theirs.fileno(), addresses_of(config), sockets)
        try:
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                pass_fds=[theirs.fileno(), *fds],
                env={**os.environ, HANDOVER_VARIABLE: message.decode().strip()},
                cwd=directory,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, Channel(ours, FROM_NEW_SERVER))

    def is_ready(self) -> bool | None:
        """Read what the new server has sent. Returns whether it serves, None if that is still open."""
        messages = self.channel.receive()
        if self.channel.malformed is not None:
            self.process.terminate()  # it may serve already, and does not know that this server stays
            return False
        if messages:
            return True
        return None if self.channel.is_open else False

    def __str__(self) -> str:
        return f"the new server (process {self.process.pid})"


class InheritedServer:
    """The running server, as the new one sees it.

    Args:
        channel: to the running server.
        addresses: where it listens.
        listen_sockets: its sockets. The paths of Unix sockets still belong to it.
        inodes: for each socket the inode of a Unix socket's path, as in `ListenSocket`.
    """

    def __init__(
        self, channel: Channel, addresses: str, listen_sockets: list[ListenSocket], inodes: list[tuple[int, int] | None]
    ) -> None:
        self._channel = channel
        self._addresses = addresses
        self._listen_sockets = listen_sockets
        self._inodes = inodes

    @classmethod
    def from_env(cls, environment: MutableMapping[str, str]) -> InheritedServer | None:
        """Take over what a running server has passed to this process. Returns None if there is no such server.

        Args:
            environment: the environment variables. HANDOVER_VARIABLE is removed, and WATCHDOG_PID becomes this process
                if it was the parent, because the service manager is to watch this one.

        Raises:
            StartError: the variable is malformed.
        """
        text = environment.pop(HANDOVER_VARIABLE, None)
        if text is None:
            return None
        try:
            _, (channel_fd, addresses, sockets) = decode(text.encode(), TO_NEW_SERVER)
        except MalformedMessage as error:
            raise StartError(f"{HANDOVER_VARIABLE} is not what a server has set, remove it: {error}") from error
        if environment.get("WATCHDOG_PID") == str(os.getppid()):
            environment["WATCHDOG_PID"] = str(os.getpid())
        listen_sockets: list[ListenSocket] = []
        inodes: list[tuple[int, int] | None] = []
        for fd, url, externally_owned, inode, redirects_to in sockets:
            os.set_inheritable(fd, False)
            listen_sockets.append(ListenSocket(socket.socket(fileno=fd), url, externally_owned, None, redirects_to))
            inodes.append(None if inode is None else (inode[0], inode[1]))
        os.set_inheritable(channel_fd, False)
        return cls(Channel(socket.socket(fileno=channel_fd), {}), addresses, listen_sockets, inodes)

    def bind(self, config: Config) -> list[ListenSocket]:
        """Return the running server's sockets, if this one is to listen on the same addresses; otherwise bind
        others."""
        if addresses_of(config) == self._addresses:
            return self._listen_sockets
        for listen_socket in self._listen_sockets:
            listen_socket.handle.close()
        return bind(config)

    def acknowledge(self) -> None:
        """Report that this server serves. From now on it removes the paths of Unix sockets; had it failed, the running
        server would have gone on there."""
        for listen_socket, inode in zip(self._listen_sockets, self._inodes, strict=True):
            listen_socket.inode = inode
        self._channel.send(MessageType.READY)
        self._channel.close()


def addresses_of(config: Config) -> str:
    """All listen addresses, as text that can be compared."""
    return repr((config.places, config.redirect_http))
