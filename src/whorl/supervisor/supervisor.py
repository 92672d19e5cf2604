"""The supervisor: it binds the sockets, starts workers, watches them and replaces them.

One thread and one selector. `run` repeats two steps: `_reconcile` compares the workers with what they should be and
takes the next steps, and `_observe` waits for signals, messages and exits. Neither waits for a worker to do something,
so the next signal is always handled at once. This process never imports the application.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import partial
from itertools import chain
from time import monotonic

from whorl.config import Config
from whorl.errors import SHUTDOWN_FAILED_STATUS, StartError
from whorl.observe import logs
from whorl.server.listen import ListenSocket, bind
from whorl.server.signals import ExitSignals
from whorl.supervisor.cpu_quota import available_cpus
from whorl.supervisor.frozen import hint
from whorl.supervisor.handover import Handover, InheritedServer
from whorl.supervisor.messages import MessageType
from whorl.supervisor.preload.spawner import ForkServerSpawner
from whorl.supervisor.reuse_port import allow_reuse_port
from whorl.supervisor.service_manager import ServiceManager
from whorl.supervisor.signals import SUPERVISOR_ACTIONS, Action, SignalPipe
from whorl.supervisor.slot import RetiringWorker, WorkerSlot
from whorl.supervisor.spawn import WorkerSpawner
from whorl.supervisor.subreaper import reap_unknown
from whorl.supervisor.worker import ReplaceReason, Worker, WorkerState
from whorl.version import __version__

__all__ = ["State", "Supervisor"]

STARTING_EXIT_SECONDS = 5.0
"""How long a worker that is still starting may take to exit: it has no clients."""
FORCED_EXIT_SECONDS = 2.0
"""How long a worker may take to exit without a drain."""
REPLACE_INTERVAL_SECONDS = 30.0
"""After so long the next worker is replaced although the previous one still drains: a stream may never end."""
OVERSLEEP_SECONDS = 2.0
"""If this process wakes up so late, the machine was suspended or overloaded, and missing heartbeats prove nothing."""
MAX_WAIT_SECONDS = 3600.0


class State(Enum):
    """What the supervisor does."""

    BOOTING = "starts the first worker, which shows whether the application starts at all"
    FILLING = "starts the other workers"
    RUNNING = "all workers have served; it replaces those that need it"
    STOPPING = "all workers drain"
    KILLING = "all workers exit without a drain"


class Event(Enum):
    """What changes the state."""

    WORKER_READY = auto()
    ALL_READY = auto()
    STOP = auto()


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.BOOTING: {Event.WORKER_READY: State.FILLING, Event.STOP: State.STOPPING},
    State.FILLING: {Event.ALL_READY: State.RUNNING, Event.STOP: State.STOPPING},
    State.RUNNING: {Event.STOP: State.STOPPING},
    State.STOPPING: {Event.STOP: State.KILLING},
    State.KILLING: {},
}


class Supervisor:
    """Keeps the configured number of workers.

    Args:
        config: the settings.
        listen_sockets: the listening sockets, bound; the supervisor closes them.
        count: the number of workers.
        inherited: the server that this one takes over from, None if there is none.
    """

    def __init__(
        self, config: Config, listen_sockets: list[ListenSocket], count: int, inherited: InheritedServer | None = None
    ) -> None:
        self.config = config
        self.logger = logging.getLogger(logs.ERROR_LOGGER)
        self._state = State.BOOTING
        self._listen_sockets = listen_sockets
        self._inherited = inherited
        self._slots = [WorkerSlot(number) for number in range(1, count + 1)]
        self._retiring: list[RetiringWorker] = []
        self._handover: Handover | None = None
        self._failed_handovers: list[Handover] = []
        self._selector = selectors.DefaultSelector()
        self._spawner = (
            ForkServerSpawner(config, listen_sockets, self._selector)
            if config.preload
            else WorkerSpawner(config, listen_sockets)
        )
        # Orphaned descendants become children of a subreaper, and of process 1, which this is in a container.
        self._gets_orphans = config.preload or (os.getpid() == 1 and hasattr(os, "waitid"))
        self._exit_signals = ExitSignals()
        self._service_manager = ServiceManager()
        self._start_error: str | None = None
        self._exit_status = 0

    @classmethod
    def create(cls, config: Config, inherited: InheritedServer | None = None) -> Supervisor:
        """Bind the sockets, or take over inherited ones.

        Raises:
            WhorlError: the sockets cannot be bound, or logging cannot be configured.
        """
        logs.configure(config)
        listen_sockets = bind(config) if inherited is None else inherited.bind(config)
        if config.reuse_port:
            allow_reuse_port(listen_sockets)
        count = available_cpus() if config.workers == "auto" else config.workers
        return cls(config, listen_sockets, count, inherited)

    def run(self) -> int:
        """Serve until told to stop and until all workers have exited.

        Returns:
            The exit status.

        Raises:
            StartError: the first worker could not start.
        """
        with SignalPipe(SUPERVISOR_ACTIONS) as signals, self._selector:
            self._selector.register(signals.sock, selectors.EVENT_READ)
            try:
                self._reconcile(monotonic())
                while not self._is_finished:
                    self._observe(signals)
                    self._reconcile(monotonic())
            finally:
                for worker in self._workers():  # there is none, except after an internal error
                    worker.process.send_signal(signal.SIGKILL)
                self._close_sockets()
        if self._start_error is not None:
            raise StartError(self._start_error)
        self.logger.info("Whorl has stopped")
        return self._exit_status

    # The state

    @property
    def _is_stopping(self) -> bool:
        return self._state in (State.STOPPING, State.KILLING)

    @property
    def _is_finished(self) -> bool:
        return self._is_stopping and not any(True for _ in chain(self._workers(), self._spawner.processes))

    def _advance(self, event: Event) -> bool:
        """Change the state as the table says. Returns whether it has changed."""
        former, self._state = self._state, TRANSITIONS[self._state].get(event, self._state)
        return self._state is not former

    def _workers(self) -> Iterator[Worker]:
        for slot in self._slots:
            yield from slot.workers
        for retiring in self._retiring:
            yield retiring.worker

    def _slot_of(self, worker: Worker) -> WorkerSlot | None:
        return next((slot for slot in self._slots if worker in slot.workers), None)

    # Observe: signals, messages, exits

    def _observe(self, signals: SignalPipe) -> None:
        """Wait until something happens or is due, and take note of it."""
        now = monotonic()
        due = max(now, self._next_deadline(now))
        ready = self._selector.select(due - now)
        # Signals first: one that the whole process group got explains why the workers stop.
        for action in signals.read():
            ON_ACTION[action](self)
        for key, _ in ready:
            if key.data is not None and key.fileobj in self._selector.get_map():
                key.data()
        self._reset_heartbeats(due)
        self._reap()

    def _next_deadline(self, now: float) -> float:
        """When to wake up although nothing happens."""
        healthcheck = self.config.timeout_worker_healthcheck
        deadlines = [now + MAX_WAIT_SECONDS, self._service_manager.next_watchdog]
        deadlines += [worker.next_deadline(healthcheck) for worker in self._workers()]
        deadlines += [slot.backoff.until for slot in self._slots if slot.backoff.until > now]
        deadlines += [retiring.blocks_until for retiring in self._retiring if retiring.blocks_until > now]
        return min(deadlines)

    def _reset_heartbeats(self, due: float) -> None:
        """Ignore missing heartbeats if this process itself woke up late.

        Args:
            due: when it was to wake up at the latest.
        """
        now = monotonic()
        if now - due > OVERSLEEP_SECONDS:
            for worker in self._workers():
                worker.touch(now)

    def _receive(self, worker: Worker) -> None:
        """Handle the messages that a worker has sent."""
        was_malformed = worker.channel.malformed is not None
        for kind, items in worker.channel.receive():
            worker.touch(monotonic())
            ON_MESSAGE[kind](self, worker, *items)
        if worker.channel.malformed is not None and not was_malformed:
            self._on_malformed(worker)
        if not worker.channel.is_open:
            # It is about to exit, which takes no time. If it does not, its health could not be checked any more.
            worker.kill_within(STARTING_EXIT_SECONDS, monotonic())

    def _on_malformed(self, worker: Worker) -> None:
        """Replace a worker whose messages may have been lost."""
        self.logger.error("%s sent a malformed message: %s", worker, worker.channel.malformed)
        if worker.is_starting:  # it may have been READY
            worker.fail_start(worker.start_error or "it sent a malformed message")
            worker.process.send_signal(signal.SIGKILL)
            return
        worker.request_replacement(ReplaceReason.MALFORMED_MESSAGE)
        slot = self._slot_of(worker)
        if slot is not None:
            slot.backoff.failed(worker.last_heartbeat)  # the next worker may send the same

    def _on_ready(self, worker: Worker, name: str, loop: str, urls: list[str]) -> None:
        if not worker.enter(WorkerState.SERVING):
            return
        self._spawner.commit(worker)
        if self.config.limit_worker_lifetime is not None:
            worker.limit_lifetime(self.config.limit_worker_lifetime)
        slot = self._slot_of(worker)
        if slot is None:
            return
        if self._state is State.RUNNING or worker is slot.replacement:
            self.logger.info("%s is ready", worker)
        if worker is slot.replacement:
            former = slot.promote()
            if former is not None:
                self._retire(former)
        self._advance(Event.WORKER_READY)
        if all(slot.is_served for slot in self._slots) and self._advance(Event.ALL_READY):
            self._announce(name, loop, ", ".join(urls))

    def _on_heartbeat(self, worker: Worker, memory_bytes: int) -> None:
        worker.heartbeat(memory_bytes)
        limit_bytes = self.config.limit_worker_memory
        slot = self._slot_of(worker)
        if limit_bytes is None or memory_bytes <= limit_bytes or slot is None:
            return
        if worker.request_replacement(ReplaceReason.MEMORY):
            slot.backoff.failed(worker.last_heartbeat)  # if a fresh worker holds as much, another one will not help

    def _on_replace_me(self, worker: Worker) -> None:
        worker.request_replacement(ReplaceReason.MAX_REQUESTS)

    def _on_draining(self, worker: Worker) -> None:
        """Free the slot of a worker that stops although the supervisor did not ask: it got SIGTERM from elsewhere."""
        slot = self._slot_of(worker)
        if slot is not None and worker.is_serving:
            self.logger.info("%s stops, and the supervisor did not ask for it: it is replaced", worker)
            slot.promote()
            self._retire(worker)

    def _on_stack(self, worker: Worker, stack: str) -> None:
        if worker.stack_requested:
            self.logger.error("%s is replaced: its event loop is blocked here:\n%s", worker, stack)
            worker.kill_within(0.0, monotonic())

    def _on_in_debugger(self, worker: Worker) -> None:
        if worker.excuse_debugger():
            self.logger.info("%s is in a debugger: it is not replaced for that", worker)

    def _on_start_failed(self, worker: Worker, problems: list[str]) -> None:
        worker.fail_start("; ".join(problems))

    def _reap(self) -> None:
        """Handle the processes that have ended."""
        self._failed_handovers = [failed for failed in self._failed_handovers if failed.process.poll() is None]
        for worker in list(self._workers()):
            if worker.process.poll() is not None:
                self._receive(worker)  # its last messages
                worker.channel.close()
                self._on_exit(worker, monotonic())
        for worker in self._spawner.reap():
            worker.outdate(ReplaceReason.FORK_SERVER_LOST)
        if self._gets_orphans and not self._spawner.has_pending:
            reap_unknown(self._our_pids())

    def _our_pids(self) -> set[int]:
        """The processes that are reaped by pid."""
        handovers = [self._handover, *self._failed_handovers]
        return {
            *(worker.process.pid for worker in self._workers()),
            *(process.pid for process in self._spawner.processes),
            *(handover.process.pid for handover in handovers if handover is not None),
        }

    def _on_exit(self, worker: Worker, now: float) -> None:
        """Remove a worker that has ended, and log that unless it was to end."""
        if self._is_stopping and worker.process.returncode == SHUTDOWN_FAILED_STATUS:
            self._exit_status = SHUTDOWN_FAILED_STATUS
        slot = self._slot_of(worker)
        if slot is None:
            self._retiring = [retiring for retiring in self._retiring if retiring.worker is not worker]
            self.logger.debug("%s has exited", worker)
        elif worker is slot.replacement:
            slot.drop_replacement()
            self._on_replacement_failed(slot, worker, now)
        else:
            slot.promote()
            self._on_worker_failed(slot, worker, now)

    def _on_replacement_failed(self, slot: WorkerSlot, worker: Worker, now: float) -> None:
        """Keep the old worker. A restart is given up; what the supervisor wanted by itself is tried again later."""
        if self._is_stopping or slot.worker is None:
            return
        why = worker.start_error or f"it {worker.how_it_ended}"
        if slot.worker.replace_reason is ReplaceReason.RESTART:
            self._give_up_restart(worker, why)
            return
        delay_seconds = slot.backoff.failed(now)
        self.logger.error(
            "%s stays, because its successor, %s, could not start: %s; the next try is in %g s",
            *(slot.worker, worker, why, delay_seconds),
        )

    def _on_worker_failed(self, slot: WorkerSlot, worker: Worker, now: float) -> None:
        """Have the slot filled again, after a delay if it fails repeatedly. In the first start, give up."""
        if self._is_stopping:
            return
        if self._state is State.BOOTING:
            self._start_error = worker.start_error or f"{worker} {worker.how_it_ended} before it was ready{hint()}"
            self._stop()
            return
        delay_seconds = slot.backoff.failed(now)
        if slot.worker is None and any(other.is_served for other in self._slots):
            self._spawner.drop_queues(slot.number)  # the others get the clients until the slot is filled
        if worker.is_starting:
            failed = f"could not start: {worker.start_error or f'it {worker.how_it_ended}'}"
        else:
            failed = worker.how_it_ended
        follows = ""
        if slot.worker is None:
            follows = f": the next one starts in {delay_seconds:g} s" if delay_seconds else ": replaced"
        self.logger.error("%s %s%s", worker, failed, follows)

    # Decide: compare what is with what should be

    def _reconcile(self, now: float) -> None:
        """Take the steps that are due. Does nothing if none is."""
        for worker in list(self._workers()):
            self._check_worker(worker, now)
        if not self._is_stopping:
            self._fill_slots(now)
            self._replace_workers(now)
            if not self._is_restarting(now):
                self._service_manager.restart_ended()
        if self._is_stopping:
            self._spawner.close()
        self._service_manager.feed_watchdog(now)

    def _check_worker(self, worker: Worker, now: float) -> None:
        """Replace a worker at the end of its lifetime, ask one that sends no heartbeats why, and kill at the
        deadline."""
        if worker.is_too_old(now):
            worker.request_replacement(ReplaceReason.LIFETIME)
        if now >= worker.heartbeat_deadline(self.config.timeout_worker_healthcheck):
            if not worker.in_debugger:
                silent_seconds = now - worker.last_heartbeat
                self.logger.error("%s: its event loop has not turned for %.1f s", worker, silent_seconds)
            worker.request_stack(now)
        elif worker.kill_at is not None and now >= worker.kill_at:
            self._kill(worker, now)

    def _fill_slots(self, now: float) -> None:
        """Start workers in empty slots: the first one alone, until it serves."""
        for slot in self._slots:
            if slot.worker is None and now >= slot.backoff.until:
                self._spawn(slot, now)
            if self._state not in (State.FILLING, State.RUNNING):
                return

    def _replace_workers(self, now: float) -> None:
        """Start replacements for the workers that need one, as many at a time as the settings allow."""
        allowed = self.config.limit_worker_replacements - self._replacements(now)
        for slot in self._slots:
            if allowed > 0 and slot.worker is not None and slot.needs_replacement(now):
                allowed -= 1
                self.logger.info("%s will be replaced: %s", slot.worker, slot.worker.why_replaced)
                self._spawn(slot, now)

    def _replacements(self, now: float) -> int:
        """Count the workers that are being replaced: the replacement starts, or the old worker drains."""
        starting = sum(slot.replacement is not None or not slot.is_served for slot in self._slots)
        return starting + sum(retiring.blocks_until > now for retiring in self._retiring)

    def _is_restarting(self, now: float) -> bool:
        """Whether a restart is in progress, if one was asked for."""
        reasons = (worker.replace_reason for worker in self._workers())
        return ReplaceReason.RESTART in reasons or self._replacements(now) > 0

    # Act: what happens to workers

    def _spawn(self, slot: WorkerSlot, now: float) -> None:
        """Start a worker in a slot. If the system has no resources for it, it is tried again later."""
        try:
            worker = self._spawner.spawn(slot.number, now)
        except OSError as error:
            if self._state is State.BOOTING:
                self._start_error = f"no worker can be started: {error.strerror or error}"
                self._stop()
                return
            delay_seconds = slot.backoff.failed(now)
            self.logger.error("no worker can be started now (%s): next try in %g s", error, delay_seconds)
            return
        slot.add(worker)
        worker.channel.watch(self._selector, partial(self._receive, worker))
        self.logger.debug("%s starts", worker)

    def _announce(self, name: str, loop: str, address: str) -> None:
        """Report that all workers serve."""
        count = len(self._slots)
        workers = f"{count} {'preloaded ' if self.config.preload else ''}worker{'s'[: count > 1]}"
        self.logger.info(
            "Whorl %s serves %s on %s, %s, %s, process %d", __version__, name, address, loop, workers, os.getpid()
        )
        if self._inherited is not None:
            self._inherited.acknowledge()
        self._service_manager.started(address, monotonic())

    def _retire(self, worker: Worker, is_last: bool = False) -> None:
        """Have a worker drain and exit.

        Args:
            worker: the worker, which is no longer in its slot.
            is_last: whether no other worker accepts from the queues of its slot.
        """
        now = monotonic()
        timeout_seconds = self._spawner.kill_timeout if worker.is_serving else STARTING_EXIT_SECONDS
        worker.enter(WorkerState.STOPPING)
        empty_queues = self.config.reuse_port and is_last
        worker.stop(MessageType.RETIRE, empty_queues, timeout_seconds=timeout_seconds, now=now)
        self._retiring.append(RetiringWorker(worker, now + REPLACE_INTERVAL_SECONDS))

    def _drop_replacements(self) -> None:
        """Stop the replacements that are starting: they may have read older code, and have no clients."""
        for slot in self._slots:
            dropped = slot.drop_replacement()
            if dropped is not None:
                self._retire(dropped)

    def _kill(self, worker: Worker, now: float) -> None:
        if not worker.stack_requested and self._state is not State.KILLING:
            self.logger.warning("%s did not exit in time: killed", worker)
        if worker.kill(now):
            self.logger.error("%s is replaced: it did not report its stack", worker)

    # Act: what the operator asks for

    def _receive_exit_signal(self) -> None:
        if self._exit_signals.receive():
            self._stop()

    def _stop(self) -> None:
        """Stop all workers, and the second time without a drain."""
        now = monotonic()
        self._advance(Event.STOP)
        is_forced = self._state is State.KILLING
        if not is_forced:
            self._service_manager.stopping()
            self._close_sockets()
            if self._handover is not None:  # it does not serve yet
                self._handover.process.terminate()
        for worker in self._workers():
            timeout_seconds = self._spawner.kill_timeout
            if is_forced:
                timeout_seconds = FORCED_EXIT_SECONDS
            elif worker.is_starting:
                timeout_seconds = STARTING_EXIT_SECONDS
            kind = MessageType.STOP_NOW if is_forced else MessageType.STOP
            worker.stop(kind, timeout_seconds=timeout_seconds, now=now)
            if worker.is_serving:
                worker.enter(WorkerState.STOPPING)

    def _close_sockets(self) -> None:
        """Close the sockets in this process. The workers close theirs."""
        for listen_socket in self._listen_sockets:
            listen_socket.close()

    def _restart(self) -> None:
        """Replace all workers one by one by workers with the code that is on disk now."""
        if self._is_stopping:
            return
        self.logger.info("SIGHUP: the workers are replaced one by one")
        self._service_manager.restart_started()
        self._spawner.new_generation()
        self._drop_replacements()
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.outdate(ReplaceReason.RESTART)
            slot.backoff.reset()

    def _give_up_restart(self, worker: Worker, why: str) -> None:
        """Keep the old workers, because a new one could not start."""
        self._spawner.roll_back()
        self.logger.error("the restart is given up, and the old workers stay: %s could not start: %s", worker, why)
        for other in self._workers():
            other.cancel_restart()
        self._drop_replacements()

    def _add_worker(self) -> None:
        if not self._is_stopping:
            self._slots.append(WorkerSlot(len(self._slots) + 1))
            self.logger.info("SIGTTIN: %d workers from now on", len(self._slots))

    def _remove_worker(self) -> None:
        if self._is_stopping or len(self._slots) == 1:
            return
        slot = self._slots.pop()
        self.logger.info("SIGTTOU: %d worker%s from now on", len(self._slots), "s"[: len(self._slots) > 1])
        for worker in slot.workers:
            self._retire(worker, is_last=True)
        self._spawner.drop_queues(slot.number)

    def _reopen_logs(self) -> None:
        logs.reopen()
        for worker in self._workers():
            worker.channel.send(MessageType.REOPEN_LOGS)
        self.logger.info("SIGUSR1: log files are reopened")

    def _hand_over(self) -> None:
        """Start a new server, which takes over when it serves."""
        if self._is_stopping or self._handover is not None:
            return
        try:
            self._handover = Handover.start(self.config, self._listen_sockets, self._spawner.directory)
        except OSError as error:
            self.logger.error("SIGUSR2: no new server can be started: %s", error.strerror or error)
            return
        self._handover.channel.watch(self._selector, partial(self._receive_handover, self._handover))
        self.logger.info("SIGUSR2: %s starts, and takes over when it serves", self._handover)

    def _receive_handover(self, handover: Handover) -> None:
        """Leave the sockets to the new server if it serves, and go on if it has failed."""
        is_ready = handover.is_ready()
        if is_ready is None:
            return
        handover.channel.close()
        self._handover = None
        if self._is_stopping:
            return
        if not is_ready:
            if handover.channel.malformed is not None:
                self.logger.error("%s sent a malformed message: %s", handover, handover.channel.malformed)
            self.logger.error("%s could not start: this one stays", handover)
            self._failed_handovers.append(handover)
            return
        self.logger.info("%s has taken over: stopping", handover)
        self._advance(Event.STOP)
        self._service_manager.handed_over(handover.process.pid)
        for listen_socket in self._listen_sockets:
            listen_socket.inode = None  # the path of a Unix socket belongs to the new server
        self._close_sockets()
        for slot in self._slots:
            for worker in slot.workers:
                self._retire(worker, is_last=True)
        self._slots.clear()


ON_ACTION: dict[Action, Callable[[Supervisor], None]] = {
    Action.STOP: Supervisor._receive_exit_signal,
    Action.RESTART: Supervisor._restart,
    Action.ADD_WORKER: Supervisor._add_worker,
    Action.REMOVE_WORKER: Supervisor._remove_worker,
    Action.REOPEN_LOGS: Supervisor._reopen_logs,
    Action.HAND_OVER: Supervisor._hand_over,
}
ON_MESSAGE: dict[MessageType, Callable[..., None]] = {
    MessageType.READY: Supervisor._on_ready,
    MessageType.HEARTBEAT: Supervisor._on_heartbeat,
    MessageType.REPLACE_ME: Supervisor._on_replace_me,
    MessageType.DRAINING: Supervisor._on_draining,
    MessageType.STACK: Supervisor._on_stack,
    MessageType.IN_DEBUGGER: Supervisor._on_in_debugger,
    MessageType.START_FAILED: Supervisor._on_start_failed,
}
