"""A bound socket, and what has to be known to let go of it rightly (socket(7), unix(7)).

What is bound here is closed here, and a Unix socket's path is removed only if it still is the very file that was made
here.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

__all__ = ["ListenSocket", "url_of"]

EVERY_ADDRESS = ("0.0.0.0", "::")


@dataclass(slots=True)
class ListenSocket:
    """A bound socket.

    Attributes:
        handle: the socket, not listening yet, or inherited; never blocking.
        url: where clients find it.
        inherited: whether somebody else made it.
        inode: device and inode of a Unix socket's path that was made here.
        leads_to: the TCP port that serves TLS, where whoever comes in here is sent there; None where clients are
            served.
    """

    handle: socket.socket
    url: str
    inherited: bool = False
    inode: tuple[int, int] | None = None
    leads_to: int | None = None

    def __post_init__(self) -> None:
        # Other processes share the socket's flags (open(2), open file description). An object made of a bare fd takes
        # the socket for a blocking one, and its `dup()` makes that true for all of them (FIONBIO): another worker then
        # sleeps in accept(2).
        self.handle.setblocking(False)

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return hasattr(socket, "AF_UNIX") and self.handle.family == socket.AF_UNIX

    @property
    def port(self) -> int:
        """Its TCP port, 0 for a Unix socket."""
        return 0 if self.is_unix else int(self.handle.getsockname()[1])

    @property
    def address(self) -> tuple[str, int] | None:
        """The TCP address at which all find it who come in by it; None where that may differ from one to the next: it
        stands for any address of this machine, or the kernel has it take what is for others (ip(7), IP_TRANSPARENT)."""
        if self.is_unix:
            return None
        host, port = self.handle.getsockname()[:2]
        differs = host in EVERY_ADDRESS or "%" in host or takes_for_others(self.handle)
        return None if differs else (str(host), int(port))

    @property
    def is_dual_stack(self) -> bool:
        """Whether it is of IPv6 and takes IPv4 along."""
        return self.handle.family == socket.AF_INET6 and not self.handle.getsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
        )

    def close(self) -> None:
        """Close the socket, and remove the path of a Unix socket if it is still the one made here. The path goes first:
        who is interrupted in between can do it all again."""
        if self.inode is not None and self.handle.fileno() >= 0:
            path = self.handle.getsockname()
            try:
                status = os.stat(path)
                if (status.st_dev, status.st_ino) == self.inode:
                    os.unlink(path)
            except OSError:
                pass
        self.handle.close()


def takes_for_others(handle: socket.socket) -> bool:
    """Whether clients may have come to an address that is not the socket's own; if in doubt, they may."""
    try:
        return bool(handle.getsockopt(socket.IPPROTO_IP, socket.IP_TRANSPARENT))
    except (AttributeError, OSError):
        return True


def url_of(name: object) -> str:
    """Where clients find an address (what getsockname(2) gives); empty if it says nothing."""
    if isinstance(name, tuple):
        return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
    return f"unix:{os.fsdecode(name)}" if isinstance(name, (str, bytes)) and name else ""
