"""What the exchanges of one server share. Nothing is global: two servers in one process have two of these."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

from whorl.asgi.types import ASGIApp
from whorl.observe.access import AccessLog

__all__ = ["AppContext"]


class ActiveExchange(Protocol):
    """An exchange whose application has not returned."""

    task: asyncio.Task[None]


class AppContext:
    """One server's application, what it runs in, and the limits of its exchanges.

    Args:
        app: the application, as ASGI 3.
        loop: the running loop.
        context: each exchange runs in a copy of it.
        logger: for failures of the application.
        state: the lifespan's state, of which each scope gets a shallow copy; None without a lifespan.
        root_path: the prefix under which the application is mounted.
        limit_body_bytes: longest request body; None without a limit.
        request_buffer_bytes: how much of a request body may wait for the application before reading pauses.
        access_log: logs each response; None without a log.
        limit_requests: `on_limit` is called after so many requests; 0 for never.
        on_limit: asks the server to shut down.

    Attributes:
        active: the exchanges whose application has not returned. The set also keeps their tasks alive.
        completed_future: a future that is done.
        request_count: how many requests were started.
    """

    __slots__ = (
        "access_log",
        "active",
        "app",
        "completed_future",
        "context",
        "limit_body_bytes",
        "limit_requests",
        "logger",
        "loop",
        "on_limit",
        "request_buffer_bytes",
        "request_count",
        "root_path",
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
        self.completed_future: asyncio.Future[None] = loop.create_future()
        self.completed_future.set_result(None)
        self.active: set[ActiveExchange] = set()
        self.request_count = 0
        self.limit_requests = limit_requests
        self.on_limit = on_limit

    def limit_reached(self) -> None:
        """Ask for the shutdown: the last request that is allowed has started."""
        if self.on_limit is not None:
            self.on_limit()
