"""The fork server as the supervisor sees it, and the processes that it forks.

A worker can be requested at once: it is pending while the fork server imports the application, and counts as ended if
the fork server ends before it has forked. Once forked it is a child of the supervisor (`whorl.supervisor.subreaper`),
and the fork server has no part in it any more.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from whorl.supervisor.bootstrap import WorkerSpec
from whorl.supervisor.messages import FROM_FORK_SERVER, FROM_WORKER, Channel, MessageType
from whorl.supervisor.spawn import launch
from whorl.supervisor.worker import Worker, describe_exit

__all__ = ["ForkServer", "ForkedProcess"]


class ForkedProcess:
    """The process of a forked worker, with the interface of `subprocess.Popen`.

    Args:
        server: the fork server that forks it.

    Attributes:
        server: the same.
        returncode: the exit status, or a negative signal number; None until it has ended.
    """

    __slots__ = ("_pid", "returncode", "server")

    def __init__(self, server: ForkServer) -> None:
        self.server = server
        self._pid: int | None = None
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """The process id; that of the fork server while it is pending."""
        return self.server.process.pid if self._pid is None else self._pid

    def forked(self, pid: int) -> None:
        """Note the process id."""
        self._pid = pid

    def fork_failed(self) -> None:
        """Note that there will be no process."""
        self.returncode = -signal.SIGKILL

    def poll(self) -> int | None:
        """Return the current `returncode` without waiting."""
        if self.returncode is None and self._pid is None:
            status = self.server.poll()  # its last message may be FORKED
            if self._pid is None:
                self.returncode = status
        if self.returncode is None and self._pid is not None:
            try:
                ended, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # other code in this process has reaped it
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal if the process has not ended. While it is pending, the fork server gets the signal."""
        if self.poll() is None:
            os.kill(self.pid, signum)


class ForkServer:
    """One fork server.

    Args:
        process: its process.
        channel: to the process.

    Attributes:
        is_ready: whether it has imported the application.
        workers: its workers that may still live.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.is_ready = False
        self.workers: list[Worker] = []
        self._pending: dict[int, tuple[Worker, ForkedProcess]] = {}
        self._requests = 0

    @classmethod
    def start(cls, spec: WorkerSpec, directory: str) -> ForkServer:
        """Start a fork server, which imports the application and waits for requests.

        Raises:
            OSError: the system has no resources for another process.
        """
        server = cls(*launch("preload.server", FROM_FORK_SERVER, (), directory))
        server.channel.send(MessageType.SPEC, spec.dumps())
        return server

    def __str__(self) -> str:
        return f"the fork server (process {self.process.pid})"

    @property
    def how_it_ended(self) -> str:
        """The end of a sentence that begins with the fork server."""
        return describe_exit(self.process.returncode)

    @property
    def has_pending(self) -> bool:
        """Whether there are workers that are requested and not forked yet."""
        return bool(self._pending)

    def fork(self, spec: WorkerSpec, now: float) -> Worker:
        """Request a worker, which is forked as soon as the application is imported.

        Raises:
            OSError: the request cannot be sent.
        """
        ours, theirs = socket.socketpair()
        process = ForkedProcess(self)
        fds = [socket_spec.fd for socket_spec in spec.sockets]
        self._requests += 1
        try:
            self.channel.send_fds([theirs.fileno(), *fds], MessageType.FORK, self._requests, fds)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = Worker(spec.number, process, Channel(ours, FROM_WORKER), now)
        worker.channel.send(MessageType.SPEC, spec.dumps())
        self._pending[self._requests] = worker, process
        self.workers = [worker, *(other for other in self.workers if other.process.returncode is None)]
        return worker

    def receive(self) -> bool:
        """Read its messages. Returns False if there will be no more; after a malformed one, which may have carried a
        pid, there are none either."""
        for kind, items in self.channel.receive():
            ON_MESSAGE[kind](self, *items)
        return self.channel.is_open and self.channel.malformed is None

    def poll(self) -> int | None:
        """Return its exit status without waiting, None if it lives. Its last messages have been read then."""
        status = self.process.poll()
        if status is not None:
            self.receive()
        return status

    def _on_ready(self) -> None:
        self.is_ready = True

    def _on_forked(self, request: int, pid: int) -> None:
        if request in self._pending:
            self._pending.pop(request)[1].forked(pid)

    def _on_fork_failed(self, request: int, reason: str) -> None:
        if request in self._pending:
            worker, process = self._pending.pop(request)
            worker.fail_start(f"no process can be forked: {reason}")
            process.fork_failed()

    def _on_start_failed(self, problems: list[str]) -> None:
        for worker, _ in self._pending.values():
            worker.fail_start("; ".join(problems))


ON_MESSAGE: dict[MessageType, Callable[..., Any]] = {
    MessageType.READY: ForkServer._on_ready,
    MessageType.FORKED: ForkServer._on_forked,
    MessageType.FORK_FAILED: ForkServer._on_fork_failed,
    MessageType.START_FAILED: ForkServer._on_start_failed,
}
