"""`--reuse-port`: a listening socket for each worker slot on the same address (socket(7), SO_REUSEPORT). The kernel
distributes connections by their addresses.

The socket that is bound first is bound without the option, so that a busy port is an error, and allows others only
then. It never listens, so it gets no connections. The sockets belong to the slots and not to the workers: a replacement
accepts from the queue of its predecessor, so no queue is closed with clients in it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from whorl.server.listen.bound import Bound
from whorl.server.listen.tcp import bind_address

__all__ = ["ReusePortSockets", "allow_reuse_port"]


def supports_reuse_port(bound: Bound) -> bool:
    """Whether other sockets can be bound beside this one: not for Unix sockets, nor for those of other programs."""
    return not bound.is_unix and not bound.inherited


def allow_reuse_port(bounds: Sequence[Bound]) -> None:
    """Let other sockets of this user be bound beside these."""
    for bound in bounds:
        if supports_reuse_port(bound):
            bound.handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


class ReusePortSockets:
    """The listening sockets of each slot.

    Args:
        bounds: the sockets that are bound.
        per_slot: whether each slot has sockets of its own beside them.
    """

    __slots__ = ("_bounds", "_by_slot", "_per_slot")

    def __init__(self, bounds: Sequence[Bound], per_slot: bool) -> None:
        self._bounds = bounds
        self._per_slot = per_slot
        self._by_slot: dict[int, list[Bound]] = {}

    def of(self, number: int) -> Sequence[Bound]:
        """Return the sockets of a slot, and make them the first time.

        Raises:
            OSError: the address can no longer be bound.
        """
        if not self._per_slot:
            return self._bounds
        if number not in self._by_slot:
            self._by_slot[number] = []
            try:
                for bound in self._bounds:
                    self._by_slot[number].append(clone(bound) if supports_reuse_port(bound) else bound)
            except OSError:
                self.drop(number)
                raise
        return self._by_slot[number]

    def drop(self, number: int) -> None:
        """Close a slot's own sockets. The kernel sends them no more clients once its worker has closed them, too."""
        for bound in self._by_slot.pop(number, ()):
            if supports_reuse_port(bound):
                bound.handle.close()

    def close(self) -> None:
        """Close the sockets of all slots."""
        for number in tuple(self._by_slot):
            self.drop(number)


def clone(bound: Bound) -> Bound:
    """Bind another socket to the same address with the same options."""
    sock = bound.handle
    made = bind_address(sock.family, sock.getsockname(), bound.is_dual_stack, beside=True)
    made.leads_to = bound.leads_to
    return made
