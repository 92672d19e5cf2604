"""A queue of its own for each worker, in place of one for all (socket(7), SO_REUSEPORT): the kernel deals connections
out by their addresses.

The parent's socket is bound as always, so that a busy port is noticed, and only then allows others beside it. It never
listens, and so gets no connections. Called by `supervisor`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from whorl.server.sockets.bound import Bound
from whorl.server.sockets.tcp import bind_address

__all__ = ["allow_siblings", "siblings"]


def is_dealt(bound: Bound) -> bool:
    """Whether workers can have their own beside it: Unix sockets cannot, and what somebody else made is his."""
    return not bound.is_unix and not bound.inherited


def allow_siblings(bounds: Sequence[Bound]) -> None:
    """Let other sockets of this user be bound beside these."""
    for bound in bounds:
        if is_dealt(bound):
            bound.handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def siblings(bounds: Sequence[Bound]) -> list[Bound]:
    """A worker's sockets: its own beside each of these where there can be one.

    Raises:
        OSError: the address can no longer be had.
    """
    made: list[Bound] = []
    try:
        made.extend(sibling(bound) if is_dealt(bound) else bound for bound in bounds)
    except OSError:
        for bound in made:
            if bound not in bounds:
                bound.handle.close()
        raise
    return made


def sibling(bound: Bound) -> Bound:
    """Another socket of the same address, with the same options."""
    handle = bound.handle
    made = bind_address(handle.family, handle.getsockname(), bound.is_dual_stack, beside=True)
    made.leads_to = bound.leads_to
    return made
