"""Tell the application that its server shuts down, so that endless streams can end in time.

    stopping = whorl.shutdown()
    while not stopping.begun: ...       # or: await stopping.wait()

ASGI has no message for it: http.disconnect reports the client, and lifespan.shutdown comes after the last request. A
context variable carries it, which costs a request nothing and reaches requests, lifespan, and the tasks and threads
that they start.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

__all__ = ["CLOSE_OWNER", "SHUTDOWN", "CloseOwner", "Shutdown", "shutdown"]


class Shutdown:
    """The shutdown of one server.

    Attributes:
        begun: whether the shutdown has begun. It may be read from any thread.
    """

    __slots__ = ("_event", "begun")

    def __init__(self) -> None:
        self.begun: bool = False
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the shutdown begins. Only on the server's own loop."""
        await self._event.wait()

    def begin(self) -> None:
        """Begin the shutdown. Called by the server, once or more."""
        self.begun = True
        self._event.set()


SHUTDOWN: ContextVar[Shutdown] = ContextVar("whorl.shutdown")
"""The shutdown of the server that runs this code."""


class CloseOwner:
    """Which side closes a WebSocket when the server shuts down: the server, until the application claims it.

    It is not the session itself, because the session's task holds the context: that would be a reference cycle.

    Attributes:
        app_owns_close: whether the application closes.
    """

    __slots__ = ("app_owns_close",)

    def __init__(self) -> None:
        self.app_owns_close = False

    def claim(self) -> None:
        """Leave the close to the application."""
        self.app_owns_close = True


CLOSE_OWNER: ContextVar[CloseOwner] = ContextVar("whorl.shutdown.close_owner")
"""That of the WebSocket that this code serves."""


def shutdown(*, app_owns_close: bool = True) -> Shutdown:
    """Return the shutdown of the server that runs the calling code.

    Args:
        app_owns_close: whether the application closes the WebSocket that the caller serves when the server shuts down,
            with a code and a last message of its choice. If it has not done so within `timeout_graceful_shutdown`, it
            is cancelled, and the WebSocket closed with 1012. If False, the server closes it, unless an earlier call has
            claimed that.

    Returns:
        The shutdown. It never begins if the code does not run under Whorl, but under another server or in a test.
    """
    if app_owns_close:
        owner = CLOSE_OWNER.get(None)
        if owner is not None:
            owner.claim()
    return SHUTDOWN.get(None) or Shutdown()
