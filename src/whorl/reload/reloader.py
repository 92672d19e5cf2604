"""The parent of one server process that restarts when files change, for development.

It binds the sockets, which listen for as long as this process lives: while the server restarts, or its code is broken,
clients wait in the queue and are not refused. The next server starts only after the previous one has exited, so that
two of them never use one database. This process never imports the application.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import selectors
import signal
from collections.abc import Callable
from enum import Enum
from functools import partial
from time import monotonic

from whorl.config import Config
from whorl.observe import logs
from whorl.reload.file_filter import FileFilter
from whorl.reload.file_watcher import FileWatcher
from whorl.server.listen import ListenSocket, bind
from whorl.server.signals import ExitSignals
from whorl.server.systemd import Notifier
from whorl.supervisor.bootstrap import SocketSpec, WorkerSpec
from whorl.supervisor.messages import MessageType
from whorl.supervisor.program import Program
from whorl.supervisor.signals import RELOADER_ACTIONS, Action, SignalPipe
from whorl.supervisor.spawn import start_worker
from whorl.supervisor.worker import Worker, WorkerState
from whorl.version import __version__

__all__ = ["Reloader"]

GRACEFUL_SECONDS = 1.0
"""How long requests may take to finish before a restart: a browser's open stream would hold it up."""
KILL_SECONDS = 6.0
"""How long stopping may take: requests, cancelled requests, and the lifespan."""
STARTING_EXIT_SECONDS = 0.5
"""How long a server that is still starting may take to exit: it has no clients, and its code is outdated already."""
HEARTBEAT_SECONDS = 3600.0
"""There is no health check, because a developer's debugger blocks the loop."""

NAMES_SHOWN = 3


class Next(Enum):
    """What follows when there is no server."""

    START = "start one with the code that is on disk now"
    WAIT = "wait until files change: the code is broken"
    EXIT = "exit"


class Reloader:
    """Keeps one server, and replaces it when files change.

    Args:
        config: the settings.
        listen_sockets: the listening sockets, bound; the reloader closes them.
    """

    def __init__(self, config: Config, listen_sockets: list[ListenSocket]) -> None:
        configured_seconds = config.timeout_graceful_shutdown
        seconds = GRACEFUL_SECONDS if configured_seconds is None else min(configured_seconds, GRACEFUL_SECONDS)
        # No load balancer stands in front of a server in development.
        self.config = dataclasses.replace(config, timeout_graceful_shutdown=seconds, drain_delay=0.0)
        self.logger = logging.getLogger(logs.ERROR_LOGGER)
        self._listen_sockets = listen_sockets
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier()
        self._worker: Worker | None = None
        self._next = Next.START
        self._exit_signals = ExitSignals()

    @classmethod
    def create(cls, config: Config) -> Reloader:
        """Bind the sockets.

        Raises:
            WhorlError: the sockets cannot be bound, or logging cannot be configured.
        """
        logs.configure(config)
        return cls(config, bind(config))

    def run(self) -> int:
        """Serve until told to stop. Returns the exit status."""
        config = self.config
        roots = config.reload_dirs or (config.app_dir or ".",)
        file_filter = FileFilter(roots, config.reload_includes, config.reload_excludes)
        watcher = FileWatcher(file_filter, config.reload_delay, self.logger)
        with SignalPipe(RELOADER_ACTIONS) as signals, self._selector, watcher:
            for listen_socket in self._listen_sockets:
                listen_socket.handle.listen(config.backlog)
            self._selector.register(signals.sock, selectors.EVENT_READ)
            self._selector.register(watcher.sock, selectors.EVENT_READ, partial(self._on_change, watcher))
            self.logger.info("Whorl %s is watching %s %s", __version__, ", ".join(file_filter.roots), watcher.method)
            try:
                while self._next is not Next.EXIT or self._worker is not None:
                    if self._next is Next.START and self._worker is None:
                        self._start()
                    self._observe(signals)
            finally:
                if self._worker is not None:
                    self._worker.process.send_signal(signal.SIGKILL)
                for listen_socket in self._listen_sockets:
                    listen_socket.close()
        self.logger.info("Whorl has stopped")
        return 0

    def _observe(self, signals: SignalPipe) -> None:
        """Wait until something happens or is due, and handle it."""
        worker = self._worker
        timeout_seconds = None
        if worker is not None and worker.kill_at is not None:
            timeout_seconds = max(0.0, worker.kill_at - monotonic())
        for key, _ in self._selector.select(timeout_seconds):
            if key.data is not None:
                key.data()
        if worker is not None:
            if worker.process.poll() is not None:
                self._on_exit(worker)
            elif worker.kill_at is not None and monotonic() >= worker.kill_at:
                worker.kill(monotonic())
        for action in signals.read():
            ON_ACTION[action](self)

    def _start(self) -> None:
        """Start a server with the code that is on disk now."""
        self._next = Next.WAIT
        # The sockets outlive the server: it leaves what waits in their queues to the next one.
        specs = map(SocketSpec.of, self._listen_sockets)
        sockets = tuple(dataclasses.replace(spec, externally_owned=True) for spec in specs)
        spec = WorkerSpec(1, self.config, sockets, Program.current(), HEARTBEAT_SECONDS, KILL_SECONDS)
        try:
            self._worker = worker = start_worker(spec, os.getcwd(), monotonic())
        except OSError as error:
            self.logger.error("no process can be started (%s): waiting for a change", error.strerror or error)
            return
        worker.channel.watch(self._selector, partial(self._receive, worker))

    def _stop(self, worker: Worker) -> None:
        timeout_seconds = KILL_SECONDS if worker.is_serving else STARTING_EXIT_SECONDS
        worker.enter(WorkerState.STOPPING)
        worker.stop(MessageType.STOP, timeout_seconds=timeout_seconds, now=monotonic())

    def _on_change(self, watcher: FileWatcher) -> None:
        """Restart the server, because files have changed."""
        paths = watcher.read()
        if not paths or self._next is Next.EXIT:
            return
        names = sorted(os.path.relpath(path) for path in paths)
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        self.logger.info("changed: %s%s", ", ".join(names[:NAMES_SHOWN]), more)
        self._next = Next.START
        if self._worker is not None and self._worker.state is not WorkerState.STOPPING:
            self._notifier.reloading()
            self._stop(self._worker)

    def _receive(self, worker: Worker) -> None:
        """Handle the messages that the server has sent."""
        was_malformed = worker.channel.malformed is not None
        for kind, items in worker.channel.receive():
            if kind is MessageType.READY and worker.enter(WorkerState.SERVING):
                self._announce(worker, *items)
            elif kind is MessageType.REPLACE_ME and worker.is_serving:  # limit_max_requests
                self._next = Next.START
                self._stop(worker)
            elif kind is MessageType.START_FAILED:
                worker.fail_start("; ".join(items[0]))
        if worker.channel.malformed is not None and not was_malformed:
            self.logger.error("the server sent a malformed message: %s", worker.channel.malformed)

    def _announce(self, worker: Worker, name: str, loop: str, urls: list[str]) -> None:
        """Report that the server serves."""
        address = ", ".join(urls)
        self.logger.info(
            "Whorl %s serves %s on %s, %s, process %d", __version__, name, address, loop, worker.process.pid
        )
        self._notifier.ready(f"serving on {address}")

    def _on_exit(self, worker: Worker) -> None:
        """Note that the server has exited, and log it unless it was to."""
        self._receive(worker)
        worker.channel.close()
        self._worker = None
        if self._next is Next.WAIT:
            why = worker.start_error or f"the server {worker.how_it_ended}"
            self.logger.error("%s: waiting for a change", why)

    # Signals

    def _receive_exit_signal(self) -> None:
        """Stop the server gracefully the first time, and kill it the second time."""
        if not self._exit_signals.receive():
            return
        worker = self._worker
        if self._next is not Next.EXIT:
            self._next = Next.EXIT
            self._notifier.stopping()
            if worker is not None and worker.state is not WorkerState.STOPPING:
                self._stop(worker)
        elif worker is not None:
            worker.process.send_signal(signal.SIGKILL)

    def _reopen_logs(self) -> None:
        logs.reopen()
        if self._worker is not None:
            self._worker.channel.send(MessageType.REOPEN_LOGS)

    def _refuse_handover(self) -> None:
        self.logger.warning("SIGUSR2 is ignored: only a server with workers starts a new one in its place")


ON_ACTION: dict[Action, Callable[[Reloader], None]] = {
    Action.STOP: Reloader._receive_exit_signal,
    Action.REOPEN_LOGS: Reloader._reopen_logs,
    Action.HAND_OVER: Reloader._refuse_handover,
}
