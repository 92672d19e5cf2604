"""A queue of its own for each post, in place of one for all (socket(7), SO_REUSEPORT): the kernel deals connections out
by their addresses.

The socket bound first is bound as always, so that a busy port is noticed, and only then allows others beside it. It
never listens, and so gets no connections. The queues belong to the posts and not to the workers, which come and go: who
succeeds somebody accepts from the same queue, so none is closed with clients in it. Called by `supervisor` and
`source`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from whorl.server.listen.bound import Bound
from whorl.server.listen.tcp import bind_address

__all__ = ["Spread", "allow_siblings"]


def is_dealt(bound: Bound) -> bool:
    """Whether workers can have their own beside it: Unix sockets cannot, and what somebody else made is his."""
    return not bound.is_unix and not bound.inherited


def allow_siblings(bounds: Sequence[Bound]) -> None:
    """Let other sockets of this user be bound beside these."""
    for bound in bounds:
        if is_dealt(bound):
            bound.handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


class Spread:
    """The sockets of each post.

    Args:
        bounds: the sockets, bound.
        has_queues: whether each post has queues of its own beside them.
    """

    __slots__ = ("_bounds", "_has_queues", "_own")

    def __init__(self, bounds: Sequence[Bound], has_queues: bool) -> None:
        self._bounds = bounds
        self._has_queues = has_queues
        self._own: dict[int, list[Bound]] = {}

    def of(self, number: int) -> Sequence[Bound]:
        """Those of the post with this number; they are made when it asks for the first time.

        Raises:
            OSError: the address can no longer be had.
        """
        if not self._has_queues:
            return self._bounds
        if number not in self._own:
            self._own[number] = []
            try:
                for bound in self._bounds:
                    self._own[number].append(sibling(bound) if is_dealt(bound) else bound)
            except OSError:
                self.drop(number)
                raise
        return self._own[number]

    def drop(self, number: int) -> None:
        """Let go of a post's own: the kernel deals no more to them, once its worker has closed them too."""
        for bound in self._own.pop(number, ()):
            if is_dealt(bound):
                bound.handle.close()

    def close(self) -> None:
        """Let go of all."""
        for number in tuple(self._own):
            self.drop(number)


def sibling(bound: Bound) -> Bound:
    """Another socket of the same address, with the same options."""
    handle = bound.handle
    made = bind_address(handle.family, handle.getsockname(), bound.is_dual_stack, beside=True)
    made.leads_to = bound.leads_to
    return made
