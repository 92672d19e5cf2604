"""Sockets that somebody else bound and left open for us: a number that the user named, or those of systemd
(sd_listen_fds(3)).

They are duplicated, and stay open when we let go of them: whoever made them may have another use for them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from whorl.errors import StartError
from whorl.platform import HERE
from whorl.server.listen.listen_socket import ListenSocket, url_of

__all__ = ["activated", "inherit"]

FIRST = 3
"""SD_LISTEN_FDS_START: the first descriptor that systemd passes, after the three standard ones."""

VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def activated(environment: MutableMapping[str, str]) -> list[int]:
    """The descriptors that systemd passed to this very process; none, as a rule.

    They are taken at once: a program that the application starts inherits neither them nor the variables, as
    sd_listen_fds(3) asks.

    Args:
        environment: the variables; those that told of the descriptors are removed.
    """
    process, count = environment.get("LISTEN_PID", ""), environment.get("LISTEN_FDS", "")
    if process != str(os.getpid()) or not count.isascii() or not count.isdigit():
        return []  # meant for another process, such as the shell that started this one
    for name in VARIABLES:
        environment.pop(name, None)
    descriptors = list(range(FIRST, FIRST + int(count)))
    for descriptor in descriptors:
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            raise StartError(
                f"LISTEN_FDS promises {count} sockets, but file descriptor {descriptor} is not open"
            ) from None
    return descriptors


def inherit(descriptor: int) -> ListenSocket:
    """Take a listening socket that the parent process left open."""
    if not HERE.has_inherited_sockets:
        raise StartError("no socket can be inherited as a file descriptor on Windows: give --host and --port")
    try:
        handle = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise StartError(
            f"file descriptor {descriptor} is no socket that this process inherited ({error.strerror})"
        ) from None
    if handle.type != socket.SOCK_STREAM:
        handle.close()
        raise StartError(f"file descriptor {descriptor} is no stream socket: give one that was bound")
    name = handle.getsockname()
    if isinstance(name, tuple) and not name[1]:
        handle.close()
        raise StartError(
            f"file descriptor {descriptor} is a socket that was not bound: bind it before it is handed over"
        )
    return ListenSocket(handle, f"fd:{descriptor} {url_of(name)}".rstrip(), inherited=True)
