"""Workers that are forked (`--preload`): which nursery they come from, when there is a new one, and when one goes.

There is one for each generation of the code. A restart opens a new one, and the former one is kept until a worker of
the new one serves: if none ever does, the former one goes on. One that somebody kills is replaced, and so are its
workers, each when its successor is ready. Called by `supervisor` as its source of workers.
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
from whorl.server.listen import Bound
from whorl.supervisor.letter import Letter
from whorl.supervisor.preload.client import Nursery, Ward
from whorl.supervisor.spawn import Source
from whorl.supervisor.subreaper import adopt_orphans
from whorl.supervisor.worker import Worker

__all__ = ["Nurseries"]


class Nurseries(Source):
    """Forks workers.

    Args:
        config: what the user asked for.
        bounds: the sockets, bound.
        selector: where the channels of nurseries are waited for; what belongs to them there is a function to call.

    Raises:
        StartError: the kernel does not give away other processes' children.
    """

    def __init__(self, config: Config, bounds: list[Bound], selector: selectors.BaseSelector) -> None:
        super().__init__(config, bounds)
        try:
            adopt_orphans()
        except OSError as error:
            raise StartError(f"preload cannot work here ({error.strerror or error}): leave it out") from error
        self._selector = selector
        self._current: Nursery | None = None
        self._former: Nursery | None = None
        self._dismissed: list[Nursery] = []

    @property
    def has_unborn(self) -> bool:
        return any(nursery.has_unborn for nursery in self._all())

    @property
    def processes(self) -> Iterator[subprocess.Popen[bytes]]:
        return (nursery.process for nursery in self._all())

    def _all(self) -> Iterator[Nursery]:
        yield from (nursery for nursery in (self._current, self._former) if nursery is not None)
        yield from self._dismissed

    def _start(self, letter: Letter, now: float) -> Worker:
        if self._current is None:
            self._current = Nursery.open(self._letter(0), self.directory)
            self._selector.register(
                self._current.channel.handle, selectors.EVENT_READ, partial(self._hear, self._current)
            )
        return self._current.bear(letter, now)

    def _hear(self, nursery: Nursery) -> None:
        if nursery.hear():
            wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if nursery.channel.is_full else 0)
            self._selector.modify(nursery.channel.handle, wants, partial(self._hear, nursery))
        else:
            if nursery.channel.malformed is not None:
                words = (nursery, nursery.channel.malformed)
                logging.getLogger(ERROR_LOGGER).error("%s sent a malformed message: %s", *words)
            self._hang_up(nursery)

    def _hang_up(self, nursery: Nursery) -> None:
        """It says no more, because it ends."""
        if nursery.channel.handle.fileno() >= 0:
            self._selector.unregister(nursery.channel.handle)
            nursery.channel.close()
            self._end(nursery)

    def _end(self, nursery: Nursery) -> None:
        """By force: it has no clients, and what was registered at exit is the workers' to do."""
        nursery.process.send_signal(signal.SIGKILL)

    def _dismiss(self, nursery: Nursery | None) -> None:
        if nursery is not None:
            self._dismissed.append(nursery)
            self._end(nursery)

    def renew(self) -> None:
        if self._former is None:
            self._former, self._current = self._current, None
        else:  # the one that is on trial may have read the code of a moment ago
            self._dismiss(self._current)
            self._current = None

    def ready(self, worker: Worker) -> None:
        if isinstance(worker.process, Ward) and worker.process.nursery is self._current:
            self._dismiss(self._former)
            self._former = None

    def revert(self) -> None:
        if self._former is not None:
            self._dismiss(self._current)
            self._current, self._former = self._former, None

    def reap(self) -> list[Worker]:
        lost: list[Worker] = []
        for nursery in [nursery for nursery in self._all() if nursery.poll() is not None]:
            self._hang_up(nursery)
            if nursery in self._dismissed:
                self._dismissed.remove(nursery)
                continue
            if nursery is self._current:
                self._current = None
            else:
                self._former = None
            if nursery.is_ready:
                words = (nursery, nursery.how_it_ended())
                logging.getLogger(ERROR_LOGGER).error("%s %s: its workers are replaced", *words)
                lost += nursery.wards
        return lost

    def close(self) -> None:
        super().close()
        self._dismiss(self._current)
        self._dismiss(self._former)
        self._current = self._former = None
