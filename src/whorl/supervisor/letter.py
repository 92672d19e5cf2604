"""What a new worker is told: the settings, its sockets, and where to import from.

A worker is a fresh interpreter. It inherits descriptors and nothing else, and this is how it learns what they are.
Written by the parent (`worker`), read by the worker (`main`).
"""

from __future__ import annotations

import base64
import pickle
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

from whorl.config import Config
from whorl.server.listen import ListenSocket
from whorl.supervisor.program import Program

__all__ = ["Letter", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A listening socket that is handed on.

    Args:
        descriptor: its number, the same in the worker.
        url: where clients find it.
        outlives: whether it is there when all of us have left, because somebody else made it.
        leads_to: the port that its clients are sent to, None where they are served.
    """

    descriptor: int
    url: str
    outlives: bool
    leads_to: int | None = None

    @classmethod
    def of(cls, bound: ListenSocket) -> Place:
        """The place of a socket that this process has bound, or has inherited itself."""
        return cls(bound.handle.fileno(), bound.url, bound.inherited, bound.leads_to)

    def take(self) -> ListenSocket:
        """The socket, in the process that inherited it. Others have it too, and what waits in its queue is theirs when
        one leaves."""
        return ListenSocket(socket.socket(fileno=self.descriptor), self.url, inherited=True, leads_to=self.leads_to)


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything a worker needs.

    Args:
        number: of the worker, from 1.
        config: the settings.
        places: where to listen.
        program: the parent's, so that an application finds what it would find in one process.
        beat_seconds: how often to say that the loop turns.
        patience_seconds: how long leaving may take at most, None for as long as it likes.
    """

    number: int
    config: Config
    places: tuple[Place, ...]
    program: Program
    beat_seconds: float
    patience_seconds: float | None

    def renumbered(self, numbers: Mapping[int, int]) -> Letter:
        """The same for a process in which the sockets have other numbers.

        Args:
            numbers: those, by the ones here.
        """
        places = (replace(place, descriptor=numbers[place.descriptor]) for place in self.places)
        return replace(self, places=tuple(places))

    def sealed(self) -> str:
        """As text. What is in a configuration of plain values can be pickled; other values come from the user's own
        program, and TypeError, AttributeError or PicklingError says that one cannot."""
        return base64.b64encode(pickle.dumps(self)).decode()

    @classmethod
    def opened(cls, text: str) -> Letter:
        """The letter again."""
        letter = pickle.loads(base64.b64decode(text))
        assert isinstance(letter, cls)
        return letter
