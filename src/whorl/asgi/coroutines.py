"""The coroutines of an exchange: the application's call, and what the application awaits in it.

There is little in them: what is said and heard is the exchange's business (`exchange`), which never waits. Only the
step that a message takes is looked up here, because one call more for each costs more than the look-up. They stand
apart because they stay interpreted where the exchange is compiled: an application, its framework and its debugger
expect coroutines of Python's own. Called by `exchange` and, through it, by the application. They must not know how
anything is carried.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from whorl.asgi.pathsend import open_file
from whorl.asgi.states import COMPLETE, CUT
from whorl.asgi.stream import ClientLeft
from whorl.asgi.types import Message

if TYPE_CHECKING:
    from whorl.asgi.exchange import Exchange

__all__ = ["drained", "is_of_application", "receive", "run", "send", "send_path"]


async def run(exchange: Exchange) -> None:
    """Call the application, and answer for it where it fails."""
    service = exchange.service
    try:
        await service.app(exchange.scope, exchange.receive, exchange.send)
    except Exception as error:
        exchange.raised(error)
    except BaseException as error:
        if is_of_application(error, getattr(exchange, "task", None)):
            exchange.raised(error)
            return
        # The server leaves and cannot wait any longer, or the interpreter is ending.
        exchange.fail(503)
        raise
    else:
        if exchange.our_state < COMPLETE:
            exchange.returned_early()
    finally:
        service.running.discard(exchange)


def is_of_application(error: BaseException, task: asyncio.Task[None] | None) -> bool:
    """Whether it was the application that raised an error which is no `Exception`.

    It was not where the task was cancelled, where its coroutine is closed (GeneratorExit comes from outside then, as
    no task runs, or another one), and where the interpreter is to end.

    Args:
        error: what came out of the application.
        task: the application's; None while its first step runs inside the call that makes it.
    """
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return False
    try:
        running = asyncio.current_task()
    except RuntimeError:  # no loop runs
        return False
    if running is None or (task is not None and running is not task):
        return False
    return not (isinstance(error, asyncio.CancelledError) and running.cancelling())


async def receive(exchange: Exchange) -> Message:
    """ASGI receive()."""
    while True:
        message = exchange.next_message()
        if message is not None:
            return message
        await changed(exchange)


async def send(exchange: Exchange, message: Message) -> None:
    """ASGI send(). Returns when the carrier is below its high-water mark."""
    step = exchange.steps[exchange.our_state].get(message["type"])
    if step is None:
        exchange.out_of_order(message["type"])
    waiting = step(exchange, message)
    if waiting is not None:
        await waiting
    elif exchange.stream.writing_blocked and exchange.our_state < COMPLETE:
        await drained(exchange)


async def send_path(exchange: Exchange, path: Any) -> None:
    """Send a file as content. Raises ClientLeft where the client does not wait for its end."""
    file, size_bytes = open_file(path)
    with file:
        if exchange.begin_file(size_bytes) and size_bytes:
            await exchange.stream.send_file(file, 0, size_bytes)
        exchange.end_file(size_bytes)


async def drained(exchange: Exchange) -> None:
    """Wait until the client has read enough. Raises ClientLeft where it never will."""
    while exchange.stream.writing_blocked and exchange.our_state < COMPLETE:
        await changed(exchange)
    if exchange.our_state is CUT:
        raise ClientLeft


async def changed(exchange: Exchange) -> None:
    """Wait until something has changed. A cancelled wait leaves nothing behind: an application may poll, as
    `asyncio.wait_for(receive(), …)` and Starlette's `is_disconnected()` do."""
    waiter = exchange.waiter()
    try:
        await waiter
    except BaseException:
        exchange.discard_waiter(waiter)
        raise
