"""What a loop complains of, put into words (its exception handler), for a server that owns its process.

Two things are not failures of ours: an impatient second Ctrl+C, and what accept(2) answers when the system has no room
for another connection, or when a connection died before it was accepted. asyncio says the former thousands of times a
second, each with a traceback, and tries again after a second, which is right.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from time import monotonic
from typing import Any

from whorl.server.listen.loop_listener import EXHAUSTED, PAUSE_SECONDS

__all__ = ["LoopExceptionHandler"]

# accept(2), "Error handling": errors of the network that wait on the new connection. They count as "try again".
DIED_BEFORE = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH", "EOPNOTSUPP"),
        "ENETUNREACH",
    )
    if hasattr(errno, name)
)
ACCEPTING = "_accept_connection"


class LoopExceptionHandler:
    """An exception handler for a loop.

    Args:
        loop: whose it is. There is a loop that calls its handler without naming itself.
        logger: where to say that there is no room.
    """

    __slots__ = ("_logger", "_loop", "_said")

    def __init__(self, loop: asyncio.AbstractEventLoop, logger: logging.Logger) -> None:
        self._loop = loop
        self._logger = logger
        self._said = float("-inf")

    def __call__(self, *arguments: Any) -> None:
        context: dict[str, Any] = arguments[-1]
        error = context.get("exception")
        if isinstance(error, OSError):
            if error.errno in EXHAUSTED and "socket" in context:
                self._say_exhausted(error)
                return
            if error.errno in DIED_BEFORE and ACCEPTING in str(context.get("message")):
                return
        if not isinstance(error, KeyboardInterrupt):
            self._loop.default_exception_handler(context)

    def _say_exhausted(self, error: OSError) -> None:
        """Once for each pause."""
        now = monotonic()
        if now - self._said >= PAUSE_SECONDS / 2:
            self._logger.error(
                "no more connections can be accepted for now (%s): raise the limit of open files (ulimit -n)",
                error.strerror or error,
            )
            self._said = now
