"""Who keeps a server: whom it asks for its sockets, and whom it tells how it fares.

A server that is a process by itself, or that lives in somebody's program, keeps itself: that is `Keeper`. A worker is
kept by its parent (`whorl.supervisor.agent`). Called by `server`; it knows nothing of processes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from whorl.config import Config
from whorl.errors import ConfigError
from whorl.platform import HERE
from whorl.server.listen import Bound, bind
from whorl.version import __version__

if TYPE_CHECKING:
    from whorl.server.server import Server

__all__ = ["EmbeddedKeeper", "Keeper"]


class Keeper:
    """Of a server that keeps itself.

    Attributes:
        is_worker: whether the process does nothing but serve, for a parent.
        is_replaced: whether another process accepts in its place, so that the drain need not be delayed.
        signals: the names of the signals that ask the process to leave.
        tells_manager: whether the process is the one that the service manager hears (`notify`).
        idle_seconds: how long a connection that waits for its next request is kept while the server leaves. Who sends
            one meanwhile is told to connect anew, which is kinder than closing under it; but it takes so long to leave.
    """

    is_worker: bool = False
    is_replaced: bool = False
    signals: tuple[str, ...] = HERE.leaving_signals
    tells_manager: bool = True
    idle_seconds: float = 0.0

    def adopt(self, server: Server) -> None:
        """There is a server, which has done nothing yet."""

    def configured(self, server: Server) -> None:
        """Logging is configured, and nothing else has been done. Raises ConfigError where the server cannot do what the
        configuration asks for."""

    def bind(self, config: Config) -> list[Bound]:
        """The sockets to listen on. Raises StartError where they cannot be had."""
        return bind(config)

    def started(self, server: Server, name: str, loop: str) -> None:
        """Clients are being accepted.

        Args:
            server: which.
            name: what the application is called.
            loop: what the loop is called, and why it was taken.
        """
        place = ", ".join(server.urls)
        server.logger.info("Whorl %s serves %s on %s, %s, process %d", __version__, name, place, loop, os.getpid())

    def draining(self, server: Server) -> None:
        """It accepts no more."""

    def limit_reached(self, server: Server) -> None:
        """As many requests as were allowed have begun."""
        server.logger.info("limit_max_requests is reached: leaving")
        server.should_exit = True

    def stopped(self, server: Server) -> None:
        """Everything is closed, and the lifespan has ended: nothing more is said."""
        server.logger.info("Whorl has stopped")


class EmbeddedKeeper(Keeper):
    """Of a server that a program made itself, as `Server(config)`: there is no parent process."""

    def configured(self, server: Server) -> None:
        config = server.config
        if config.reload or config.workers != 1:
            asked = "reload" if config.reload else f"workers={config.workers}"
            raise ConfigError(
                f"{asked} needs a parent process, and a Server is one process: call whorl.run(app, …) in its place, or "
                "leave it out"
            )
        for note in config.notes:
            server.logger.info("%s", note)
