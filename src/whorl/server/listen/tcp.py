"""Binding TCP addresses (ip(7), ipv6(7), tcp(7)): those of a name, dual stack, and why one cannot be had."""

from __future__ import annotations

import errno
import socket
from typing import Any

from whorl.errors import StartError
from whorl.platform import claim_address
from whorl.server.listen.listen_socket import ListenSocket, url_of

__all__ = ["bind_address", "bind_tcp", "why_not"]

# After so many seconds of silence, so many seconds apart, so many times.
PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


def bind_tcp(host: str, port: int) -> list[ListenSocket]:
    """Bind every address that a host name stands for; `::` takes IPv4 along.

    Args:
        host: a name or address; empty is every address of this machine.
        port: 0 for a free one, the same for all addresses.
    """
    host = host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")
    bounds: list[ListenSocket] = []
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


def bind_address(
    family: socket.AddressFamily | int, address: tuple[Any, ...], dual_stack: bool, beside: bool = False
) -> ListenSocket:
    """Bind one TCP address.

    Args:
        family: AF_INET or AF_INET6.
        address: as socket.bind takes it.
        dual_stack: whether an IPv6 address takes IPv4 along.
        beside: whether other sockets have it already, and allow this one beside them.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is, and accepted sockets inherit
    # it.
    handle = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        claim_address(handle)
        if beside:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        notice_the_vanished(handle)
        if family == socket.AF_INET6:
            handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        handle.setblocking(False)
        handle.bind(address)
    except BaseException:
        handle.close()
        raise
    return ListenSocket(handle, url_of(handle.getsockname()))


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
        return f"the host {host!r} is not known here ({error.strerror}): give an address of this machine"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use by another program: stop it, or give another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place} is not an address of this machine: give one that is, or 0.0.0.0 for all"
    if error.errno == errno.EACCES:
        return f"{place} may not be bound by this user: give a port from 1024 on"
    return f"{place} cannot be bound: {error.strerror or error}"
