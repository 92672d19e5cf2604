"""Leaving without losing a request: what is under way is finished, within a bound; what is not, is closed.

One code path for every way to leave (RFC 9112 section 9.6 for the connections). Called by `server` once it has
stopped accepting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from whorl.asgi.exchange import Exchange
from whorl.connection.context import Shared
from whorl.connection.phase import FRESH, HANDSHAKE, IDLE, Phase

__all__ = ["drain"]

# After cancellation, an application gets so long to clean up; one that swallows it is left behind with a word about it.
CANCEL_SECONDS = 5.0
# And so long where the user has lost patience.
HURRIED_SECONDS = 0.5

# How long a new connection may stay silent while the server leaves.
FRESH_SECONDS = 0.1

# And how long a TLS handshake may go on: it is a round trip more, or two.
HANDSHAKE_SECONDS = 1.0


async def drain(
    shared: Shared, bound_seconds: float | None, hurry: asyncio.Future[None], idle_seconds: float = 0.0
) -> None:
    """Finish the exchanges under way and close every connection.

    Args:
        shared: the server's connections and exchanges.
        bound_seconds: how long exchanges may take to finish; None for as long as they like, 0 to cancel them at once.
        hurry: done when the user loses patience: everything ends at once.
        idle_seconds: how long a connection may wait for another request, which then is its last.
    """
    shared.keeps_alive = False
    # What the kernel already holds for us is read before anything is closed: a request that was sent in time is
    # answered. And a connection that the loop has accepted becomes one of ours within two turns.
    for _ in range(3):
        await asyncio.sleep(0)
    shared.leaving = True
    loop = shared.service.loop
    if idle_seconds:
        loop.call_later(idle_seconds, close_all, shared, IDLE)
    else:
        close_all(shared, IDLE)
    for connection in tuple(shared.connections):
        connection.leave_websocket()
    # A client that has just connected is about to send: closing under it would lose a request.
    loop.call_later(max(FRESH_SECONDS, idle_seconds), close_unheard, shared, FRESH)
    handshake_seconds = max(HANDSHAKE_SECONDS, idle_seconds)
    loop.call_later(handshake_seconds, close_unheard, shared, HANDSHAKE)
    loop.call_later(handshake_seconds + FRESH_SECONDS, close_unheard, shared, FRESH)
    ends = None if bound_seconds is None else loop.time() + bound_seconds
    while (shared.connections or shared.service.running) and not hurry.done():
        left_seconds = None if ends is None else ends - loop.time()
        if left_seconds is not None and left_seconds <= 0:
            break
        shared.changed = loop.create_future()
        await asyncio.wait(
            {shared.changed, hurry, *tasks_of(shared.service.running)},
            timeout=left_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
    await cancel(shared, hurry)
    for connection in tuple(shared.connections):
        connection.reset()
    # connection_lost comes with the next turn of the loop.
    for _ in range(3):
        await asyncio.sleep(0)


def close_unheard(shared: Shared, phase: Phase, turns: int = 2) -> None:
    """Close the connections that have said nothing in this phase; but first read what they may have said, because there
    are loops that look at their clocks before they look at their sockets, and this process may have been held up."""
    if turns:
        shared.service.loop.call_soon(close_unheard, shared, phase, turns - 1)
    else:
        close_all(shared, phase)


def close_all(shared: Shared, phase: Phase) -> None:
    """Close the connections that wait for this."""
    for connection in tuple(shared.connections):
        connection.close_if(phase)


def tasks_of(running: Iterable[Exchange]) -> set[asyncio.Task[None]]:
    return {exchange.task for exchange in running}


async def cancel(shared: Shared, hurry: asyncio.Future[None]) -> None:
    """Cancel the exchanges that did not finish in time, and wait for them."""
    running = tasks_of(shared.service.running)
    if not running:
        return
    logger = shared.service.logger
    logger.warning("%d request%s did not finish in time: cancelled", len(running), "s"[: len(running) > 1])
    for task in running:
        task.cancel()
    ended = asyncio.ensure_future(asyncio.wait(running))
    either: set[asyncio.Future[Any]] = {ended, hurry}
    if not hurry.done():
        await asyncio.wait(either, timeout=CANCEL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({ended}, timeout=HURRIED_SECONDS)
    ended.cancel()
    left = [task for task in running if not task.done()]
    if left:
        logger.error("%d request%s did not end when cancelled: left behind", len(left), "s"[: len(left) > 1])
