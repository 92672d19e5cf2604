"""`--reuse-port`: a listening socket for each worker slot on the same address (socket(7), SO_REUSEPORT). The kernel
distributes connections by their addresses.

The socket that is bound first is bound without the option, so that a busy port is an error, and allows others only
then. It never listens, so it gets no connections. The sockets belong to the slots and not to the workers: a replacement
accepts from the queue of its predecessor, so no queue is closed with clients in it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from whorl.server.listen.listen_socket import ListenSocket
from whorl.server.listen.tcp import bind_address

__all__ = ["ReusePortSockets", "allow_reuse_port"]


def supports_reuse_port(listen_socket: ListenSocket) -> bool:
    """Whether other sockets can be bound beside this one: not for Unix sockets, nor for those of other programs."""
    return not listen_socket.is_unix and not listen_socket.inherited


def allow_reuse_port(listen_sockets: Sequence[ListenSocket]) -> None:
    """Let other sockets of this user be bound beside these."""
    for listen_socket in listen_sockets:
        if supports_reuse_port(listen_socket):
            listen_socket.handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


class ReusePortSockets:
    """The listening sockets of each slot.

    Args:
        listen_sockets: the listening sockets, bound.
        per_slot: whether each slot has sockets of its own beside them.
    """

    __slots__ = ("_by_slot", "_listen_sockets", "_per_slot")

    def __init__(self, listen_sockets: Sequence[ListenSocket], per_slot: bool) -> None:
        self._listen_sockets = listen_sockets
        self._per_slot = per_slot
        self._by_slot: dict[int, list[ListenSocket]] = {}

    def of(self, number: int) -> Sequence[ListenSocket]:
        """Return the sockets of a slot, and make them the first time.

        Raises:
            OSError: the address can no longer be bound.
        """
        if not self._per_slot:
            return self._listen_sockets
        if number not in self._by_slot:
            self._by_slot[number] = []
            try:
                for listen_socket in self._listen_sockets:
                    own = clone(listen_socket) if supports_reuse_port(listen_socket) else listen_socket
                    self._by_slot[number].append(own)
            except OSError:
                self.drop(number)
                raise
        return self._by_slot[number]

    def drop(self, number: int) -> None:
        """Close a slot's own sockets. The kernel sends them no more clients once its worker has closed them, too."""
        for listen_socket in self._by_slot.pop(number, ()):
            if supports_reuse_port(listen_socket):
                listen_socket.handle.close()

    def close(self) -> None:
        """Close the sockets of all slots."""
        for number in tuple(self._by_slot):
            self.drop(number)


def clone(listen_socket: ListenSocket) -> ListenSocket:
    """Bind another socket to the same address with the same options."""
    sock = listen_socket.handle
    cloned = bind_address(sock.family, sock.getsockname(), listen_socket.is_dual_stack, beside=True)
    cloned.leads_to = listen_socket.leads_to
    return cloned
