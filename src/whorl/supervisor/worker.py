"""A worker as the supervisor sees it: a process, a channel, and what its messages have reported."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Protocol

from whorl.supervisor.messages import Channel, MessageType

__all__ = ["ChildProcess", "ReplaceReason", "Worker", "WorkerState", "describe_exit"]

LIFETIME_JITTER = 0.1

STACK_SECONDS = 1.0
"""How long a worker whose event loop is blocked has to report its stack."""


class WorkerState(Enum):
    """What a worker does."""

    STARTING = "imports and starts the application; this has no deadline"
    SERVING = "accepts clients"
    STOPPING = "was told to stop, and drains"


TRANSITIONS = {
    WorkerState.STARTING: {WorkerState.SERVING, WorkerState.STOPPING},
    WorkerState.SERVING: {WorkerState.STOPPING},
    WorkerState.STOPPING: set[WorkerState](),
}


class ReplaceReason(Enum):
    """Why a worker is to be replaced. The value completes the log line "worker 1 will be replaced: …"."""

    RESTART = "a restart was asked for"
    MAX_REQUESTS = "limit_max_requests is reached"
    LIFETIME = "limit_worker_lifetime is reached"
    MEMORY = "it holds {mebibytes} MiB of memory, more than limit_worker_memory"
    MALFORMED_MESSAGE = "its messages can no longer be trusted"
    FORK_SERVER_LOST = "the fork server that it came from is gone"


class ChildProcess(Protocol):
    """A child process, with the interface of `subprocess.Popen`. Its pid is valid until `poll` has returned a
    status."""

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def returncode(self) -> int | None:
        """The exit status, or a negative signal number. None until `poll` has seen it."""

    def poll(self) -> int | None:
        """Return the current `returncode` without waiting."""

    def send_signal(self, signum: int) -> None:
        """Send a signal if the process has not ended."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process.

    Attributes:
        number: of its slot, from 1.
        process: the process.
        channel: to the process.
        last_heartbeat: when its last message came; before that, when it was started.
        state: what it does.
        memory_bytes: what its last heartbeat reported.
        replace_reason: why it is to be replaced, None if it is not.
        retire_at: when its lifetime ends, None for never.
        kill_at: when it is killed, None for never.
        start_error: why it could not start, as it reported.
        stack_requested: whether it was asked what blocks its event loop.
        in_debugger: whether that was a debugger.
    """

    number: int
    process: ChildProcess
    channel: Channel
    last_heartbeat: float
    state: WorkerState = WorkerState.STARTING
    memory_bytes: int = 0
    replace_reason: ReplaceReason | None = None
    retire_at: float | None = None
    kill_at: float | None = None
    start_error: str | None = None
    stack_requested: bool = False
    in_debugger: bool = False

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    @property
    def is_serving(self) -> bool:
        """Whether it accepts clients."""
        return self.state is WorkerState.SERVING

    @property
    def is_starting(self) -> bool:
        """Whether it has not accepted clients yet."""
        return self.state is WorkerState.STARTING

    @property
    def why_replaced(self) -> str:
        """The sentence for `replace_reason`."""
        assert self.replace_reason is not None
        return self.replace_reason.value.format(mebibytes=self.memory_bytes >> 20)

    @property
    def how_it_ended(self) -> str:
        """The end of a sentence that begins with the worker."""
        return describe_exit(self.process.returncode)

    def enter(self, state: WorkerState) -> bool:
        """Change the state. Returns False, and changes nothing, if the table does not have this transition."""
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        if state is WorkerState.STOPPING:
            self.retire_at = None
        return True

    def touch(self, now: float) -> None:
        """Note that the worker lives."""
        self.last_heartbeat = now

    def heartbeat(self, memory_bytes: int) -> None:
        """Note that the event loop runs."""
        self.memory_bytes = memory_bytes
        self.in_debugger = False

    def fail_start(self, why: str) -> None:
        """Note why the worker could not start."""
        self.start_error = why

    def limit_lifetime(self, lifetime_seconds: float) -> None:
        """Set the lifetime, with up to a tenth added at random, so that not all workers are replaced together."""
        self.retire_at = self.last_heartbeat + lifetime_seconds * random.uniform(1.0, 1.0 + LIFETIME_JITTER)

    def is_too_old(self, now: float) -> bool:
        """Whether its lifetime has ended. Returns True once."""
        if self.retire_at is None or now < self.retire_at or not self.is_serving:
            return False
        self.retire_at = None
        return True

    def request_replacement(self, reason: ReplaceReason) -> bool:
        """Have the worker replaced, if it serves and no other reason came first. Returns whether this is the reason."""
        if self.replace_reason is not None or not self.is_serving:
            return False
        self.replace_reason = reason
        return True

    def outdate(self, reason: ReplaceReason) -> None:
        """Have the worker replaced as soon as it serves, because its code or its fork server is outdated."""
        if self.replace_reason is None or reason is ReplaceReason.RESTART:
            self.replace_reason = reason

    def cancel_restart(self) -> None:
        """Keep the worker, if a restart was the reason to replace it."""
        if self.replace_reason is ReplaceReason.RESTART:
            self.replace_reason = None

    def stop(self, kind: MessageType, *items: Any, timeout_seconds: float | None, now: float) -> None:
        """Send a message that stops the worker, and kill it after a timeout, if there is one."""
        self.channel.send(kind, *items)
        if timeout_seconds is not None:
            self.kill_at = now + timeout_seconds

    def kill_within(self, seconds: float, now: float) -> None:
        """Kill the worker after so long, or earlier if that was decided before."""
        self.kill_at = min(self.kill_at or inf, now + seconds)

    def heartbeat_deadline(self, healthcheck_seconds: float | None) -> float:
        """When its next heartbeat is overdue; infinity if it is not watched, or was asked for its stack already."""
        if healthcheck_seconds is None or self.is_starting or self.stack_requested or not self.channel.is_open:
            return inf
        return self.last_heartbeat + healthcheck_seconds

    def next_deadline(self, healthcheck_seconds: float | None) -> float:
        """When the worker has to be looked at although it sends nothing."""
        deadlines = (self.kill_at, self.retire_at, self.heartbeat_deadline(healthcheck_seconds))
        return min(time for time in deadlines if time is not None)

    def request_stack(self, now: float) -> None:
        """Ask what blocks the event loop, and kill the worker soon after."""
        self.stack_requested = True
        self.kill_within(STACK_SECONDS, now)
        self.channel.send(MessageType.DUMP_STACK)

    def excuse_debugger(self) -> bool:
        """Do not kill the worker because its loop is in a debugger; it is asked again when the next heartbeat is
        overdue. Returns whether the debugger is new."""
        is_new, self.in_debugger = not self.in_debugger, True
        if self.stack_requested and self.is_serving:
            self.stack_requested = False
            self.kill_at = None
        return is_new

    def kill(self, now: float) -> bool:
        """Send SIGKILL, or SIGABRT if the worker serves and did not report its stack: faulthandler prints it then.
        Returns whether it was SIGABRT."""
        is_mute = self.stack_requested and self.is_serving and self.last_heartbeat < now - STACK_SECONDS
        self.process.send_signal(signal.SIGABRT if is_mute else signal.SIGKILL)
        self.stack_requested = True
        self.last_heartbeat = now
        self.kill_at = now + STACK_SECONDS
        return is_mute


def describe_exit(status: int | None) -> str:
    """How a process ended, as the end of a sentence.

    Args:
        status: as in `ChildProcess.returncode`.
    """
    if status is None or status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
