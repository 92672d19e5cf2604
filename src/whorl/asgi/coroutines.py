"""The coroutines of an exchange: the application's call, and what the application awaits.

They stand apart because they stay interpreted where the exchange is compiled: applications, frameworks and debuggers
expect coroutines of Python's own. Whatever does not wait is done by the exchange.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NoReturn, Protocol

from whorl.asgi.app_context import AppContext
from whorl.asgi.pathsend import open_file
from whorl.asgi.states import ABORTED, COMPLETE, ResponseState
from whorl.asgi.stream import ClientDisconnected, Stream
from whorl.asgi.types import Message, Receive, Send

__all__ = ["ActiveCall", "is_of_application", "receive", "run", "send", "send_path", "wait_writable"]


class ActiveCall(Protocol):
    """What the coroutines ask of an exchange."""

    app_context: AppContext
    handlers: ClassVar[Any]
    response_state: ResponseState
    scope: dict[str, Any]
    stream: Stream
    task: asyncio.Task[None]

    @property
    def receive(self) -> Receive: ...
    @property
    def send(self) -> Send: ...

    def next_message(self) -> Message | None: ...
    def on_app_error(self, error: BaseException) -> None: ...
    def on_app_incomplete(self) -> None: ...
    def fail(self, status: int) -> None: ...
    def out_of_order(self, kind: str) -> NoReturn: ...
    def begin_file(self, size_bytes: int) -> bool: ...
    def end_file(self, size_bytes: int) -> None: ...
    def add_waiter(self) -> asyncio.Future[None]: ...
    def discard_waiter(self, waiter: asyncio.Future[None]) -> None: ...


async def run(exchange: ActiveCall) -> None:
    """Call the application, and answer for it if it fails."""
    app_context = exchange.app_context
    try:
        await app_context.app(exchange.scope, exchange.receive, exchange.send)
    except Exception as error:
        exchange.on_app_error(error)
    except BaseException as error:
        if is_of_application(error, getattr(exchange, "task", None)):
            exchange.on_app_error(error)
            return
        # The server has cancelled the task, or the interpreter ends.
        exchange.fail(503)
        raise
    else:
        if exchange.response_state < COMPLETE:
            exchange.on_app_incomplete()
    finally:
        app_context.active.discard(exchange)


def is_of_application(error: BaseException, task: asyncio.Task[None] | None) -> bool:
    """Return whether the application itself raised an error that is not an `Exception`.

    It did not if the task was cancelled, if its coroutine was closed (GeneratorExit then comes while no task or another
    one runs), or if the interpreter is to end.

    Args:
        error: what the application's coroutine raised.
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


async def receive(exchange: ActiveCall) -> Message:
    """ASGI receive()."""
    while True:
        message = exchange.next_message()
        if message is not None:
            return message
        await wait_change(exchange)


async def send(exchange: ActiveCall, message: Message) -> None:
    """ASGI send(). Returns when the stream is below its high-water mark."""
    # The handler is looked up here: one more call for each message costs more than the look-up.
    handler = exchange.handlers[exchange.response_state].get(message["type"])
    if handler is None:
        exchange.out_of_order(message["type"])
    waiting = handler(exchange, message)
    if waiting is not None:
        await waiting
    elif exchange.stream.writing_blocked and exchange.response_state < COMPLETE:
        await wait_writable(exchange)


async def send_path(exchange: ActiveCall, path: Any) -> None:
    """Send a file as content. Raises ClientDisconnected if the client disconnects before its end."""
    file, size_bytes = open_file(path)
    with file:
        if exchange.begin_file(size_bytes) and size_bytes:
            await exchange.stream.send_file(file, 0, size_bytes)
        exchange.end_file(size_bytes)


async def wait_writable(exchange: ActiveCall) -> None:
    """Wait until the stream is below its low-water mark. Raises ClientDisconnected if it never will be."""
    while exchange.stream.writing_blocked and exchange.response_state < COMPLETE:
        await wait_change(exchange)
    if exchange.response_state is ABORTED:
        raise ClientDisconnected


async def wait_change(exchange: ActiveCall) -> None:
    """Wait until the exchange has changed. A cancelled wait leaves nothing behind: an application may poll, as
    `asyncio.wait_for(receive(), …)` and Starlette's `is_disconnected()` do."""
    waiter = exchange.add_waiter()
    try:
        await waiter
    except BaseException:
        exchange.discard_waiter(waiter)
        raise
