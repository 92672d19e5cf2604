"""What the connections of a server do in one turn of the poller, stage by stage.

A request is read by the kernel, deciphered, parsed, answered by the application, put together, enciphered, and written
by the kernel. One connection after another, each of these would throw what the next one needs out of the processor's
caches, and what it has learned of its jumps. So in a turn all connections read; then all decipher; and so on. A
response waits for the others of its turn, as it does on uvloop.

| stage | what is done | by |
|---|---|---|
| `came` | what was read is deciphered, or parsed | `Wire.take` |
| `deciphered` | what was deciphered is parsed | `Connection.data_received` |
| `heads` | a request begins, and its application runs as far as it does without waiting | `Connection.take` |
| `held` | what was said is put together | `Output.flush` |
| `plain` | it is enciphered | `Tls.flush` |
| `unsent` | it is written | `Wire.flush` |

A list is None while nobody is to wait in it: what would go there is done at once. So is what is large, which is best
dealt with while it is in the cache: a turn holds no more than 64 times 16 KiB in any stage. And where applications take
their time before they first wait, what others have said leaves meanwhile.

Run by `poller`, and by `Shared.flush_all` for what is said outside of a turn. It must not know what a stage does.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, Protocol

__all__ = ["MANY", "SMALL_TURN_BYTES", "Turn"]

MANY: Final = 8
"""So many are worth it. With fewer, the first one's client had better have its response, and be up for the next."""

SMALL_TURN_BYTES: Final = 16 * 1024
"""What is larger does not wait for the others."""

PATIENCE_SECONDS: Final = 0.005


class Taker(Protocol):
    """Who has something to go on with."""

    def take(self, what: Any) -> None:
        """Go on with it. Whatever goes wrong is dealt with here: others come after."""


class Receiver(Protocol):
    """Whom something has come for."""

    def data_received(self, data: bytes) -> None:
        """Look what it is. Whatever goes wrong is dealt with here: others come after."""


class Sender(Protocol):
    """Who has something to send."""

    def flush(self) -> None:
        """Send it. Whatever goes wrong is dealt with here: others come after."""


class Turn:
    """The stages of one turn.

    Args:
        patience_seconds: how long a response waits for the applications of others, and then for the one that runs.
    """

    __slots__ = ("_patience_seconds", "came", "deciphered", "heads", "held", "plain", "unsent")

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self.came: list[tuple[Taker, Any]] | None = None
        self.deciphered: list[tuple[Receiver, bytes]] | None = None
        self.heads: list[tuple[Taker, Any]] | None = None
        self.held: list[Sender] | None = None
        self.plain: list[Sender] | None = None
        self.unsent: list[Sender] | None = None

    def begin(self) -> None:
        """Some are about to read."""
        self.came = []

    def run(self) -> None:
        """All have read: do the rest."""
        first, second = self.came or [], self.deciphered or []
        self.came = self.deciphered = None
        if not first and not second:
            return
        third: list[tuple[Taker, Any]] = []
        self.deciphered = second
        self.heads = third
        self.held = []
        # An iterator of a list sees what is added to it.
        came, deciphered, heads = iter(first), iter(second), iter(third)
        try:
            for taker, what in came:
                taker.take(what)
            self.deciphered = None
            for receiver, data in deciphered:
                receiver.data_received(data)
            self.heads = None
            patience_seconds = self._patience_seconds
            late = perf_counter() + patience_seconds
            for taker, what in heads:
                taker.take(what)
                if perf_counter() > late:
                    said, self.held = self.held, []
                    self.send(said)
                    late = perf_counter() + patience_seconds
        except BaseException:  # somebody ends the process: the others are served before it does
            self.came = [*came, *heads]
            self.deciphered = [*deciphered]
            raise
        finally:
            said = self.held
            self.heads = self.held = None
            self.send(said)
            self.run()

    def send(self, held: Iterable[Sender]) -> None:
        """Put together what some have said, encipher and write it."""
        plain: list[Sender] = []
        unsent: list[Sender] = []
        self.plain = plain
        self.unsent = unsent
        try:
            for sender in held:
                sender.flush()
            self.plain = None
            for sender in plain:
                sender.flush()
        finally:
            self.plain = self.unsent = None
            for sender in unsent:
                sender.flush()
