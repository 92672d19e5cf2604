"""FdBudget for another connection: file descriptors (getrlimit(2), RLIMIT_NOFILE), and what to do when they run short.

A loop that meets the limit itself (accept(2), EMFILE) does badly, each in its own way: one accepts and closes, and says
nothing; one stops until its next client; and the application can open no file. So a part of the limit is kept back.
How many are in use costs next to nothing to know: a new descriptor has the lowest number that is free, so where that is
high, all below are taken.

`FdBudget` is asked by `acceptor` for each new connection, `raise_limit` is called by `run`, which owns its process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from enum import Enum
from typing import Any

from whorl.platform import descriptor_limit, raise_descriptor_limit, reset_on_close

__all__ = ["FdBudget", "Headroom", "RejectConnection", "raise_limit"]

RAISED = 65_536
"""As many as one process can use. The usual limit is 1024, for programs that call select(2)."""
RESERVE_SHARE = 8
RESERVE_MOST = 1024
"""An eighth of the limit is kept back, but no more than this: for the application, and for what is accepted at once."""
BATCH_MOST = 64
UNLOOKED_SHARE = 4
"""A part of a batch may come between two looks."""
UNBOUNDED = sys.maxsize


class Headroom(Enum):
    """How much room there is."""

    OK = "more connections can be accepted"
    LOW = "this connection can be served, but no more shall be accepted"
    NONE = "what is left belongs to the application"


def raise_limit() -> None:
    """Have this process use what the administrator allows it, up to `RAISED`."""
    raise_descriptor_limit(RAISED)


class FdBudget:
    """The room that a process has for connections. It holds a descriptor, until `close`.

    Attributes:
        limit: how many descriptors there may be.
        batch: how many connections may be accepted at once without a look at the room.
        spare: the descriptor, of something that is always there.
    """

    __slots__ = ("_none_from", "_scarce_from", "_unlooked", "_unlooked_most", "batch", "limit", "spare")

    def __init__(self) -> None:
        self.limit = descriptor_limit() or UNBOUNDED
        reserve = min(self.limit // RESERVE_SHARE, RESERVE_MOST)
        self.batch = max(1, min(reserve // 4, BATCH_MOST))  # two of them may come before accepting stops
        self._scarce_from = self.limit - reserve
        self._none_from = self._scarce_from + reserve // 2
        self.spare = os.open(os.devnull, os.O_RDONLY)
        self._unlooked_most = self.batch // UNLOOKED_SHARE
        self._unlooked = 0

    def admit(self) -> Headroom:
        """How much room there is for a connection that was accepted. Where there was plenty a moment ago, a few are
        taken in without a look: there is a reserve, and a look is two system calls."""
        if self._unlooked:
            self._unlooked -= 1
            return Headroom.OK
        space = self.look()
        if space is Headroom.OK:
            self._unlooked = self._unlooked_most
        return space

    def look(self) -> Headroom:
        """How much room there is now."""
        if self.limit == UNBOUNDED:
            return Headroom.OK
        try:
            number = os.dup(self.spare)
        except OSError:
            return Headroom.NONE
        os.close(number)
        if number < self._scarce_from:
            return Headroom.OK
        return Headroom.LOW if number < self._none_from else Headroom.NONE

    def fits(self, count: int) -> bool:
        """Whether there is plenty of room for so many at once: there may be a single hole among the low numbers."""
        taken: list[int] = []
        try:
            while len(taken) < count:
                taken.append(os.dup(self.spare))
                if taken[-1] >= self._scarce_from:
                    return False
            return True
        except OSError:
            return False
        finally:
            for number in taken:
                os.close(number)

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.spare >= 0:
            os.close(self.spare)
            self.spare = -1


class RejectConnection(asyncio.Protocol):
    """A connection that there is no room for: it is reset, so that its client sees an error, and a proxy tries another
    server.

    Args:
        room: that there is not.
        prompt_close: whether the loop closes a socket when it is told to.
    """

    def __init__(self, room: FdBudget, prompt_close: bool) -> None:
        self._room = room
        self._prompt_close = prompt_close

    def connection_made(self, transport: Any) -> None:
        handle = transport.get_extra_info("socket")
        try:
            descriptor = -1 if handle is None else int(handle.fileno())
            reset_on_close(descriptor)
            if not self._prompt_close and self._room.spare >= 0:
                os.dup2(self._room.spare, descriptor, inheritable=False)  # as `Output.hang_up` does
        except (OSError, ValueError):
            pass  # it has left meanwhile
        transport.abort()
