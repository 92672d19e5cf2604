"""The sockets a server listens on: bound here, from the configuration, before anything else starts (socket(7), ip(7),
unix(7)).

A busy port or a path that somebody else uses is one line before the application is even imported. What is bound here
is closed here, and a Unix socket's path is removed only if it still is the very file that was made here. Called by
`server`.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import Any

from whorl.config import Config
from whorl.errors import StartError
from whorl.platform import HERE, claim_address

__all__ = ["Bound", "bind"]

# After so many seconds of silence, so many seconds apart, so many times.
PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


@dataclass(slots=True)
class Bound:
    """A bound socket.

    Attributes:
        handle: the socket, not listening yet, or inherited.
        url: where clients find it.
        inherited: whether somebody else made it.
        inode: device and inode of a Unix socket's path that was made here.
    """

    handle: socket.socket
    url: str
    inherited: bool = False
    inode: tuple[int, int] | None = None

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return hasattr(socket, "AF_UNIX") and self.handle.family == socket.AF_UNIX

    def close(self) -> None:
        """Close the socket, and remove the path of a Unix socket if it is still the one made here."""
        path = self.handle.getsockname() if self.inode is not None and self.handle.fileno() >= 0 else None
        self.handle.close()
        if path is not None:
            try:
                status = os.stat(path)
                if (status.st_dev, status.st_ino) == self.inode:
                    os.unlink(path)
            except OSError:
                pass


def bind(config: Config) -> list[Bound]:
    """Bind what the configuration asks for.

    Raises:
        StartError: the address cannot be had; nothing stays bound.
    """
    if config.fd is not None:
        return [inherit(config.fd)]
    if config.uds is not None:
        return [bind_unix(config.uds, config.uds_mode)]
    return bind_tcp(config.host, config.port)


def bind_tcp(host: str, port: int) -> list[Bound]:
    """Bind every address that a host name stands for; `::` takes IPv4 along.

    Args:
        host: a name or address.
        port: 0 for a free one, the same for all addresses.
    """
    bounds: list[Bound] = []
    try:
        for family, address in addresses(host, port):
            wanted = (address[0], bounds[0].handle.getsockname()[1], *address[2:]) if bounds and not port else address
            bounds.append(bind_address(family, wanted, dual_stack=host == "::"))
    except OSError as error:
        for bound in bounds:
            bound.close()
        raise StartError(why_not(host, port, error)) from None
    return bounds


def addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Family and address of each address of a host, in the resolver's order, no address twice."""
    found: list[tuple[socket.AddressFamily, tuple[Any, ...]]] = []
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        if (family, address) not in found and family in (socket.AF_INET, socket.AF_INET6):
            found.append((family, address))
    return found


def bind_address(family: socket.AddressFamily, address: tuple[Any, ...], dual_stack: bool) -> Bound:
    """Bind one TCP address."""
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is, and accepted sockets inherit
    # it.
    handle = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        claim_address(handle)
        notice_the_vanished(handle)
        if family == socket.AF_INET6:
            handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        handle.setblocking(False)
        handle.bind(address)
    except BaseException:
        handle.close()
        raise
    host, port = handle.getsockname()[:2]
    return Bound(handle, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def notice_the_vanished(handle: socket.socket) -> None:
    """Have the kernel ask clients that have been silent for long whether they are still there (tcp(7), SO_KEEPALIVE);
    accepted sockets inherit it.

    It is the only way to find out about a client that vanished, or that closed while the application holds its response
    open and says nothing: on the wire that looks like one that has half-closed, and waits.
    """
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):
            try:
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            except OSError:
                pass  # the system's own figures hold


def why_not(host: str, port: int, error: OSError) -> str:
    """One line for a TCP address that cannot be had."""
    place = f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return f"the host {host!r} is not known here ({error.strerror}): give an address of this machine to --host"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use by another program: stop it, or give another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place} is not an address of this machine: give one that is to --host, or 0.0.0.0 for all"
    if error.errno == errno.EACCES:
        return f"{place} may not be bound by this user: give a --port from 1024 on"
    return f"{place} cannot be bound: {error.strerror or error}"


def bind_unix(path: str, mode: int) -> Bound:
    """Bind a Unix socket.

    Args:
        path: where; a socket there that nobody listens on is replaced, anything else is left alone.
        mode: its permission bits.
    """
    path = os.path.abspath(path)
    remove_stale(path)
    handle = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        handle.setblocking(False)
        handle.bind(path)
    except OSError as error:
        handle.close()
        if "too long" in str(error):
            raise StartError(f"the path of the Unix socket is too long for the system: {path}") from None
        raise StartError(f"the Unix socket {path} cannot be made: {error.strerror or error}") from None
    status = os.stat(path)
    bound = Bound(handle, f"unix:{path}", inode=(status.st_dev, status.st_ino))
    # Nobody can connect before it listens, so there is no moment with the wrong mode.
    os.chmod(path, mode)
    return bound


def remove_stale(path: str) -> None:
    """Remove a Unix socket that nobody listens on. Raises StartError for anything else that stands in the way."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"the Unix socket {path} cannot be made: {error.strerror}") from None
    if not stat.S_ISSOCK(status.st_mode):
        raise StartError(f"{path} exists and is no socket: remove it, or give another --uds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise StartError(f"{path} cannot be taken over: {error.strerror or error}") from None
    raise StartError(f"another program listens on {path}: stop it, or give another --uds")


def inherit(descriptor: int) -> Bound:
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
        raise StartError(f"file descriptor {descriptor} is no stream socket: give one that was bound to --fd")
    handle.setblocking(False)
    name = handle.getsockname()
    if isinstance(name, tuple) and not name[1]:
        handle.close()
        raise StartError(f"file descriptor {descriptor} is a socket that was not bound: bind it before --fd takes it")
    return Bound(handle, f"fd:{descriptor} {place_of(name)}".rstrip(), inherited=True)


def place_of(name: object) -> str:
    """An address as text."""
    if isinstance(name, tuple):
        return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
    return f"unix:{os.fsdecode(name)}" if isinstance(name, (str, bytes)) and name else ""
