"""Workers that are forked (`--preload`): the fork servers, one for each generation of the code.

A restart starts a new fork server and keeps the former one until a worker of the new one serves; if none does, the
former one goes on. If a fork server is killed, it is replaced, and then its workers, each when its replacement is
ready.
"""

from __future__ import annotations

import logging
import selectors
import signal
import subprocess
from collections.abc import Iterator
from functools import partial

from whorl.config import Config
from whorl.errors import StartError
from whorl.observe.logs import ERROR_LOGGER
from whorl.server.listen import ListenSocket
from whorl.supervisor.bootstrap import WorkerSpec
from whorl.supervisor.preload.client import ForkedProcess, ForkServer
from whorl.supervisor.spawn import WorkerSpawner
from whorl.supervisor.subreaper import set_subreaper
from whorl.supervisor.worker import Worker

__all__ = ["ForkServerSpawner"]


class ForkServerSpawner(WorkerSpawner):
    """Forks workers.

    Args:
        config: the settings.
        listen_sockets: the listening sockets, bound.
        selector: watches the channels of the fork servers; the data of a key is what to call.

    Raises:
        StartError: the kernel has no subreapers.
    """

    def __init__(self, config: Config, listen_sockets: list[ListenSocket], selector: selectors.BaseSelector) -> None:
        super().__init__(config, listen_sockets)
        try:
            set_subreaper()
        except OSError as error:
            raise StartError(f"preload cannot work here ({error.strerror or error}): leave it out") from error
        self._selector = selector
        self._logger = logging.getLogger(ERROR_LOGGER)
        self._current: ForkServer | None = None
        self._previous: ForkServer | None = None
        self._stopping: list[ForkServer] = []

    @property
    def has_pending(self) -> bool:
        return any(server.has_pending for server in self._servers())

    @property
    def processes(self) -> Iterator[subprocess.Popen[bytes]]:
        return (server.process for server in self._servers())

    def _servers(self) -> Iterator[ForkServer]:
        yield from (server for server in (self._current, self._previous) if server is not None)
        yield from self._stopping

    def _start(self, spec: WorkerSpec, now: float) -> Worker:
        if self._current is None:
            self._current = ForkServer.start(self._spec(0), self.directory)
            self._current.channel.watch(self._selector, partial(self._receive, self._current))
        return self._current.fork(spec, now)

    def _receive(self, server: ForkServer) -> None:
        if not server.receive():
            if server.channel.malformed is not None:
                self._logger.error("%s sent a malformed message: %s", server, server.channel.malformed)
            self._kill(server)

    def _kill(self, server: ForkServer) -> None:
        """End a fork server by force: it has no clients, and the exit handlers of the application belong to the
        workers."""
        server.channel.close()
        server.process.send_signal(signal.SIGKILL)

    def _stop(self, server: ForkServer | None) -> None:
        if server is not None:
            self._stopping.append(server)
            server.process.send_signal(signal.SIGKILL)

    def new_generation(self) -> None:
        if self._previous is None:
            self._previous, self._current = self._current, None
        else:  # the current one is not committed, and may have read code that has changed since
            self._stop(self._current)
            self._current = None

    def commit(self, worker: Worker) -> None:
        if isinstance(worker.process, ForkedProcess) and worker.process.server is self._current:
            self._stop(self._previous)
            self._previous = None

    def roll_back(self) -> None:
        if self._previous is not None:
            self._stop(self._current)
            self._current, self._previous = self._previous, None

    def reap(self) -> list[Worker]:
        orphaned: list[Worker] = []
        for server in [server for server in self._servers() if server.poll() is not None]:
            server.channel.close()
            if server in self._stopping:
                self._stopping.remove(server)
                continue
            if server is self._current:
                self._current = None
            else:
                self._previous = None
            if server.is_ready:
                self._logger.error("%s %s: its workers are replaced", server, server.how_it_ended)
                orphaned += server.workers
        return orphaned

    def close(self) -> None:
        super().close()
        self._stop(self._current)
        self._stop(self._previous)
        self._current = self._previous = None
