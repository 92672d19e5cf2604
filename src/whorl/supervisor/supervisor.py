"""The parent: it binds the sockets, starts workers, watches them, and replaces them.

One thread, one selector. It waits for signals and for what workers say, and for nothing else: it never waits for a
worker to do something, so it always hears the next signal. After whatever happened, `_tend` compares what is with what
should be and takes the next steps; it can be called at any time and does nothing when nothing is to be done.

Whoever is replaced goes on serving until the successor is ready ("ready before retire"), one at a time. The
application is never imported here.
"""

from __future__ import annotations

import logging
import os
import random
import selectors
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf
from time import monotonic

from whorl.config import Config
from whorl.errors import SHUTDOWN_FAILED_STATUS, StartError
from whorl.observe import logs
from whorl.server.listen import Bound, bind
from whorl.server.signals import ExitSignals
from whorl.supervisor.cpu_quota import available_cores
from whorl.supervisor.frozen import hint
from whorl.supervisor.handover import Handover, Inheritance
from whorl.supervisor.messages import Word
from whorl.supervisor.preload.spawner import Nurseries
from whorl.supervisor.reuse_port import allow_siblings
from whorl.supervisor.service_manager import ServiceManager
from whorl.supervisor.signals import Wake
from whorl.supervisor.slot import Post
from whorl.supervisor.spawn import Source
from whorl.supervisor.subreaper import reap_strangers
from whorl.supervisor.worker import Phase, Worker
from whorl.version import __version__

__all__ = ["Supervisor"]

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGCHLD")

STARTING_SECONDS = 5.0
"""How long a worker that has not started yet may take to leave: it has no clients."""
NOW_SECONDS = 2.0
"""How long a worker may take to leave at once."""
STACK_SECONDS = 1.0
"""How long a worker that is held up may take to say by what."""
PACE_SECONDS = 30.0
"""After so long the next worker is replaced, even if the one before still drains: a stream may last for ever."""
LATE_SECONDS = 2.0
"""If we ourselves were so late, the machine was stopped or overloaded, and silence proves nothing."""
LIFETIME_JITTER = 0.1

RESTART = "a restart was asked for"


@dataclass(slots=True)
class Leaving:
    """A worker that was told to leave, and when the next one may be replaced although it has not left."""

    worker: Worker
    blocks_until: float


class Supervisor:
    """Keeps as many workers as were asked for.

    Args:
        config: what the user asked for.
        bounds: the sockets, bound; closed at the end.
        count: how many workers.
        inheritance: what a server before this one has left to it, None if there was none.
    """

    def __init__(self, config: Config, bounds: list[Bound], count: int, inheritance: Inheritance | None = None) -> None:
        self.config = config
        self.logger = logging.getLogger(logs.ERROR_LOGGER)
        self._bounds = bounds
        self._inheritance = inheritance
        self._handover: Handover | None = None
        self._failed_handovers: list[Handover] = []
        self._posts = [Post(number) for number in range(1, count + 1)]
        self._leaving: list[Leaving] = []
        self._selector = selectors.DefaultSelector()
        self._source = Nurseries(config, bounds, self._selector) if config.preload else Source(config, bounds)
        self._patience_seconds = self._source.patience_seconds
        # Descendants that lose their parents become ours: always in a container, where we are process 1.
        self._adopts = config.preload or (os.getpid() == 1 and hasattr(os, "waitid"))
        self._exit_signals = ExitSignals()
        self._ends = False
        self._hurries = False
        self._has_started = False
        self._said_started = False
        self._failure: str | None = None
        self._exit_status = 0
        self._manager = ServiceManager()

    @classmethod
    def of(cls, config: Config, inheritance: Inheritance | None = None) -> Supervisor:
        """Bind, or take what was inherited, and be ready to start.

        Raises:
            WhorlError: the sockets cannot be had, or logging cannot be configured.
        """
        logs.configure(config)
        bounds = bind(config) if inheritance is None else inheritance.bind(config)
        if config.reuse_port:
            allow_siblings(bounds)
        return cls(config, bounds, available_cores() if config.workers == "auto" else config.workers, inheritance)

    # The loop

    def run(self) -> int:
        """Serve until told to stop, and until all workers have left.

        Returns:
            The exit status.

        Raises:
            StartError: the first worker could not start.
        """
        with Wake(SIGNALS) as wake, self._selector:
            self._selector.register(wake.handle, selectors.EVENT_READ)
            try:
                while self._tend(monotonic()):
                    self._wait(wake)
            finally:
                for worker in self._all_workers():  # none is left, but after a mistake of ours
                    worker.send_signal(signal.SIGKILL)
                self._close_sockets()
        if self._failure is not None:
            raise StartError(self._failure)
        self.logger.info("Whorl has stopped")
        return self._exit_status

    def _wait(self, wake: Wake) -> None:
        """Wait for something to happen, and take note of it."""
        now = monotonic()
        timeout_seconds = max(0.0, self._next_time(now) - now)
        ready = self._selector.select(min(timeout_seconds, 3600.0))
        # First the signals: one that the whole process group got explains why the workers leave.
        for name in wake.taken():
            if name in ON_SIGNAL:
                ON_SIGNAL[name](self)
        for key, _ in ready:
            if key.data is not None and key.fileobj in self._selector.get_map():
                key.data()
        self._forgive_silence(now + timeout_seconds)
        self._reap()

    def _next_time(self, now: float) -> float:
        """When something is due although nothing happens."""
        times = [now + 3600.0, self._manager.due]
        healthcheck = self.config.timeout_worker_healthcheck
        for worker in self._all_workers():
            times += [time for time in (worker.kill_at, worker.expires) if time is not None]
            if healthcheck is not None and worker.phase is not Phase.STARTING and not worker.asked_stack:
                times.append(worker.heard + healthcheck)
        times += [post.backoff.until for post in self._posts if post.backoff.until > now]
        times += [leaving.blocks_until for leaving in self._leaving if leaving.blocks_until > now]
        return min(times)

    def _all_workers(self) -> Iterator[Worker]:
        for post in self._posts:
            yield from post.workers
        for leaving in self._leaving:
            yield leaving.worker

    def _post_of(self, worker: Worker) -> Post | None:
        return next((post for post in self._posts if worker in post.workers), None)

    # What happened

    def _hear(self, worker: Worker) -> None:
        was_sound = worker.channel.malformed is None
        heard, worker.is_connected = worker.channel.hear()
        for word, items in heard:
            worker.heard = monotonic()
            ON_WORD[word](self, worker, *items)
        if was_sound and worker.channel.malformed is not None:
            self._hear_malformed(worker)
        worker.channel.flush()
        if worker.is_connected:
            wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.is_full else 0)
            self._selector.modify(worker.channel.handle, wants, partial(self._hear, worker))
        else:
            self._selector.unregister(worker.channel.handle)
            # It is about to end, which takes no time. If it does not, nobody could tell whether it lives.
            worker.kill_at = min(worker.kill_at or inf, monotonic() + STARTING_SECONDS)

    def _hear_malformed(self, worker: Worker) -> None:
        """Have the worker replaced: what it wanted to say may be lost."""
        self.logger.error("%s sent a malformed message: %s", worker, worker.channel.malformed)
        if worker.phase is Phase.STARTING:  # this may have been that it is ready
            worker.last_words = worker.last_words or "it sent a malformed message"
            worker.send_signal(signal.SIGKILL)
            return
        self._mark(worker, "its messages can no longer be trusted")
        post = self._post_of(worker)
        if post is not None:
            post.backoff.failed(worker.heard)  # the next worker may do the same

    def _hear_ready(self, worker: Worker, name: str, loop: str, urls: list[str]) -> None:
        if worker.phase is not Phase.STARTING:
            return
        worker.phase = Phase.SERVING
        self._source.ready(worker)
        lifetime_seconds = self.config.limit_worker_lifetime
        if lifetime_seconds is not None:
            worker.expires = worker.heard + lifetime_seconds * random.uniform(1.0, 1.0 + LIFETIME_JITTER)
        post = self._post_of(worker)
        if post is None:
            return
        if worker is post.successor:
            old, post.worker, post.successor = post.worker, worker, None
            self.logger.info("%s is ready", worker)
            if old is not None:
                self._retire(old)
        elif self._said_started:
            self.logger.info("%s is ready", worker)
        self._has_started = True
        if not self._said_started and all(post.is_served for post in self._posts):
            self._said_started = True
            self._say_started(name, loop, ", ".join(urls))

    def _say_started(self, name: str, loop: str, place: str) -> None:
        count = len(self._posts)
        workers = f"{count} {'preloaded ' if self.config.preload else ''}worker{'s'[: count > 1]}"
        words = (__version__, name, place, loop, workers, os.getpid())
        self.logger.info("Whorl %s serves %s on %s, %s, %s, process %d", *words)
        if self._inheritance is not None:
            self._inheritance.take_over()
        self._manager.serves(place, monotonic())

    def _hear_alive(self, worker: Worker, requests: int, memory_bytes: int) -> None:
        worker.requests = requests
        worker.is_debugged = False
        limit_bytes = self.config.limit_worker_memory
        post = self._post_of(worker)
        if limit_bytes is None or memory_bytes <= limit_bytes or post is None or worker.due is not None:
            return
        self._mark(worker, f"it holds {memory_bytes >> 20} MiB of memory, more than limit_worker_memory")
        post.backoff.failed(worker.heard)  # if a fresh one holds so much, another one will not help

    def _hear_spent(self, worker: Worker, reason: str) -> None:
        self._mark(worker, reason)

    def _hear_draining(self, worker: Worker) -> None:
        """It leaves. If nobody told it to, somebody sent it a signal: it is replaced now."""
        post = self._post_of(worker)
        if worker.phase is not Phase.SERVING or post is None:
            return
        self.logger.info("%s was told by somebody else to leave", worker)
        post.worker, post.successor = post.successor, None
        self._retire(worker)

    def _hear_stack(self, worker: Worker, stack: str) -> None:
        if not worker.asked_stack:
            return
        self.logger.error("%s is replaced: it is held up here:\n%s", worker, stack)
        worker.kill_at = monotonic()

    def _hear_debugged(self, worker: Worker) -> None:
        """It is held up by its user, who may think for as long as it takes. It is asked again after a while."""
        if not worker.is_debugged:
            worker.is_debugged = True
            self.logger.info("%s is in a debugger: it is not replaced for that", worker)
        if worker.asked_stack and worker.phase is Phase.SERVING:
            worker.asked_stack = False
            worker.kill_at = None

    def _hear_last_words(self, worker: Worker, problems: list[str]) -> None:
        worker.last_words = "; ".join(problems)

    def _reap(self) -> None:
        """Take note of the workers that have ended."""
        self._failed_handovers = [failed for failed in self._failed_handovers if failed.process.poll() is None]
        for worker in list(self._all_workers()):
            if worker.process.poll() is None:
                continue
            if worker.is_connected:
                self._hear(worker)  # its last words
            if worker.is_connected:
                self._selector.unregister(worker.channel.handle)
            worker.channel.close()
            self._ended(worker, monotonic())
        for worker in self._source.reap():
            worker.due = worker.due or "the nursery that it came from is gone"
        if self._adopts and not self._source.has_unborn:
            reap_strangers(self._known())

    def _known(self) -> set[int]:
        """The numbers of the processes that are ours."""
        ours = {worker.process.pid for worker in self._all_workers()}
        ours |= {process.pid for process in self._source.processes}
        handovers = [self._handover, *self._failed_handovers]
        return ours | {handover.process.pid for handover in handovers if handover is not None}

    def _ended(self, worker: Worker, now: float) -> None:
        """A worker has ended: whether that is right, and what follows from it."""
        if self._ends and worker.process.returncode == SHUTDOWN_FAILED_STATUS:
            self._exit_status = SHUTDOWN_FAILED_STATUS
        post = self._post_of(worker)
        if post is None:
            self._leaving = [leaving for leaving in self._leaving if leaving.worker is not worker]
            self.logger.debug("%s has left", worker)
            return
        why = worker.last_words or f"it {worker.how_it_ended()}"
        if worker is post.successor:
            post.successor = None
            self._successor_failed(post, worker, why, now)
            return
        post.worker, post.successor = post.successor, None
        if self._ends:
            return
        if not self._has_started:
            self._failure = worker.last_words or f"{worker} {worker.how_it_ended()} before it was ready{hint()}"
            self._end()
            return
        wait_seconds = post.backoff.failed(now)
        if post.worker is None and any(other.is_served for other in self._posts):
            self._source.abandon(post.number)  # clients are the others' until there is somebody here again
        failed = f"could not start: {why}" if worker.phase is Phase.STARTING else worker.how_it_ended()
        follows = (
            "" if post.worker else f": the next one starts in {wait_seconds:g} s" if wait_seconds else ": replaced"
        )
        self.logger.error("%s %s%s", worker, failed, follows)

    def _successor_failed(self, post: Post, worker: Worker, why: str, now: float) -> None:
        """The old one stays. A restart is given up; what was our own idea is tried again later."""
        if self._ends or post.worker is None:
            return
        if post.worker.due == RESTART:
            self._source.revert()
            self.logger.error("the restart is given up, and the old workers stay: %s could not start: %s", worker, why)
            for other in self._all_workers():
                other.due = None if other.due == RESTART else other.due
            self._drop_successors()
            return
        wait_seconds = post.backoff.failed(now)
        words = (post.worker, worker, why, wait_seconds)
        self.logger.error("%s stays, because its successor, %s, could not start: %s; the next try is in %g s", *words)

    def _forgive_silence(self, expected: float) -> None:
        """If we were held up ourselves, nobody's silence counts until now."""
        now = monotonic()
        if now - expected > LATE_SECONDS:
            for worker in self._all_workers():
                worker.heard = now

    # What is to be done

    def _tend(self, now: float) -> bool:
        """Do what is to be done now. Returns whether there is anything left to wait for."""
        for worker in list(self._all_workers()):
            self._check(worker, now)
        self._tell_manager(now)
        if self._ends:
            self._source.close()
            return any(True for _ in chain(self._all_workers(), self._source.processes))
        for post in self._posts:
            if post.worker is None and now >= post.backoff.until:
                post.worker = self._start(post, now)
            if not self._has_started:
                break  # the first one shows whether the application starts at all
        room = self.config.limit_worker_replacements - self._replacements(now)
        for post in self._posts:
            if room > 0 and post.worker is not None and post.wants_successor(now):
                room -= 1
                self.logger.info("%s will be replaced: %s", post.worker, post.worker.due)
                post.successor = self._start(post, now)
        return True

    def _tell_manager(self, now: float) -> None:
        """Tell the service manager that we live, and when a restart has come to its end."""
        self._manager.report_alive(now)
        if self._manager.is_reloading:
            waits = any(worker.due == RESTART for worker in self._all_workers()) or self._replacements(now)
            if not waits:
                self._manager.reloaded()

    def _replacements(self, now: float) -> int:
        """How many workers are being replaced: their successors start, or they leave."""
        starting = sum(post.successor is not None or not post.is_served for post in self._posts)
        return starting + sum(leaving.blocks_until > now for leaving in self._leaving)

    def _start(self, post: Post, now: float) -> Worker | None:
        """Start a worker; None if the system has no room for one, which is tried again later."""
        try:
            worker = self._source.worker(post.number, now)
        except OSError as error:
            if not self._has_started:
                self._failure = f"no worker can be started: {error.strerror or error}"
                self._end()
                return None
            wait_seconds = post.backoff.failed(now)
            self.logger.error("no worker can be started now (%s): next try in %g s", error, wait_seconds)
            return None
        self._selector.register(worker.channel.handle, selectors.EVENT_READ, partial(self._hear, worker))
        self.logger.debug("%s starts", worker)
        return worker

    def _check(self, worker: Worker, now: float) -> None:
        """Whether a worker has lived long enough, is held up, or has had its last chance."""
        if worker.expires is not None and now >= worker.expires and worker.phase is Phase.SERVING:
            worker.expires = None
            self._mark(worker, "limit_worker_lifetime is reached")
        healthcheck = self.config.timeout_worker_healthcheck
        is_watched = healthcheck is not None and worker.phase is not Phase.STARTING and worker.is_connected
        if is_watched and not worker.asked_stack and now - worker.heard >= (healthcheck or 0.0):
            worker.asked_stack = True
            worker.kill_at = min(now + STACK_SECONDS, worker.kill_at or now + STACK_SECONDS)
            if not worker.is_debugged:
                words = (worker, now - worker.heard)
                self.logger.error("%s: its event loop has not turned for %.1f s", *words)
            worker.channel.say(Word.TELL_STACK)
        elif worker.kill_at is not None and now >= worker.kill_at:
            self._kill(worker, now)

    def _kill(self, worker: Worker, now: float) -> None:
        """End a worker by force. One that could not even say what holds it up is made to (SIGABRT, faulthandler)."""
        mute = worker.asked_stack and worker.heard < now - STACK_SECONDS and worker.phase is Phase.SERVING
        if not worker.asked_stack and not self._hurries:
            self.logger.warning("%s did not leave in time: killed", worker)
        if mute:
            self.logger.error("%s is replaced: it does not say what holds it up", worker)
        worker.send_signal(signal.SIGABRT if mute else signal.SIGKILL)
        worker.asked_stack = True
        worker.heard = now
        worker.kill_at = now + STACK_SECONDS

    def _mark(self, worker: Worker, reason: str) -> None:
        """Have a worker replaced when it is its turn."""
        if worker.due is None and worker.phase is Phase.SERVING:
            worker.due = reason

    def _retire(self, worker: Worker, has_heirs: bool = True) -> None:
        """Have a worker drain and leave.

        Args:
            worker: which.
            has_heirs: whether others accept what waits in the queues that belong to its place.
        """
        now = monotonic()
        is_serving = worker.phase is Phase.SERVING
        worker.phase = Phase.LEAVING
        worker.channel.say(Word.RETIRE, self.config.reuse_port and not has_heirs)
        if not is_serving:
            worker.kill_at = now + STARTING_SECONDS
        elif self._patience_seconds is not None:
            worker.kill_at = now + self._patience_seconds
        self._leaving.append(Leaving(worker, now + PACE_SECONDS))

    def _close_sockets(self) -> None:
        """Nobody shall connect any more. What the workers hold is theirs to close."""
        for bound in self._bounds:
            bound.close()

    # What the operator asks for

    def _receive_exit_signal(self) -> None:
        if self._exit_signals.receive():
            self._end()

    def _end(self) -> None:
        """The first time: all leave. The second time: at once."""
        now = monotonic()
        self._hurries = self._ends
        if not self._ends:
            self._ends = True
            self._manager.stopping()
            self._close_sockets()
            if self._handover is not None:  # it has not taken over yet
                self._handover.process.terminate()
        for worker in self._all_workers():
            worker.channel.say(Word.NOW if self._hurries else Word.STOP)
            wait_seconds = self._patience_seconds
            if self._hurries:
                wait_seconds = NOW_SECONDS
            elif worker.phase is Phase.STARTING:
                wait_seconds = STARTING_SECONDS
            worker.kill_at = None if wait_seconds is None else now + wait_seconds
            if worker.phase is Phase.SERVING:
                worker.phase = Phase.LEAVING

    def _restart(self) -> None:
        """All workers are replaced, one by one, by such with the code that is there now."""
        if self._ends:
            return
        self.logger.info("SIGHUP: the workers are replaced one by one")
        self._manager.reloading()
        self._source.renew()
        self._drop_successors()
        for post in self._posts:
            if post.worker is not None:
                post.worker.due = RESTART
            post.backoff.until = 0.0

    def _drop_successors(self) -> None:
        """Who is still starting may have read the code of a moment ago, and has no clients."""
        for post in self._posts:
            if post.successor is not None:
                self._retire(post.successor)
                post.successor = None

    def _add(self) -> None:
        if not self._ends:
            self._posts.append(Post(len(self._posts) + 1))
            self.logger.info("SIGTTIN: %d workers from now on", len(self._posts))

    def _reopen_logs(self) -> None:
        logs.reopen()
        for worker in self._all_workers():
            worker.channel.say(Word.REOPEN)
        self.logger.info("SIGUSR1: log files are opened anew")

    def _start_anew(self) -> None:
        """Start a whole new server, which takes over when it serves."""
        if self._ends or self._handover is not None:
            return
        try:
            self._handover = Handover.start(self.config, self._bounds, self._source.directory)
        except OSError as error:
            self.logger.error("SIGUSR2: no new server can be started: %s", error.strerror or error)
            return
        hears = partial(self._hear_handover, self._handover)
        self._selector.register(self._handover.channel.handle, selectors.EVENT_READ, hears)
        self.logger.info("SIGUSR2: %s starts, and takes over when it serves", self._handover)

    def _hear_handover(self, handover: Handover) -> None:
        """The new server serves, or has failed: then this one stays."""
        is_ready = handover.is_ready()
        if is_ready is None:
            return
        self._selector.unregister(handover.channel.handle)
        handover.channel.close()
        self._handover = None
        if self._ends:
            return
        if not is_ready:
            if handover.channel.malformed is not None:
                self.logger.error("%s sent a malformed message: %s", handover, handover.channel.malformed)
            self.logger.error("%s could not start: this one stays", handover)
            self._failed_handovers.append(handover)
            return
        self.logger.info("%s has taken over: leaving", handover)
        self._ends = True
        self._manager.handed_over(handover.process.pid)
        for bound in self._bounds:
            bound.inode = None  # a Unix socket's path is the new one's
        self._close_sockets()
        for post in self._posts:
            for worker in post.workers:
                self._retire(worker, has_heirs=False)
        self._posts.clear()

    def _remove(self) -> None:
        if self._ends or len(self._posts) == 1:
            return
        post = self._posts.pop()
        self.logger.info("SIGTTOU: %d worker%s from now on", len(self._posts), "s"[: len(self._posts) > 1])
        for worker in post.workers:
            self._retire(worker, has_heirs=False)
        self._source.abandon(post.number)


ON_SIGNAL: dict[str, Callable[[Supervisor], None]] = {
    "SIGINT": Supervisor._receive_exit_signal,
    "SIGTERM": Supervisor._receive_exit_signal,
    "SIGHUP": Supervisor._restart,
    "SIGTTIN": Supervisor._add,
    "SIGTTOU": Supervisor._remove,
    "SIGUSR1": Supervisor._reopen_logs,
    "SIGUSR2": Supervisor._start_anew,
}
ON_WORD: dict[Word, Callable[..., None]] = {
    Word.READY: Supervisor._hear_ready,
    Word.ALIVE: Supervisor._hear_alive,
    Word.SPENT: Supervisor._hear_spent,
    Word.DRAINING: Supervisor._hear_draining,
    Word.STACK: Supervisor._hear_stack,
    Word.DEBUGGED: Supervisor._hear_debugged,
    Word.LAST_WORDS: Supervisor._hear_last_words,
}
