"""A worker process: it reads its `WorkerSpec`, serves, and reports why if it cannot.

The parent has started it as a fresh interpreter (`main`), or the fork server has forked it (`run_worker`). It inherits
fds and nothing else.
"""

from __future__ import annotations

import base64
import faulthandler
import logging
import os
import pickle
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from whorl.config import Config
from whorl.errors import StartError, WhorlError
from whorl.observe.failures import describe
from whorl.observe.logs import ERROR_LOGGER
from whorl.server.listen import ListenSocket
from whorl.server.server import serve_config
from whorl.supervisor.agent import WorkerAgent
from whorl.supervisor.messages import BOOTSTRAP_VARIABLE, TO_WORKER, BlockingChannel, MessageType
from whorl.supervisor.program import Program
from whorl.supervisor.signals import IGNORED_BY_WORKERS

__all__ = ["SocketSpec", "WorkerSpec", "ignore_parent_signals", "main", "problems_of", "run_worker"]


@dataclass(frozen=True, slots=True)
class SocketSpec:
    """A listening socket that a worker inherits.

    Args:
        fd: its fd, the same in the worker.
        url: where clients find it.
        externally_owned: whether it outlives all workers, because another program has made it.
        redirects_to: the port to which its clients are redirected, None if they are served.
    """

    fd: int
    url: str
    externally_owned: bool
    redirects_to: int | None = None

    @classmethod
    def of(cls, listen_socket: ListenSocket) -> SocketSpec:
        """Describe a socket that this process has bound or inherited."""
        return cls(listen_socket.handle.fileno(), listen_socket.url, listen_socket.inherited, listen_socket.leads_to)

    def open(self) -> ListenSocket:
        """Open the socket in the process that inherited it. Other processes have it, too, and accept what waits in its
        queue when this one stops."""
        return ListenSocket(socket.socket(fileno=self.fd), self.url, inherited=True, leads_to=self.redirects_to)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything that a worker has to know.

    Args:
        number: of the worker's slot, from 1.
        config: the settings.
        sockets: where to listen.
        program: the parent's, so that the application finds what it would find in a single process.
        heartbeat_seconds: the interval between heartbeats.
        kill_timeout: how long stopping may take at most, None for no limit.
    """

    number: int
    config: Config
    sockets: tuple[SocketSpec, ...]
    program: Program
    heartbeat_seconds: float
    kill_timeout: float | None

    def with_fds(self, fds: Mapping[int, int]) -> WorkerSpec:
        """Return the spec for a process in which the sockets have other fds, by those of this one."""
        return replace(self, sockets=tuple(replace(spec, fd=fds[spec.fd]) for spec in self.sockets))

    def dumps(self) -> str:
        """Serialize the spec. A configuration of plain values can be pickled; for other values, which come from a
        user's program, this raises TypeError, AttributeError or PicklingError."""
        return base64.b64encode(pickle.dumps(self)).decode()

    @classmethod
    def loads(cls, text: str) -> WorkerSpec:
        """Deserialize a spec."""
        spec = pickle.loads(base64.b64decode(text))
        assert isinstance(spec, cls)
        return spec


def main(fd: int) -> NoReturn:
    """Serve as a worker in a fresh interpreter, and end the process.

    Args:
        fd: of the channel to the parent.
    """
    os.environ.pop(BOOTSTRAP_VARIABLE, None)
    ignore_parent_signals()
    os.set_inheritable(fd, False)
    run_worker(BlockingChannel(socket.socket(fileno=fd), TO_WORKER))


def ignore_parent_signals() -> None:
    """Ignore the signals that are meant for the parent, and print the stack at SIGABRT."""
    for name in IGNORED_BY_WORKERS:
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    faulthandler.enable()  # for a worker that is so blocked that only SIGABRT makes it report its stack


def run_worker(channel: BlockingChannel, fds: Mapping[int, int] | None = None) -> NoReturn:
    """Read the spec, serve, and end the process.

    Args:
        channel: to the parent.
        fds: in a forked worker, its fds of the listening sockets by those in the spec. None in a fresh interpreter,
            which has to take on the parent's program first.
    """
    first = channel.receive()
    if first is None:
        raise SystemExit(0)  # the parent has died
    spec = WorkerSpec.loads(first[1][0])
    if fds is None:
        spec.program.restore()
    else:
        spec = spec.with_fds(fds)
    sockets = [(socket_spec.open(), socket_spec.externally_owned) for socket_spec in spec.sockets]
    agent = WorkerAgent(channel, spec.number, sockets, spec.heartbeat_seconds, spec.kill_timeout)
    raise SystemExit(serve(spec.config, agent))


def serve(config: Config, agent: WorkerAgent) -> int:
    """Serve until told to stop. Returns the exit status."""
    try:
        return serve_config(config, agent)
    except WhorlError as error:
        agent.send(MessageType.START_FAILED, problems_of(error))
        return error.exit_status
    except BaseException as error:
        logging.getLogger(ERROR_LOGGER).exception("the worker failed")
        agent.send(MessageType.START_FAILED, [f"the worker failed: {describe(error)}"])
        return StartError.exit_status


def problems_of(error: WhorlError) -> list[str]:
    """List what is wrong, one sentence for each problem."""
    return list(getattr(error, "problems", (str(error),)))
