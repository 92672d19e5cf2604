"""How an application learns that its server is about to leave, so that streams without an end can end in time.

    stopping = whorl.shutdown()
    while not stopping.begun: ...       # or: await stopping.wait()

ASGI has no message for it: `http.disconnect` says that the client left, and lifespan's shutdown comes when all requests
have ended. A context variable carries it, which reaches everything that runs for the application (requests, lifespan,
tasks and threads that they start) and costs a request nothing. `server` begins it, before it drains. Where an
application asks inside a WebSocket, it is the application that says goodbye to the peer, and not the server.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

__all__ = ["FAREWELL", "SHUTDOWN", "Farewell", "Shutdown", "shutdown"]


class Shutdown:
    """One server's shutdown: whether it has begun, and the moment when it does.

    Attributes:
        begun: whether the server has begun to leave. It may be read from any thread.
    """

    __slots__ = ("_event", "begun")

    def __init__(self) -> None:
        self.begun: bool = False
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


class Farewell:
    """Who says goodbye to the peer of one WebSocket when the server leaves.

    An object of its own, and not the session: the context of the session's task holds it, and the session its task.

    Attributes:
        asked: whether the application has called `shutdown`, and so says goodbye itself.
    """

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False


FAREWELL: ContextVar[Farewell] = ContextVar("whorl.shutdown.farewell")
"""That of the WebSocket that the code runs for."""


def shutdown() -> Shutdown:
    """The shutdown of the server that runs the calling code.

    A WebSocket whose application has called this is not closed by the server when it leaves: the application does that,
    with the code and the last words that it likes. One that has not done so within `timeout_graceful_shutdown` is
    cancelled, and closed with 1012.

    Returns:
        One that never begins, where the code does not run under Whorl: under another server, or in a test.
    """
    farewell = FAREWELL.get(None)
    if farewell is not None:
        farewell.asked = True
    return SHUTDOWN.get(None) or Shutdown()
