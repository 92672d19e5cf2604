"""The parent of one server that starts again when files change.

The sockets are bound here, once, and listen for as long as this process lives: while there is no server, because the
next one starts or because its code is broken, clients wait in the queue and are never refused. One thread, one
selector: signals, changed files, and what the server's process says. A server is told to leave, and only when it has
left does the next one start, so that there are never two of them at one database. The application is never imported
here.

Called by `whorl.entry`. It starts processes as `whorl.supervisor` does.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import selectors
import signal
from time import monotonic

from whorl.config import Config
from whorl.observe import logs
from whorl.reload.file_filter import Wanted
from whorl.reload.file_watcher import Watching
from whorl.server.listen import Bound, bind
from whorl.server.signals import ExitSignals
from whorl.server.systemd import Notifier
from whorl.supervisor.letter import Letter, Place
from whorl.supervisor.messages import Word
from whorl.supervisor.program import Program
from whorl.supervisor.signals import Wake
from whorl.supervisor.worker import Phase, Worker, start
from whorl.version import __version__

__all__ = ["Reloader"]

EXIT_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = (*EXIT_SIGNALS, "SIGUSR1", "SIGUSR2", "SIGCHLD")

GRACEFUL_SECONDS = 1.0
"""How long requests may take to finish when the server starts again: a browser's open stream would hold it up."""
KILL_SECONDS = 6.0
"""How long all of leaving may take: requests, those that are cancelled, and the lifespan."""
STARTING_SECONDS = 0.5
"""How long a server that has not started yet may take to leave: it has no clients, and the code is old already."""
BEAT_SECONDS = 3600.0
"""Nobody here asks whether its loop turns: in a debugger it does not."""

NAMES_SHOWN = 3


class Reloader:
    """Keeps one server, and replaces it when files change.

    Args:
        config: what the user asked for.
        bounds: the sockets, bound; closed at the end.
    """

    def __init__(self, config: Config, bounds: list[Bound]) -> None:
        bound_seconds = config.timeout_graceful_shutdown
        shorter = GRACEFUL_SECONDS if bound_seconds is None else min(bound_seconds, GRACEFUL_SECONDS)
        # No load balancer stands in front of a server in development.
        self.config = dataclasses.replace(config, timeout_graceful_shutdown=shorter, drain_delay=0.0)
        self.logger = logging.getLogger(logs.ERROR_LOGGER)
        self._bounds = bounds
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier()
        self._worker: Worker | None = None
        self._is_due = True
        self._exit_signals = ExitSignals()
        self._ends = False

    @classmethod
    def of(cls, config: Config) -> Reloader:
        """Bind, and be ready to start.

        Raises:
            WhorlError: the sockets cannot be had, or logging cannot be configured.
        """
        logs.configure(config)
        return cls(config, bind(config))

    def run(self) -> int:
        """Serve until told to stop. Returns the exit status."""
        config = self.config
        wanted = Wanted(config.reload_dirs or (config.app_dir or ".",), config.reload_includes, config.reload_excludes)
        watching = Watching(wanted, config.reload_delay, self.logger)
        with Wake(SIGNALS) as wake, self._selector, watching:
            for bound in self._bounds:
                bound.handle.listen(config.backlog)
            self._selector.register(wake.handle, selectors.EVENT_READ)
            self._selector.register(watching.handle, selectors.EVENT_READ)
            self.logger.info("Whorl %s is watching %s %s", __version__, ", ".join(wanted.roots), watching.means)
            try:
                while not self._ends or self._worker is not None:
                    self._step(wake, watching)
            finally:
                if self._worker is not None:
                    self._worker.send_signal(signal.SIGKILL)
                for bound in self._bounds:
                    bound.close()
        self.logger.info("Whorl has stopped")
        return 0

    def _step(self, wake: Wake, watching: Watching) -> None:
        """Do what is to be done, wait for something to happen, and take note of it."""
        if self._worker is None and self._is_due:
            self._start()
        worker = self._worker
        timeout_seconds = None
        if worker is not None and worker.kill_at is not None:
            timeout_seconds = max(0.0, worker.kill_at - monotonic())
        for key, _ in self._selector.select(timeout_seconds):
            if key.fileobj is watching.handle:
                self._files_changed(watching.taken())
            elif key.data is not None:
                self._hear(key.data)
        if worker is not None:
            if worker.process.poll() is not None:
                self._ended(worker)
            elif worker.kill_at is not None and monotonic() >= worker.kill_at:
                worker.kill_at = None
                worker.send_signal(signal.SIGKILL)
        for name in wake.taken():
            if name in EXIT_SIGNALS and self._exit_signals.receive():
                self._end()
            elif name == "SIGUSR1":
                self._reopen_logs()
            elif name == "SIGUSR2":
                self.logger.warning("SIGUSR2 is ignored: only a server with workers starts a new one in its place")

    def _start(self) -> None:
        """Start a server with the code that is there now."""
        self._is_due = False
        # The sockets outlive the server: it leaves what waits in their queues to the next one.
        places = tuple(dataclasses.replace(Place.of(bound), outlives=True) for bound in self._bounds)
        letter = Letter(1, self.config, places, Program.here(), BEAT_SECONDS, KILL_SECONDS)
        try:
            self._worker = worker = start(letter, os.getcwd(), monotonic())
        except OSError as error:
            self.logger.error("no process can be started (%s): waiting for a change", error.strerror or error)
            return
        self._selector.register(worker.channel.handle, selectors.EVENT_READ, worker)

    def _files_changed(self, paths: set[str]) -> None:
        if not paths or self._ends:
            return
        names = sorted(os.path.relpath(path) for path in paths)
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        self.logger.info("changed: %s%s", ", ".join(names[:NAMES_SHOWN]), more)
        self._is_due = True
        if self._worker is not None and self._worker.phase is not Phase.LEAVING:
            self._notifier.reloading()
            self._stop(self._worker)

    def _stop(self, worker: Worker) -> None:
        """Have the server leave, soon."""
        worker.kill_at = monotonic() + (KILL_SECONDS if worker.phase is Phase.SERVING else STARTING_SECONDS)
        worker.phase = Phase.LEAVING
        worker.channel.say(Word.STOP)

    def _hear(self, worker: Worker) -> None:
        was_sound = worker.channel.malformed is None
        heard, worker.is_connected = worker.channel.hear()
        for word, items in heard:
            if word is Word.READY and worker.phase is Phase.STARTING:
                worker.phase = Phase.SERVING
                self._say_serves(worker, *items)
            elif word is Word.SPENT:  # limit_max_requests
                self._is_due = True
                self._stop(worker)
            elif word is Word.LAST_WORDS:
                worker.last_words = "; ".join(items[0])
        if was_sound and worker.channel.malformed is not None:
            self.logger.error("the server sent a malformed message: %s", worker.channel.malformed)
        if worker.is_connected:
            worker.channel.flush()
            wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.is_full else 0)
            self._selector.modify(worker.channel.handle, wants, worker)
        else:
            self._selector.unregister(worker.channel.handle)

    def _say_serves(self, worker: Worker, name: str, loop: str, urls: list[str]) -> None:
        place = ", ".join(urls)
        words = (__version__, name, place, loop, worker.process.pid)
        self.logger.info("Whorl %s serves %s on %s, %s, process %d", *words)
        self._notifier.ready(f"serving on {place}")

    def _ended(self, worker: Worker) -> None:
        """The server has ended: because it was told to, or because it is broken."""
        if worker.is_connected:
            self._hear(worker)
        if worker.is_connected:
            self._selector.unregister(worker.channel.handle)
        worker.channel.close()
        self._worker = None
        if not self._is_due and not self._ends:
            why = worker.last_words or f"the server {worker.how_it_ended()}"
            self.logger.error("%s: waiting for a change", why)

    def _reopen_logs(self) -> None:
        logs.reopen()
        if self._worker is not None:
            self._worker.channel.say(Word.REOPEN)

    def _end(self) -> None:
        """The first time: the server leaves. The second time: at once."""
        worker = self._worker
        if not self._ends:
            self._ends = True
            self._notifier.stopping()
            if worker is not None and worker.phase is not Phase.LEAVING:
                self._stop(worker)
        elif worker is not None:
            worker.send_signal(signal.SIGKILL)
