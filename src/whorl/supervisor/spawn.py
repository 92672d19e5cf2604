"""Start processes: fresh interpreters, each with a channel to this one.

A fresh interpreter imports the code that is on disk now, and shares nothing with its parent but the sockets. With
`--preload`, `whorl.supervisor.preload.spawner` forks workers instead.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

from whorl import version
from whorl.config import Config
from whorl.server.listen import ListenSocket
from whorl.supervisor.bootstrap import SocketSpec, WorkerSpec
from whorl.supervisor.frozen import bootstrap_variable, frozen_command, is_frozen
from whorl.supervisor.messages import FROM_WORKER, Channel, MessageTable, MessageType
from whorl.supervisor.program import Program, interpreter_options
from whorl.supervisor.reuse_port import ReusePortSockets
from whorl.supervisor.worker import Worker

__all__ = ["WorkerSpawner", "launch", "start_worker"]

HEARTBEAT_SECONDS = 1.0
"""The interval between heartbeats, unless the health check needs a shorter one."""

PROGRAM = "; ".join(
    [
        "import sys",
        "sys.flags.safe_path or sys.path.pop(0)",
        "from importlib import machinery, util",
        'spec = machinery.PathFinder.find_spec("whorl", [{root!r}])',
        'sys.modules["whorl"] = whorl = util.module_from_spec(spec)',
        "spec.loader.exec_module(whorl)",
        "from whorl.supervisor.{module} import main",
        "main({fd})",
    ]
)
"""With -c, the current directory precedes the standard library on the path, and a base64.py there would shadow
Python's. So until the child has its parent's path, it imports only the parent's Whorl and the standard library."""
ROOT = str(Path(version.__file__).resolve().parents[1])


def launch(
    module: str, table: MessageTable, fds: Sequence[int], directory: str
) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a fresh interpreter. It shares the standard input, for a debugger.

    Args:
        module: a module of this package, whose `main` it calls.
        table: what it may send.
        fds: what it inherits.
        directory: its working directory.

    Returns:
        The process, and the channel to it.

    Raises:
        OSError: the system has no resources for another process.
    """
    ours, theirs = socket.socketpair()
    inherited = [theirs.fileno(), *fds]
    program = PROGRAM.format(root=ROOT, module=module, fd=theirs.fileno())
    command = [sys.executable, *interpreter_options(), "-c", program]
    if is_frozen():
        command, pipe = frozen_command(module, theirs.fileno())
        inherited.append(pipe)
    # Ctrl+C at a terminal reaches the whole process group. The child inherits the mask, so SIGINT cannot end it before
    # it ignores the signal.
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            command,
            pass_fds=inherited,
            cwd=directory,
            env={**os.environ, **bootstrap_variable(module, theirs.fileno())},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
        theirs.close()
        if is_frozen():
            os.close(pipe)
    return process, Channel(ours, table)


def start_worker(spec: WorkerSpec, directory: str, now: float) -> Worker:
    """Start a worker, and send it its spec.

    Raises:
        OSError: the system has no resources for another process.
    """
    process, channel = launch("bootstrap", FROM_WORKER, [socket_spec.fd for socket_spec in spec.sockets], directory)
    channel.send(MessageType.SPEC, spec.dumps())
    return Worker(spec.number, process, channel, now)


class WorkerSpawner:
    """Starts workers as fresh interpreters.

    Args:
        config: the settings.
        listen_sockets: the listening sockets, bound.

    Attributes:
        directory: where workers start.
        kill_timeout: how long a worker may take to stop before it is killed, None for no limit.
    """

    def __init__(self, config: Config, listen_sockets: list[ListenSocket]) -> None:
        self.config = config
        self.directory = start_directory()
        self.kill_timeout = kill_timeout(config)
        self._sockets = ReusePortSockets(listen_sockets, config.reuse_port)

    def spawn(self, number: int, now: float) -> Worker:
        """Start a worker without waiting for it.

        Args:
            number: of its slot.
            now: the time.

        Raises:
            OSError: the system has no resources for another process.
        """
        return self._start(self._spec(number, tuple(map(SocketSpec.of, self._sockets.of(number)))), now)

    def drop_queues(self, number: int) -> None:
        """Close the sockets that only this slot has."""
        self._sockets.drop(number)

    def _spec(self, number: int, sockets: tuple[SocketSpec, ...] = ()) -> WorkerSpec:
        heartbeat_seconds = min(HEARTBEAT_SECONDS, (self.config.timeout_worker_healthcheck or inf) / 4)
        return WorkerSpec(number, self.config, sockets, Program.current(), heartbeat_seconds, self.kill_timeout)

    def _start(self, spec: WorkerSpec, now: float) -> Worker:
        return start_worker(spec, self.directory, now)

    def close(self) -> None:
        """Close the sockets of the slots: no more workers start."""
        self._sockets.close()

    # Generations of the code matter only if workers are forked

    def new_generation(self) -> None:
        """Start later workers with the code that is on disk now."""

    def commit(self, worker: Worker) -> None:
        """Keep the worker's generation: it serves."""

    def roll_back(self) -> None:
        """Return to the former generation: the new one cannot start."""

    def reap(self) -> list[Worker]:
        """Reap helper processes. Returns the workers that have to be replaced because one has ended."""
        return []

    @property
    def has_pending(self) -> bool:
        """Whether there are workers whose pid is not known yet."""
        return False

    @property
    def processes(self) -> Iterator[subprocess.Popen[bytes]]:
        """The helper processes."""
        yield from ()


def kill_timeout(config: Config) -> float | None:
    """How long a worker may take to stop before it is killed: longer than the longest orderly shutdown, see
    docs/deployment.md. None for no limit."""
    graceful_seconds = config.timeout_graceful_shutdown
    if graceful_seconds is None:
        return None
    return config.drain_delay + graceful_seconds + 5.0 + max(graceful_seconds, 5.0) + 15.0 + 5.0


def start_directory() -> str:
    """Return the working directory as $PWD names it, so that workers follow a link that is pointed to a new release."""
    named = os.environ.get("PWD", "")
    current = os.getcwd()
    try:
        return named if os.path.isabs(named) and os.path.samefile(named, current) else current
    except OSError:
        return current
