"""The bars: what Whorl promises against each peer, and whether the figures keep it.

Each bar is a literal: a row, a figure, what it is compared with, and a limit. A bar with no figure was not measured,
and counts as not met, unless its row was not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import OLD_UVLOOP
from benchmarks.sample import Results

__all__ = ["BARS", "BARS_BY_PEER", "COMPILED", "MAIN", "PEERS", "WHORL", "Bar"]

WHORL = "Whorl"
COMPILED = "Whorl, compiled"
MAIN = f"uvloop {OLD_UVLOOP}"
LEAN = ("hello", "json", "headers14", "response12", "body10k", "echo1k", "pipeline16")
WAITING = ("stream10", "sse200", "sleep0", "echo64k", "newconn")


@dataclass(frozen=True)
class Bar:
    """One promise.

    Attributes:
        row: what is measured of Whorl.
        limit: the most that the figure may be, or its ratio where it is compared.
        peer: with whom it is compared; None for an absolute limit.
        figure: which one, as in `Sample`.
        loop: Whorl's loop, and the peer's.
        peer_row: the peer's row, where it is another.
        peer_loop: the peer's loop, where it is another; floors have none.
        unit: of an absolute limit.
        ours: which Whorl is measured.
    """

    row: str
    limit: float
    peer: str | None = None
    figure: str = "cost"
    loop: str = MAIN
    peer_row: str | None = None
    peer_loop: str | None = None
    unit: str = ""
    ours: str = WHORL

    def measured(self, results: Results) -> float | None:
        """The figure or ratio; None if there is none."""
        ours = results.find(self.row, self.loop, self.ours)
        if self.peer is None:
            return ours.median(self.figure)
        loop = self.loop if self.peer_loop is None else self.peer_loop
        return ours.ratio(results.find(self.peer_row or self.row, loop, self.peer), self.figure)

    def met(self, results: Results) -> bool:
        measured = self.measured(results)
        return measured is not None and measured <= self.limit


PEERS = ("Uvicorn httptools", "Granian", "Uvicorn zttp")


def against_peers(rows: Sequence[str], *limits: float) -> list[tuple[Bar, ...]]:
    """For each row a bar against each of `PEERS`."""
    return [tuple(Bar(row, limit, peer) for peer, limit in zip(PEERS, limits, strict=True)) for row in rows]


BARS_BY_PEER = (
    *against_peers(LEAN, 0.50, 0.50, 0.60),
    *against_peers(WAITING, 0.65, 0.50, 0.75),
    *against_peers(("accesslog",), 0.40, 0.50, 0.45),
)
TLS = ("tls_hello", "tls_10k")
HANDSHAKES = ("tls_full", "tls_resume")
BARS = (
    *(
        Bar(row, 0.60, "Uvicorn httptools", loop=loop)
        for loop in (MAIN, "asyncio")
        for row in ("ws32", "ws1k", "ws64k")
    ),
    Bar("hello", 0.42, "Uvicorn httptools", loop="asyncio"),
    *(Bar(row, 0.55, "Uvicorn httptools") for row in TLS),
    *(Bar(row, 0.42, "Uvicorn httptools", loop="asyncio") for row in TLS),
    *(Bar(row, 0.90, "Granian") for row in TLS),
    *(Bar(row, 1.00, "Uvicorn httptools", loop=loop) for row in HANDSHAKES for loop in (MAIN, "asyncio")),
    Bar("hello", 2.3, "C, epoll, no HTTP", peer_loop=""),
    Bar("half", 1.0, "Uvicorn httptools", figure="p99_us"),
    Bar("pathsend100m", 0.50, WHORL, peer_row="readsend100m"),
    Bar("idle10k", 4.0, unit=" KiB"),
    Bar("coldstart", 0.20, unit=" s"),
    Bar("million", 1.01, unit=" ×"),
)
