"""What all exchanges of one server share: the application, the context it runs in, and who wants to know what happened.

Made once by `server`, read by every connection and exchange. It holds no connection and no socket. Nothing in it is
global: two servers in one process have two of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from whorl.asgi.types import ASGIApp
from whorl.observe.access import AccessLog

if TYPE_CHECKING:
    from whorl.asgi.exchange import Exchange

__all__ = ["Service"]


class Service:
    """One server's application and the limits its exchanges keep.

    Attributes:
        app: the ASGI 3 application.
        loop: the event loop that everything here runs on.
        context: the server's context; each exchange runs in a fresh copy of it, so nothing leaks from one request
            to the next.
        state: the lifespan's state; each scope gets a shallow copy.
        root_path: prefix under which the application is mounted.
        limit_body_bytes: longest request body, None without a limit.
        request_buffer_bytes: how much of a request body waits for the application before reading pauses.
        access_log: told of each response that ended; None to say nothing.
        logger: where failures of the application are told.
        done: a future that has its result, which is None.
        running: the exchanges whose application has not returned. It also keeps their tasks alive.
        requests: how many requests were started.
        limit_requests: after how many `on_limit` is called; 0 for never.
        on_limit: asks the server to leave.
    """

    __slots__ = (
        "access_log",
        "app",
        "context",
        "done",
        "limit_body_bytes",
        "limit_requests",
        "logger",
        "loop",
        "on_limit",
        "request_buffer_bytes",
        "requests",
        "root_path",
        "running",
        "state",
    )

    def __init__(
        self,
        app: ASGIApp,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        logger: logging.Logger,
        *,
        state: dict[str, Any] | None = None,
        root_path: str = "",
        limit_body_bytes: int | None = None,
        request_buffer_bytes: int = 64 * 1024,
        access_log: AccessLog | None = None,
        limit_requests: int = 0,
        on_limit: Callable[[], None] | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.context = context
        self.logger = logger
        self.state = state
        self.root_path = root_path
        self.limit_body_bytes = limit_body_bytes
        self.request_buffer_bytes = request_buffer_bytes
        self.access_log = access_log
        self.done: asyncio.Future[None] = loop.create_future()
        self.done.set_result(None)
        self.running: set[Exchange] = set()
        self.requests = 0
        self.limit_requests = limit_requests
        self.on_limit = on_limit

    def limit_reached(self) -> None:
        """As many requests as were allowed have begun."""
        if self.on_limit is not None:
            self.on_limit()
