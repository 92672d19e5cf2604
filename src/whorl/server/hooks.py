"""What differs between a server that is a process by itself, one in another program, and a worker: where its listening
sockets come from, and what it reports to whom.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from typing import Protocol

from whorl.asgi.shutdown import Shutdown
from whorl.config import Config
from whorl.errors import ConfigError
from whorl.loops import LoopInfo
from whorl.platform import HERE
from whorl.server.listen import ListenSocket, bind
from whorl.version import __version__

__all__ = ["EmbeddedHooks", "HookedServer", "ServerHooks"]


class HookedServer(Protocol):
    """What hooks, and the process around it, ask of a `Server`."""

    config: Config
    exit_status: int
    logger: logging.Logger
    ready: Future[None]
    shutdown: Shutdown
    urls: list[str]

    @property
    def requests(self) -> int: ...
    @property
    def should_exit(self) -> bool: ...
    @should_exit.setter
    def should_exit(self, value: bool) -> None: ...
    @property
    def force_exit(self) -> bool: ...
    @force_exit.setter
    def force_exit(self, value: bool) -> None: ...

    def handle_signal(self, name: str) -> bool: ...
    def let_go(self) -> None: ...
    def reload_files(self) -> bool: ...
    def reopen_logs(self) -> None: ...
    async def serve(self, made: LoopInfo | None = None) -> None: ...


class ServerHooks:
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

    def adopt(self, server: HookedServer) -> None:
        """There is a server, which has done nothing yet."""

    def configured(self, server: HookedServer) -> None:
        """Logging is configured, and nothing else has been done. Raises ConfigError where the server cannot do what the
        configuration asks for."""

    def bind(self, config: Config) -> list[ListenSocket]:
        """The sockets to listen on. Raises StartError where they cannot be had."""
        return bind(config)

    def started(self, server: HookedServer, name: str, loop: str) -> None:
        """Clients are being accepted.

        Args:
            server: which.
            name: what the application is called.
            loop: what the loop is called, and why it was taken.
        """
        place = ", ".join(server.urls)
        server.logger.info("Whorl %s serves %s on %s, %s, process %d", __version__, name, place, loop, os.getpid())

    def draining(self, server: HookedServer) -> None:
        """It accepts no more."""

    def limit_reached(self, server: HookedServer) -> None:
        """As many requests as were allowed have begun."""
        server.logger.info("limit_max_requests is reached: leaving")
        server.should_exit = True

    def stopped(self, server: HookedServer) -> None:
        """Everything is closed, and the lifespan has ended: nothing more is said."""
        server.logger.info("Whorl has stopped")


class EmbeddedHooks(ServerHooks):
    """Of a server that a program made itself, as `Server(config)`: there is no parent process."""

    def configured(self, server: HookedServer) -> None:
        config = server.config
        if config.reload or config.workers != 1:
            asked = "reload" if config.reload else f"workers={config.workers}"
            raise ConfigError(
                f"{asked} needs a parent process, and a Server is one process: call whorl.run(app, …) in its place, or "
                "leave it out"
            )
        for note in config.notes:
            server.logger.info("%s", note)
