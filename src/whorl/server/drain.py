"""Shuts down without losing a request: what is in flight is finished within a bound, and everything else is closed (RFC
9112 section 9.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from whorl.asgi.app_context import ActiveExchange
from whorl.connection.context import ServerContext
from whorl.connection.managed import Managed

__all__ = ["drain"]

# After cancellation, an application may clean up for so long.
CANCEL_SECONDS = 5.0
# And for so long after a second signal.
FORCED_SECONDS = 0.5

# How long a new connection may stay silent while the server drains.
NEW_SECONDS = 0.1

# How long a TLS handshake may go on meanwhile: it needs one or two further round trips.
HANDSHAKE_SECONDS = 1.0


async def drain(
    context: ServerContext, bound_seconds: float | None, force: asyncio.Future[None], idle_seconds: float = 0.0
) -> None:
    """Finish the exchanges in flight and close every connection.

    Args:
        context: the server's connections and exchanges.
        bound_seconds: how long exchanges may take to finish; None for no bound, 0 to cancel them at once.
        force: done at a second signal: everything ends at once.
        idle_seconds: how long a connection may wait for one more request.
    """
    context.stop_keep_alive()
    # What the kernel already holds is read before anything is closed: a request that was sent in time is answered. A
    # connection that the loop has accepted is made within two iterations.
    for _ in range(3):
        await asyncio.sleep(0)
    context.reject_new()
    loop = context.app_context.loop
    if idle_seconds:
        loop.call_later(idle_seconds, for_all, context, close_if_idle)
    else:
        for_all(context, close_if_idle)
    for connection in tuple(context.connections):
        connection.start_drain()
    # A client that has just connected is about to send: closing would lose a request.
    loop.call_later(max(NEW_SECONDS, idle_seconds), after_read, context, close_if_new)
    handshake_seconds = max(HANDSHAKE_SECONDS, idle_seconds)
    loop.call_later(handshake_seconds, after_read, context, close_if_handshaking)
    loop.call_later(handshake_seconds + NEW_SECONDS, after_read, context, close_if_new)
    ends = None if bound_seconds is None else loop.time() + bound_seconds
    while (context.connections or context.app_context.active) and not force.done():
        left_seconds = None if ends is None else ends - loop.time()
        if left_seconds is not None and left_seconds <= 0:
            break
        await asyncio.wait(
            {context.wait_closed(), force, *tasks_of(context.app_context.active)},
            timeout=left_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
    await cancel(context, force)
    for connection in tuple(context.connections):
        connection.reset()
    # connection_lost comes in the next iteration of the loop.
    for _ in range(3):
        await asyncio.sleep(0)


def after_read(context: ServerContext, close: Callable[[Managed], None], iterations: int = 2) -> None:
    """Close connections after what they have sent has been read: some loops look at their clocks before their sockets,
    and the process may have been held up."""
    if iterations:
        context.app_context.loop.call_soon(after_read, context, close, iterations - 1)
    else:
        for_all(context, close)


def for_all(context: ServerContext, close: Callable[[Managed], None]) -> None:
    for connection in tuple(context.connections):
        close(connection)


def close_if_idle(connection: Managed) -> None:
    connection.close_if_idle()


def close_if_new(connection: Managed) -> None:
    connection.close_if_new()


def close_if_handshaking(connection: Managed) -> None:
    connection.close_if_handshaking()


def tasks_of(active: Iterable[ActiveExchange]) -> set[asyncio.Task[None]]:
    return {exchange.task for exchange in active}


async def cancel(context: ServerContext, force: asyncio.Future[None]) -> None:
    """Cancel the exchanges that did not finish in time, and wait for them."""
    running = tasks_of(context.app_context.active)
    if not running:
        return
    logger = context.app_context.logger
    logger.warning("%d request%s did not finish in time: cancelled", len(running), "s"[: len(running) > 1])
    for task in running:
        task.cancel()
    ended = asyncio.ensure_future(asyncio.wait(running))
    either: set[asyncio.Future[Any]] = {ended, force}
    if not force.done():
        await asyncio.wait(either, timeout=CANCEL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({ended}, timeout=FORCED_SECONDS)
    ended.cancel()
    left = [task for task in running if not task.done()]
    if left:
        logger.error("%d request%s did not end when cancelled: left behind", len(left), "s"[: len(left) > 1])
