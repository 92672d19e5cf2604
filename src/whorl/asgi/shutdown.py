"""How an application learns that its server is about to leave, so that streams without an end can end in time.

    stopping = whorl.shutdown()
    while not stopping.begun: ...       # or: await stopping.wait()

ASGI has no message for it: `http.disconnect` says that the client left, and lifespan's shutdown comes when all requests
have ended. A context variable carries it, which reaches everything that runs for the application (requests, lifespan,
tasks and threads that they start) and costs a request nothing. `server` begins it, before it drains.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

__all__ = ["SHUTDOWN", "Shutdown", "shutdown"]


class Shutdown:
    """One server's shutdown: whether it has begun, and the moment when it does.

    Attributes:
        begun: whether the server has begun to leave. It may be read from any thread.
    """

    __slots__ = ("_event", "begun")

    def __init__(self) -> None:
        self.begun = False
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Return once the server begins to leave. To be awaited on the server's own loop."""
        await self._event.wait()

    def begin(self) -> None:
        """The server begins to leave; called by the server, once or more often."""
        self.begun = True
        self._event.set()


SHUTDOWN: ContextVar[Shutdown] = ContextVar("whorl.shutdown")
"""The shutdown of the server that runs this code."""


def shutdown() -> Shutdown:
    """The shutdown of the server that runs the calling code.

    Returns:
        One that never begins, where the code does not run under Whorl: under another server, or in a test.
    """
    return SHUTDOWN.get(None) or Shutdown()
