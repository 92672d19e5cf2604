"""A worker for Gunicorn: `gunicorn -k whorl.workers.WhorlWorker main:app`.

Gunicorn is the parent: it binds, forks, watches, restarts, and writes the logs; each of its workers runs one `Server`.
What Gunicorn has a setting for is taken from there (`options_from`), the rest from `WHORL_*` variables and
`whorl.toml`. Gunicorn imports this module; nobody else does, because it needs the package gunicorn.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gunicorn.workers.base import Worker

from whorl.config import Config
from whorl.config.sources import assemble
from whorl.errors import ServeError, WhorlError
from whorl.loops import LoopInfo, resolve
from whorl.observe.logs import ACCESS_LOGGER, ERROR_LOGGER
from whorl.server.run import end_tasks, leave_process
from whorl.server.server import Server

__all__ = ["WhorlWorker", "options_from"]

# Gunicorn's arbiter stops for good, in place of trying for ever, when a worker ends with this.
BOOT_ERROR_STATUS = 3

# Of graceful_timeout, after which Gunicorn kills: the rest is for cancelled requests and the lifespan to end.
GRACEFUL_SHARE = 0.75

NOTIFY_SECONDS = 1.0

# Gunicorn's default is for workers that a waiting client keeps from serving others. Ours suits a balancer in front.
GUNICORN_KEEPALIVE_SECONDS = 2

TLS_SETTINGS = {  # ours: Gunicorn's
    "ssl_certfile": "certfile",
    "ssl_keyfile": "keyfile",
    "ssl_ca_certs": "ca_certs",
    "ssl_cert_reqs": "cert_reqs",
    "ssl_ciphers": "ciphers",
}


class WhorlWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process of Gunicorn's, serving with Whorl."""

    _server: Server | None = None

    def run(self) -> None:
        """Serve until Gunicorn says otherwise."""
        try:
            config = self.configure()
            made = resolve(config.loop).make()
            self._server = server = Server(config)
            server.should_exit = not self.alive  # a signal may have come while the application was imported
            with made.runner() as runner:
                runner.run(self._serve(server, made))
                if not runner.run(end_tasks()) or server.force_exit:
                    leave_process()
        except WhorlError as error:
            self._cannot_boot(error)

    async def _serve(self, server: Server, made: LoopInfo) -> None:
        self._beat(server, asyncio.get_running_loop())
        await server.serve(made)

    def _beat(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        """Tell Gunicorn that the loop turns: it ends a worker that has not said so for `timeout`."""
        self.notify()
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            server.should_exit = True
        loop.call_later(min(NOTIFY_SECONDS, self.timeout / 2) or NOTIFY_SECONDS, self._beat, server, loop)

    def configure(self) -> Config:
        """What Gunicorn and the environment ask for. Gunicorn gets the log, but where `log_config` says otherwise.

        Raises:
            ConfigError: something is wrong with it.
        """
        written = options_from(self.cfg, [listener.fileno() for listener in self.sockets])
        if self.cfg.max_requests > 0:
            written["limit_max_requests"] = self.max_requests  # with Gunicorn's jitter
        config = assemble({"app": self.wsgi, **written}, os.environ, Path.cwd()).config
        if config.log_config == {}:
            take_handlers(ERROR_LOGGER, self.log.error_log)
            take_handlers(ACCESS_LOGGER, self.log.access_log)
        return config

    def _cannot_boot(self, error: WhorlError) -> NoReturn:
        for problem in getattr(error, "problems", (str(error),)):
            self.log.error("whorl: %s", problem)
        sys.exit(1 if isinstance(error, ServeError) else BOOT_ERROR_STATUS)

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: finish what is under way, and leave."""
        self.alive = False
        if self._server is not None:
            self._server.should_exit = True

    def handle_quit(self, number: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: leave at once. The second one ends a worker whose loop is blocked, too."""
        if self._server is None or self._server.force_exit:
            super().handle_quit(number, frame)
        else:
            self.alive = False
            self.cfg.worker_int(self)
            self._server.should_exit = True
            self._server.force_exit = True

    def handle_abort(self, number: int, frame: FrameType | None) -> None:
        """SIGABRT: the loop has not turned for `timeout`. Say what holds it up, and end: an exception might be taken
        for the application's own, and there are loops that go on after SystemExit."""
        faulthandler.dump_traceback()
        self.cfg.worker_abort(self)
        os._exit(1)


def options_from(cfg: Any, descriptors: list[int]) -> dict[str, object]:
    """Gunicorn's settings as Whorl's.

    Args:
        cfg: Gunicorn's configuration.
        descriptors: of the sockets that it listens on.
    """
    options: dict[str, object] = {
        "bind": [f"fd://{descriptor}" for descriptor in descriptors],
        "backlog": cfg.backlog,
        "workers": 1,  # Gunicorn is the parent, whatever WEB_CONCURRENCY says
        "timeout_graceful_shutdown": cfg.graceful_timeout * GRACEFUL_SHARE,
        "access_log": cfg.accesslog is not None,
        "log_config": {},
    }
    if cfg.keepalive != GUNICORN_KEEPALIVE_SECONDS:
        options["timeout_keep_alive"] = float(cfg.keepalive)
    for ours, theirs in TLS_SETTINGS.items():
        value = getattr(cfg, theirs)
        if value and cfg.is_ssl:
            options[ours] = value
    return options


def take_handlers(name: str, of: logging.Logger) -> None:
    """Have a logger of ours write where one of Gunicorn's does."""
    logger = logging.getLogger(name)
    logger.handlers = of.handlers
    logger.setLevel(of.level)
    logger.propagate = False
