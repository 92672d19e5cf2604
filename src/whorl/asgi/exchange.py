"""One exchange: one HTTP request, its response, and one call of the application (ASGI HTTP 2.5, RFC 9110).

The same code serves every version of HTTP: a `Stream` carries it. The application's messages go through one table of
states (`Exchange.handlers`): a message that is malformed, out of order, too long or too short raises in the application
and never reaches the client.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from time import perf_counter
from typing import Any, ClassVar, Final, NoReturn, TypeAlias

from whorl.asgi.app_context import AppContext
from whorl.asgi.coroutines import receive, run, send, send_path, wait_writable
from whorl.asgi.states import (
    ABORTED,
    AWAITING_CONTINUE,
    COMPLETE,
    DELIVERED,
    DISCONNECTED,
    NOT_STARTED,
    RECEIVED,
    RECEIVING,
    SENDING,
    STARTED,
    TRAILERS,
)
from whorl.asgi.stream import ClientDisconnected, Stream
from whorl.asgi.types import Message
from whorl.compiled import mypyc_attr
from whorl.http.framing import LENGTH_COMPUTED, LENGTH_DECLARED, LENGTH_UNKNOWN, framing_without_content
from whorl.http.request import EXPECT_CONTINUE, TE_TRAILERS, Request
from whorl.observe.failures import application_failed

__all__ = ["Exchange"]


# RFC 9110 section 15.
FINAL_STATUSES: Final = frozenset(range(200, 600))

# From Python 3.12 on, a task can start inside the call that makes it, and is done when that call returns if it never
# waits. On 3.11 it starts in the next iteration of the loop.
HAS_EAGER_TASKS: Final = sys.version_info >= (3, 12)
Task: Final[Callable[..., asyncio.Task[None]]] = asyncio.Task

# What the access log shows if the client disconnected before there was a status; nginx uses this number.
STATUS_CLIENT_CLOSED: Final = 499

Handler: TypeAlias = "Callable[[Exchange, Message], Awaitable[None] | None]"
"""Handles one kind of message. Returns what the application has to wait for, if anything."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """One request, its response, and the application's call between them.

    Args:
        app_context: what the server's exchanges share.
        stream: what carries the exchange.
        request: the request.
        scope: the application's scope.
    """

    __slots__ = (
        "_body_pieces",
        "_buffered_bytes",
        "_declared_bytes",
        "_flags",
        "_has_content",
        "_has_trailers",
        "_lines",
        "_waiters",
        "app_context",
        "content_bytes",
        "request",
        "request_state",
        "response_state",
        "scope",
        "started_seconds",
        "status",
        "stream",
        "task",
        "trailer_lines",
    )

    # Set only when needed: what every request sets, every request pays for.
    task: asyncio.Task[None]
    trailer_lines: list[bytes]
    _buffered_bytes: int
    _has_content: bool

    # Coroutines, which stay Python's own where this is compiled.
    receive: ClassVar[Callable[[Exchange], Coroutine[Any, Any, Message]]] = receive
    send: ClassVar[Callable[[Exchange, Message], Coroutine[Any, Any, None]]] = send
    wait_writable: ClassVar[Callable[[Exchange], Coroutine[Any, Any, None]]] = wait_writable

    handlers: ClassVar[tuple[dict[str, Handler], ...]]
    """The messages that each state of the response takes. Any other message is an error of the application."""

    def __init__(self, app_context: AppContext, stream: Stream, request: Request, scope: dict[str, Any]) -> None:
        self.app_context = app_context
        self.stream = stream
        self.request = request
        self.scope = scope
        self.response_state = NOT_STARTED
        if not request.body_bytes:
            self.request_state = RECEIVED
        else:
            self.request_state = AWAITING_CONTINUE if request.flags & EXPECT_CONTINUE else RECEIVING
        self.status = 0
        self.content_bytes = 0
        self._waiters: list[asyncio.Future[None]] | None = None
        self._body_pieces: list[bytes] | None = None
        if app_context.access_log is not None:
            self.started_seconds = perf_counter()

    # The application's call

    def start(self, context: Context | None = None) -> None:
        """Call the application in a task.

        `Task` is called, not `loop.create_task` with an eager factory, so that it is the same on every loop.

        Args:
            context: what the task runs in; without one, a fresh copy of the server's context.
        """
        app_context = self.app_context
        if context is None:
            context = app_context.context.copy()
        coroutine = run(self)
        if HAS_EAGER_TASKS:
            task = Task(coroutine, loop=app_context.loop, context=context, eager_start=True)
        else:
            task = Task(coroutine, loop=app_context.loop, context=context)
        if not task.done():
            self.task = task
            app_context.active.add(self)

    def on_app_error(self, error: BaseException) -> None:
        """Log what the application raised, and answer 500."""
        request = self.request
        try:
            if self.response_state is ABORTED and is_disconnect(error):
                self.app_context.logger.debug("the client left during %s %r", request.method, request.target)
            else:
                application_failed(self.app_context.logger, error, request.method, request.target)
        finally:
            self.fail(500)  # also if a logging filter of the application raises

    def on_app_incomplete(self) -> None:
        """The application returned before its response was complete: log that, and answer 500."""
        if self.request_state is DISCONNECTED:
            self._abandon()
            return
        request = self.request
        self.app_context.logger.error(
            "the application returned without completing its response to %s %r", request.method, request.target.decode()
        )
        self.fail(500)

    def fail(self, status: int) -> None:
        """Answer with a status if nothing has been sent, else cut the response so that the client notices (RFC 9112
        section 8)."""
        state = self.response_state
        if state <= STARTED:
            body = b"Internal Server Error" if status == 500 else b"Service Unavailable"
            self._has_trailers = False
            self._on_start({"status": status, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
            self._on_first_body({"body": body})
        elif state < COMPLETE:
            self._abandon()

    def _abandon(self) -> None:
        """Abort the response: it will never be complete."""
        self.on_disconnect()
        self.stream.abort()

    # What the application receives

    def next_message(self) -> Message | None:
        """Return what receive() returns: the request body as it comes, then http.disconnect. None: wait."""
        if self.response_state is COMPLETE:
            return {"type": "http.disconnect"}
        pieces = self._body_pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._body_pieces = None
            more_body = self.request_state is RECEIVING
            if more_body:
                self.stream.resume_reading()
            else:
                self.request_state = DELIVERED
            return {"type": "http.request", "body": body, "more_body": more_body}
        if self.request_state is RECEIVED:
            self.request_state = DELIVERED
            return {"type": "http.request", "body": b"", "more_body": False}
        if self.response_state is ABORTED:
            return {"type": "http.disconnect"}
        if self.request_state >= DELIVERED and self.stream.client_ended():
            self.request_state = DISCONNECTED
            return {"type": "http.disconnect"}
        if self.request_state is AWAITING_CONTINUE:
            self.request_state = RECEIVING
            if self.response_state <= STARTED:
                self.stream.send_interim(100, ())
        return None

    def deliver(self, data: bytes, complete: bool) -> bool:
        """Take a piece of the request body.

        Args:
            data: the piece; empty only at the end of a body.
            complete: whether the body ends with it.

        Returns:
            Whether to read on. If not, `Stream.resume_reading` is called later. After a complete body it is always
            True: what follows belongs to the next request, or tells that the client disconnected.
        """
        if self._body_pieces is None:
            self._body_pieces = [data]
            self._buffered_bytes = len(data)
        else:
            self._body_pieces.append(data)
            self._buffered_bytes += len(data)
        self.request_state = RECEIVED if complete else RECEIVING
        if self._waiters:
            self._wake()
        return complete or self._buffered_bytes <= self.app_context.request_buffer_bytes

    def on_disconnect(self) -> None:
        """The client disconnected: receive() returns http.disconnect, and send() raises OSError."""
        if self.response_state < COMPLETE:
            self.response_state = ABORTED
            self._log_response()
        self._wake()

    def client_ended(self) -> None:
        """The client has ended its side: wake the application, which asks `Stream.client_ended`."""
        self._wake()

    @property
    def awaits_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body."""
        return self.request_state is AWAITING_CONTINUE

    @property
    def awaits_disconnect(self) -> bool:
        """Whether the application waits for http.disconnect."""
        return bool(self._waiters) and self.request_state is DELIVERED

    # What the application sends

    def out_of_order(self, kind: str) -> NoReturn:
        """Raise for a message that the state of the response does not take."""
        if self.response_state is ABORTED:
            raise ClientDisconnected
        raise RuntimeError(f"the application sent {kind!r} where the response is {self.response_state.name}")

    def _on_start(self, message: Message) -> None:
        status = message["status"]
        if type(status) is not int or status not in FINAL_STATUSES:
            # bool and IntEnum are ints too; HTTPStatus is what applications use.
            if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
                raise ValueError(f"a final status is an integer from 200 to 599, not {status!r} (RFC 9110 section 15)")
            status = int(status)
        self._lines, self._flags, self._declared_bytes = self.stream.field_encoder.encode_all(
            message.get("headers", ())
        )
        self._has_trailers = message.get("trailers", False)
        if self._has_trailers:
            self.trailer_lines = []
        self.status = status
        self.response_state = STARTED

    def _on_first_body(self, message: Message) -> None:
        """Send the head: only the first content tells how the response is framed."""
        content = message.get("body", b"")
        if type(content) is not bytes:
            content = as_bytes(content)
        more_body = message.get("more_body", False)
        status = self.status
        ends = not (more_body or self._has_trailers)
        if self.request.method == "HEAD" or status in {204, 205, 304}:
            has_content = False
            framing = framing_without_content(status, self._declared_bytes, ends)
            self._declared_bytes = -1
            if status in (204, 205):
                self._drop_content_length()
                content = b""
        else:
            has_content = True
            size_bytes = len(content)
            if self._declared_bytes < 0:
                framing = LENGTH_COMPUTED if ends else LENGTH_UNKNOWN
            else:
                framing = LENGTH_DECLARED
                if more_body or size_bytes != self._declared_bytes:
                    self._check_length(size_bytes, more_body)
            self.content_bytes = size_bytes
        if ends:
            self.response_state = COMPLETE
            if self.app_context.access_log is not None:
                self._log_response()
        else:
            self._has_content = has_content
            self.response_state = SENDING if more_body else TRAILERS
        self.stream.send_head(status, self._lines, self._flags, framing, content, ends)
        if ends and self._waiters:
            self._wake()

    def _drop_content_length(self) -> None:
        """204 and 205 have no Content-Length of the application's (RFC 9110 sections 8.6 and 15.3.6)."""
        self._lines = [line for line in self._lines if line[:15].lower() != b"content-length:"]

    def _on_body(self, message: Message) -> None:
        content = message.get("body", b"")
        if type(content) is not bytes:
            content = as_bytes(content)
        more_body = message.get("more_body", False)
        if self._declared_bytes >= 0:
            self._check_length(len(content), more_body)
        if not self._has_content:
            content = b""
        self.content_bytes += len(content)
        if more_body:
            if content:
                self.stream.send_data(content, False)
        elif self._has_trailers:
            self.response_state = TRAILERS
            if content:
                self.stream.send_data(content, False)
        else:
            self._complete(content)

    def _complete(self, content: bytes) -> None:
        self.response_state = COMPLETE
        if self.app_context.access_log is not None:
            self._log_response()
        self.stream.send_data(content, True)
        if self._waiters:
            self._wake()

    def _check_length(self, piece_bytes: int, more_body: bool) -> None:
        """Hold the application to its Content-Length: the client must never get more or less (RFC 9112 section 6.3)."""
        declared_bytes = self._declared_bytes
        so_far = self.content_bytes + piece_bytes
        if so_far > declared_bytes:
            raise RuntimeError(f"the response has more content than its Content-Length, {declared_bytes}")
        if not more_body and so_far < declared_bytes:
            raise RuntimeError(f"the response has {so_far} bytes, less than its Content-Length, {declared_bytes}")

    def _on_trailers(self, message: Message) -> None:
        self.trailer_lines += self.stream.field_encoder.encode_trailers(message.get("headers", ()))
        if message.get("more_trailers", False):
            return
        self.response_state = COMPLETE
        if self.app_context.access_log is not None:
            self._log_response()
        self.stream.send_trailers(self.trailer_lines if self.request.flags & TE_TRAILERS else ())
        if self._waiters:
            self._wake()

    def _on_early_hint(self, message: Message) -> None:
        encoder = self.stream.field_encoder
        lines = [encoder.encode_pair((b"link", link))[0] for link in message.get("links", ())]
        if lines:
            self.stream.send_interim(103, lines)

    def _on_path(self, message: Message) -> Awaitable[None]:
        """http.response.pathsend: the file is the content, and ends it."""
        return send_path(self, message["path"])

    def begin_file(self, size_bytes: int) -> bool:
        """Send the head of a response whose content is a file. Returns whether there is content to send."""
        if self._declared_bytes < 0:
            self._declared_bytes = size_bytes
            self._lines.append(self.stream.field_encoder.encode(b"content-length", b"%d" % size_bytes)[0])
        elif self._declared_bytes != size_bytes:
            raise RuntimeError(f"the file has {size_bytes} bytes, but Content-Length is {self._declared_bytes}")
        self._on_first_body({"more_body": True})
        return self._has_content

    def end_file(self, size_bytes: int) -> None:
        """Complete the response whose content was a file. Raises ClientDisconnected if it was aborted."""
        if self._has_content:
            self.content_bytes = size_bytes
        if self.response_state is not SENDING:
            raise ClientDisconnected
        if self._has_trailers:
            self.response_state = TRAILERS
        else:
            self._complete(b"")

    def _log_response(self) -> None:
        """Log the response, which has ended, complete or not."""
        log = self.app_context.access_log
        if log is not None:
            request = self.request
            status = self.status or STATUS_CLIENT_CLOSED
            milliseconds = (perf_counter() - self.started_seconds) * 1000
            client = self.stream.client.client_label
            log.response_ended(
                client, request.method, request.target, request.version, status, self.content_bytes, milliseconds
            )

    # Waiting

    def resume_writing(self) -> None:
        """The stream has fallen below its low-water mark."""
        self._wake()

    def add_waiter(self) -> asyncio.Future[None]:
        """Return a future that is done when the exchange has changed."""
        waiter = self.app_context.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        return waiter

    def discard_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a waiter whose wait was cancelled."""
        waiters = self._waiters
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)

    def _wake(self) -> None:
        waiters = self._waiters
        if waiters:
            self._waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


def is_disconnect(error: BaseException) -> bool:
    """Return whether an application's error comes from `ClientDisconnected`, however it was wrapped; in a group, each
    must.

    The application shapes what is walked here: chains may be long, groups nested, and both may have cycles. Compiled
    code that recurses without a bound overflows the C stack, so this does not recurse.
    """
    found = False
    walked: set[int] = set()  # errors that need no second visit
    pending: list[BaseException] = [error]
    while pending:
        link: BaseException | None = pending.pop()
        chain: set[int] = set()
        while id(link) not in walked:
            if isinstance(link, ClientDisconnected):
                found = True
                break
            if link is None or id(link) in chain:
                return False
            chain.add(id(link))
            if isinstance(link, BaseExceptionGroup):
                pending.extend(link.exceptions)
                break
            link = link.__context__ if link.__cause__ is None else link.__cause__
        walked |= chain
    return found


def as_bytes(body: Any) -> bytes:
    """Copy content to bytes: the application may change a bytearray after it was sent."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"content is bytes, not {type(body).__name__}")


Exchange.handlers = (
    {"http.response.start": Exchange._on_start, "http.response.early_hint": Exchange._on_early_hint},  # NOT_STARTED
    {"http.response.body": Exchange._on_first_body, "http.response.pathsend": Exchange._on_path},  # STARTED
    {"http.response.body": Exchange._on_body},  # SENDING
    {"http.response.trailers": Exchange._on_trailers},  # TRAILERS
    {},  # WEBSOCKET_OPEN
    {},  # COMPLETE
    {},  # ABORTED
)
