"""One exchange: one HTTP request and its response, and one call of the application (ASGI HTTP 2.5, RFC 9110).

The same code serves every version of HTTP: the carrier below is a `Stream`. The application's messages pass through
one table of states, so what comes out of order, too long, too short or malformed raises in the application and never
reaches the wire. Called by a connection, which delivers the request body and says when the client left. It must not
know how octets are framed, nor any socket.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from time import perf_counter
from typing import Any, ClassVar, Final, NoReturn, TypeAlias

from whorl.asgi.app_context import Service
from whorl.asgi.coroutines import drained, receive, run, send, send_path
from whorl.asgi.states import (
    COMING,
    COMPLETE,
    CUT,
    ENDED,
    EXPECTING,
    LEFT,
    SENDING,
    STARTED,
    TOLD,
    TRAILERS,
    WAITING,
)
from whorl.asgi.stream import ClientLeft, Stream
from whorl.asgi.types import Message
from whorl.compiled import mypyc_attr
from whorl.http.framing import LENGTH_COUNTED, LENGTH_DECLARED, LENGTH_UNKNOWN, frame_nothing
from whorl.observe.failures import application_failed
from whorl.wire.http1.head import SAYS_EXPECT, RequestHead

__all__ = ["Exchange"]


# Final statuses (RFC 9110 section 15).
FINAL: Final = frozenset(range(200, 600))

# From Python 3.12 on, a task can start inside the call that makes it, and has ended when that returns if it never
# waits; on 3.11 it starts in the next turn of the loop.
STARTS_AT_ONCE: Final = sys.version_info >= (3, 12)
Task: Final[Callable[..., asyncio.Task[None]]] = asyncio.Task

# What the access log says where the client left before there was a status; nginx's number for it.
CLIENT_LEFT: Final = 499

Step: TypeAlias = "Callable[[Exchange, Message], Awaitable[None] | None]"
"""What a message does. Returns what the application is to wait for, if there is anything."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """One request, its response, and the application's call between them.

    Args:
        service: what all exchanges of the server share.
        stream: the carrier.
        head: the request's head.
        scope: what the application is told.
    """

    __slots__ = (
        "_body_pieces",
        "_buffered_bytes",
        "_declared_bytes",
        "_flags",
        "_lines",
        "_waiters",
        "_with_content",
        "_with_trailers",
        "content_bytes",
        "head",
        "our_state",
        "scope",
        "service",
        "started_seconds",
        "status",
        "stream",
        "task",
        "their_state",
        "trailer_lines",
    )

    # Set only when there is something to say: what every request sets, every request pays for.
    task: asyncio.Task[None]
    trailer_lines: list[bytes]
    _buffered_bytes: int
    _with_content: bool

    # Coroutines, which stay Python's own where this is compiled.
    receive: ClassVar[Callable[[Exchange], Coroutine[Any, Any, Message]]] = receive
    send: ClassVar[Callable[[Exchange, Message], Coroutine[Any, Any, None]]] = send
    drained: ClassVar[Callable[[Exchange], Coroutine[Any, Any, None]]] = drained

    steps: ClassVar[tuple[dict[str, Step], ...]]
    """Which messages each state takes, and what they do. An absent entry is the application's mistake."""

    def __init__(self, service: Service, stream: Stream, head: RequestHead, scope: dict[str, Any]) -> None:
        self.service = service
        self.stream = stream
        self.head = head
        self.scope = scope
        self.our_state = WAITING
        self.their_state = ENDED if not head.body_bytes else EXPECTING if head.says & SAYS_EXPECT else COMING
        self.status = 0
        self.content_bytes = 0
        self._waiters: list[asyncio.Future[None]] | None = None
        self._body_pieces: list[bytes] | None = None
        if service.access_log is not None:
            self.started_seconds = perf_counter()

    # The application's call

    def start(self, context: Context | None = None) -> None:
        """Call the application in a task of its own.

        The class is called, not `loop.create_task` with an eager factory: so every loop agrees.

        Args:
            context: what it runs in; without one, a fresh copy of the server's context.
        """
        service = self.service
        if context is None:
            context = service.context.copy()
        coroutine = run(self)
        if STARTS_AT_ONCE:
            task = Task(coroutine, loop=service.loop, context=context, eager_start=True)
        else:
            task = Task(coroutine, loop=service.loop, context=context)
        if not task.done():
            self.task = task
            service.running.add(self)

    def raised(self, error: BaseException) -> None:
        """The application failed."""
        head = self.head
        try:
            if self.our_state is CUT and speaks_of_leaving(error):
                self.service.logger.debug("the client left during %s %r", head.method, head.target)
            else:
                application_failed(self.service.logger, error, head.method, head.target)
        finally:
            self.fail(500)  # also if a filter of the application's own logging raises

    def returned_early(self) -> None:
        """The application returned, and its response is not complete."""
        if self.their_state is LEFT:
            self._abandon()
            return
        head = self.head
        self.service.logger.error(
            "the application returned without completing its response to %s %r", head.method, head.target.decode()
        )
        self.fail(500)

    def fail(self, status: int) -> None:
        """Answer with a status if nothing has left, else cut the response so that the client can tell (RFC 9112
        section 8)."""
        state = self.our_state
        if state <= STARTED:
            # As if the application had said it; where it has begun to, it is not heard any more.
            body = b"Internal Server Error" if status == 500 else b"Service Unavailable"
            self._with_trailers = False
            self._start({"status": status, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
            self._first_content({"body": body})
        elif state < COMPLETE:
            self._abandon()

    def _abandon(self) -> None:
        """The response will never be complete."""
        self.client_left()
        self.stream.abort()

    # What the application receives

    def next_message(self) -> Message | None:
        """What receive() returns: the request body as it comes, then http.disconnect. None while it has to wait."""
        if self.our_state is COMPLETE:
            return {"type": "http.disconnect"}
        pieces = self._body_pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._body_pieces = None
            more_body = self.their_state is COMING
            if more_body:
                self.stream.resume_reading()
            else:
                self.their_state = TOLD
            return {"type": "http.request", "body": body, "more_body": more_body}
        if self.their_state is ENDED:
            self.their_state = TOLD
            return {"type": "http.request", "body": b"", "more_body": False}
        if self.our_state is CUT:
            return {"type": "http.disconnect"}
        if self.their_state >= TOLD and self.stream.client_ended():
            self.their_state = LEFT
            return {"type": "http.disconnect"}
        if self.their_state is EXPECTING:
            self.their_state = COMING
            if self.our_state <= STARTED:
                self.stream.send_interim(100, ())
        return None

    def deliver(self, data: bytes, complete: bool) -> bool:
        """Take a piece of the request body from the connection.

        Args:
            data: its octets; none only where that is the end of a body.
            complete: whether the body ended with them.

        Returns:
            Whether there is room for more; if not, `Stream.resume_reading` tells when. After a complete body there
            always is: what comes then is not this exchange's, or the news that the client left.
        """
        if self._body_pieces is None:
            self._body_pieces = [data]
            self._buffered_bytes = len(data)
        else:
            self._body_pieces.append(data)
            self._buffered_bytes += len(data)
        self.their_state = ENDED if complete else COMING
        if self._waiters:
            self._wake()
        return complete or self._buffered_bytes <= self.service.request_buffer_bytes

    def client_left(self) -> None:
        """The client has gone: http.disconnect for who waits, OSError for who sends."""
        if self.our_state < COMPLETE:
            self.our_state = CUT
            self._ended()
        self._wake()

    def client_ended(self) -> None:
        """The client has ended its side: whoever waits for http.disconnect looks at `Stream.client_ended`."""
        self._wake()

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body."""
        return self.their_state is EXPECTING

    @property
    def awaits_disconnect(self) -> bool:
        """Whether the application waits to be told that the client left."""
        return bool(self._waiters) and self.their_state is TOLD

    # What the application sends

    def out_of_order(self, kind: str) -> NoReturn:
        """The application sent what the state of its response does not take."""
        if self.our_state is CUT:
            raise ClientLeft
        raise RuntimeError(f"the application sent {kind!r} where the response is {self.our_state.name}")

    def _start(self, message: Message) -> None:
        status = message["status"]
        if type(status) is not int or status not in FINAL:
            # bool and IntEnum are ints too; HTTPStatus is what applications use.
            if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
                raise ValueError(f"a final status is an integer from 200 to 599, not {status!r} (RFC 9110 section 15)")
            status = int(status)
        self._lines, self._flags, self._declared_bytes = self.stream.fields.collect(message.get("headers", ()))
        self._with_trailers = message.get("trailers", False)
        if self._with_trailers:
            self.trailer_lines = []
        self.status = status
        self.our_state = STARTED

    def _first_content(self, message: Message) -> None:
        """Send the head, now that the first content tells how the response is framed."""
        content = message.get("body", b"")
        if type(content) is not bytes:
            content = as_bytes(content)
        more_body = message.get("more_body", False)
        status = self.status
        ends = not (more_body or self._with_trailers)
        if self.head.method == "HEAD" or status in {204, 205, 304}:
            with_content = False
            framing = frame_nothing(status, self._declared_bytes, ends)
            self._declared_bytes = -1
            if status in (204, 205):
                self._forget_length()
                content = b""
        else:
            with_content = True
            size_bytes = len(content)
            if self._declared_bytes < 0:
                framing = LENGTH_COUNTED if ends else LENGTH_UNKNOWN
            else:
                framing = LENGTH_DECLARED
                if more_body or size_bytes != self._declared_bytes:
                    self._check_length(size_bytes, more_body)
            self.content_bytes = size_bytes
        if ends:
            self.our_state = COMPLETE
            if self.service.access_log is not None:
                self._ended()
        else:
            self._with_content = with_content
            self.our_state = SENDING if more_body else TRAILERS
        self.stream.send_head(status, self._lines, self._flags, framing, content, ends)
        if ends and self._waiters:
            self._wake()

    def _forget_length(self) -> None:
        """204 and 205 have no Content-Length of the application's, whatever it says (RFC 9110 sections 8.6, 15.3.6)."""
        self._lines = [line for line in self._lines if line[:15].lower() != b"content-length:"]

    def _more_content(self, message: Message) -> None:
        body = message.get("body", b"")
        if type(body) is not bytes:
            body = as_bytes(body)
        more_body = message.get("more_body", False)
        if self._declared_bytes >= 0:
            self._check_length(len(body), more_body)
        if body and self._with_content:
            self.content_bytes += len(body)
            self.stream.send_data(body)
        if not more_body:
            self._content_ended()

    def _content_ended(self) -> None:
        if self._with_trailers:
            self.our_state = TRAILERS
        else:
            self._complete(())

    def _check_length(self, piece_bytes: int, more_body: bool) -> None:
        """Hold the application to its Content-Length: too much or too little never reaches the wire (RFC 9112
        section 6.3)."""
        declared_bytes = self._declared_bytes
        so_far = self.content_bytes + piece_bytes
        if so_far > declared_bytes:
            raise RuntimeError(f"the response has more content than its Content-Length, {declared_bytes}")
        if not more_body and so_far < declared_bytes:
            raise RuntimeError(f"the response has {so_far} octets, less than its Content-Length, {declared_bytes}")

    def _trailers(self, message: Message) -> None:
        self.trailer_lines += self.stream.fields.collect_trailers(message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._complete(self.trailer_lines if self.head.accepts_trailers else ())

    def _early_hint(self, message: Message) -> None:
        fields = self.stream.fields
        lines = [fields.check_pair((b"link", link))[0] for link in message.get("links", ())]
        if lines and self.head.version != "1.0":
            self.stream.send_interim(103, lines)

    def _send_path(self, message: Message) -> Awaitable[None]:
        """http.response.pathsend: the file is the content, and ends it."""
        return send_path(self, message["path"])

    def begin_file(self, size_bytes: int) -> bool:
        """Send the head of a response whose content is a file. Returns whether there is content."""
        if self._declared_bytes < 0:
            self._declared_bytes = size_bytes
            self._lines.append(self.stream.fields.check(b"content-length", b"%d" % size_bytes)[0])
        elif self._declared_bytes != size_bytes:
            raise RuntimeError(f"the file has {size_bytes} octets, and Content-Length says {self._declared_bytes}")
        self._first_content({"more_body": True})
        return self._with_content

    def end_file(self, size_bytes: int) -> None:
        """Such a response is complete; raises ClientLeft where it never will be."""
        if self._with_content:
            self.content_bytes = size_bytes
        if self.our_state is not SENDING:
            raise ClientLeft
        self._content_ended()

    # The end

    def _complete(self, trailer_lines: Sequence[bytes]) -> None:
        self.our_state = COMPLETE
        if self.service.access_log is not None:
            self._ended()
        self.stream.send_end(trailer_lines)
        if self._waiters:
            self._wake()

    def _ended(self) -> None:
        """The response has ended, whole or not: tell who wants to know."""
        log = self.service.access_log
        if log is not None:
            head = self.head
            status = self.status or CLIENT_LEFT
            milliseconds = (perf_counter() - self.started_seconds) * 1000
            client = self.stream.client_text
            log.response_ended(client, head.method, head.target, head.version, status, self.content_bytes, milliseconds)

    # Waiting

    def resume_writing(self) -> None:
        """The carrier has fallen below its low-water mark."""
        self._wake()

    def waiter(self) -> asyncio.Future[None]:
        """A future that is done when something has changed."""
        waiter = self.service.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        return waiter

    def discard_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a future of `waiter` that is awaited no more."""
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


def speaks_of_leaving(error: BaseException) -> bool:
    """Whether an application's error comes of the client's leaving, however it was wrapped on its way up.

    Of a group, all parts must. The application shapes what is walked here: chains may be long, groups nested, and both
    may lead back to where they began. Compiled code that recurses without a bound overflows the C stack.
    """
    found = False
    walked: set[int] = set()  # errors that need no second look
    pending: list[BaseException] = [error]
    while pending:
        link: BaseException | None = pending.pop()
        chain: set[int] = set()
        while id(link) not in walked:
            if isinstance(link, ClientLeft):
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
    """Content as bytes of its own: the application may change a bytearray after it was sent."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"content is bytes, not {type(body).__name__}")


Exchange.steps = (
    {"http.response.start": Exchange._start, "http.response.early_hint": Exchange._early_hint},
    {"http.response.body": Exchange._first_content, "http.response.pathsend": Exchange._send_path},
    {"http.response.body": Exchange._more_content},
    {"http.response.trailers": Exchange._trailers},
    {},
    {},
    {},
)
