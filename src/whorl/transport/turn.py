"""What the connections of a server do in one turn of the poller, kind by kind.

A request is read by the kernel, deciphered by OpenSSL, understood and answered by Python, enciphered, and written by
the kernel. One connection after another, each of these would throw what the others need out of the processor's caches:
its instructions, its tables, and what it has learned of their jumps. So in a turn all connections read; then all
decipher; then all are served; then all encipher; then all write. With 64 connections that takes 5 % off a small request
on uvloop, 26 % on asyncio, and 20 and 40 % over TLS. A response waits for the others of its turn, as it does on uvloop;
that a client whose answer is there wakes up only when the others are served is some of what is saved.

Only what is small takes part: what is large is best dealt with while it is in the cache, and would have to be bounded.
Outside of a turn everything is done at once. Run by `poller`; `wire` and `tls` ask it. It must not know what they do.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["SMALL_TURN_BYTES", "Turn"]

SMALL_TURN_BYTES: Final = 16 * 1024
"""What is larger does not wait for the others."""


class Reader(Protocol):
    """Who has read octets, and will make something of them."""

    def take(self, data: bytes) -> None:
        """Make it of them. Whatever goes wrong is dealt with here: others come after."""


class Writer(Protocol):
    """Who has something to send."""

    def send_unsent(self) -> None:
        """Send it. Whatever goes wrong is dealt with here: others come after."""


class Turn:
    """The lists of one turn.

    Attributes:
        came: who has read, and what.
        deciphered: who has deciphered, and what came of it; None while nobody is to wait with that.
        plain: who has something to encipher; None while that is done at once.
        unsent: who has something to write; None while that is done at once.
    """

    __slots__ = ("came", "deciphered", "plain", "unsent")

    def __init__(self) -> None:
        self.came: list[tuple[Reader, bytes]] = []
        self.deciphered: list[tuple[Reader, bytes]] | None = None
        self.plain: list[Writer] | None = None
        self.unsent: list[Writer] | None = None

    def run(self) -> None:
        """All have read: do the rest."""
        came = self.came
        if not came:
            return
        self.came = []
        deciphered: list[tuple[Reader, bytes]] = []
        plain: list[Writer] = []
        unsent: list[Writer] = []
        self.deciphered = deciphered
        self.plain = plain
        self.unsent = unsent
        try:
            for reader, data in came:
                reader.take(data)
            self.deciphered = None
            for reader, data in deciphered:
                reader.take(data)
        finally:
            # Even where somebody ends the process: it has things to say before it does.
            self.deciphered = None
            self.plain = None
            for writer in plain:
                writer.send_unsent()
            self.unsent = None
            for writer in unsent:
                writer.send_unsent()
