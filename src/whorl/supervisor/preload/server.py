"""The fork server's process: it imports the application once and forks workers, which share the memory of what was
imported (fork(2), copy-on-write).

It serves no clients and holds no listening sockets: the sockets come with each FORK message. It forks a worker twice
over, and the process in between exits at once, so the kernel makes the worker a child of the supervisor
(`whorl.supervisor.subreaper`). It runs no thread and no event loop of Whorl's, which would not survive a fork.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from whorl.config import Config
from whorl.errors import StartError, WhorlError
from whorl.observe.failures import describe
from whorl.observe.logs import ERROR_LOGGER
from whorl.platform import peer_is_gone
from whorl.server.run import flush_streams, import_application, leave_process
from whorl.supervisor.bootstrap import WorkerSpec, ignore_parent_signals, problems_of, run_worker
from whorl.supervisor.messages import (
    BOOTSTRAP_VARIABLE,
    READ_BYTES,
    TO_FORK_SERVER,
    TO_WORKER,
    BlockingChannel,
    MalformedMessage,
    Message,
    MessageType,
)
from whorl.supervisor.subreaper import set_parent_death_signal

__all__ = ["main"]

SCM_MAX_FD = 253
"""The most fds that Linux passes at once (unix(7))."""

FDS = Path("/proc/self/fd")
THREADS = Path("/proc/self/task")
UNSAFE_TO_SHARE = ("socket:", "anon_inode:[eventpoll]", "anon_inode:[io_uring]")


class CommandReader(BlockingChannel):
    """The fork server's end of its channel, which receives fds, too.

    Args:
        sock: a connected socket, which the channel owns.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, TO_FORK_SERVER)
        self._fds: list[int] = []

    def _read(self) -> bytes:
        data, fds, _, _ = socket.recv_fds(self._sock, READ_BYTES, SCM_MAX_FD, socket.MSG_CMSG_CLOEXEC)
        self._fds += fds
        return data

    def take_fds(self) -> list[int]:
        """Return the fds that came with the last message. None belongs to a later one, because `receive` reads more
        only when no whole line is left."""
        fds, self._fds = self._fds, []
        return fds

    def receive(self) -> Message | None:
        """Wait for the next message. Returns None if the supervisor has died or its message is malformed: it may have
        been the order to fork a worker, so the supervisor has to start another fork server."""
        try:
            return super().receive()
        except MalformedMessage as error:
            logging.getLogger(ERROR_LOGGER).error("a malformed message from the supervisor: %s", error)
            return None


def main(fd: int) -> NoReturn:
    """Import the application and fork workers for as long as the supervisor lives.

    Args:
        fd: of the channel to the supervisor.
    """
    os.environ.pop(BOOTSTRAP_VARIABLE, None)
    ignore_parent_signals()
    # A service manager may send it to the whole group. The supervisor ends this process when it is time.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_parent_death_signal()
    os.set_inheritable(fd, False)
    commands = CommandReader(socket.socket(fileno=fd))
    first = commands.receive()
    if first is None or peer_is_gone(fd):
        leave_process(0)
    spec = WorkerSpec.loads(first[1][0])
    spec.program.restore()
    prepare(spec.config, commands)
    commands.send(MessageType.READY)
    while (command := commands.receive()) is not None:
        request, socket_fds = command[1]
        fds = commands.take_fds()
        if fork_worker(commands, request):
            commands.close()
            if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            channel = BlockingChannel(socket.socket(fileno=fds[0]), TO_WORKER)
            run_worker(channel, dict(zip(socket_fds, fds[1:], strict=True)))
        for passed_fd in fds:
            os.close(passed_fd)
    leave_process(0)


def prepare(config: Config, commands: CommandReader) -> None:
    """Import the application. If that fails, report why and exit."""
    before = shared_fds()
    logger = logging.getLogger(ERROR_LOGGER)
    try:
        import_application(config)
    except WhorlError as error:
        commands.send(MessageType.START_FAILED, problems_of(error))
        leave_process(error.exit_status)
    except BaseException as error:
        logger.exception("the import failed")
        commands.send(MessageType.START_FAILED, [f"the import of {config.app} failed: {describe(error)}"])
        leave_process(StartError.exit_status)
    for warning in fork_warnings(config.app, shared_fds() - before):
        logger.warning(warning)
    flush_streams()  # otherwise each worker would write the buffered output again
    # The garbage collector writes to every object that it visits, which copies the object's page in each worker.
    gc.collect()
    gc.freeze()


def fork_warnings(app: str, opened: set[str]) -> Iterator[str]:
    """Describe what the application started during its import and does not survive a fork, one sentence each.

    Args:
        app: the name of the application.
        opened: the fds that it opened, as `shared_fds` lists them.
    """
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    others = len(os.listdir(THREADS)) - 1 - len(names)
    found = [", ".join(names)] if names else []
    if others:
        found.append(f"{others} of C libraries")
    if found:
        yield (
            f'"{app}" started threads when it was imported ({" and ".join(found)}): workers are forked without them. '
            "Start them in the lifespan, or do without preload"
        )
    if opened:
        yield (
            f'"{app}" opened {len(opened)} socket{"s"[: len(opened) > 1]} or the like when it was imported: all '
            "workers share what is sent and received there. Open it in the lifespan, or do without preload"
        )


def shared_fds() -> set[str]:
    """List the open sockets and event loop fds of this process."""
    found = set()
    for path in FDS.iterdir():
        try:
            name = os.readlink(path)
        except OSError:  # the directory that is being read
            continue
        if name.startswith(UNSAFE_TO_SHARE):
            found.add(f"{path.name} {name}")
    return found


def fork_worker(commands: CommandReader, request: int) -> bool:
    """Fork a worker, and report its pid. Returns True in the worker."""
    try:
        pid = fork_twice()
    except OSError as error:
        commands.send(MessageType.FORK_FAILED, request, error.strerror or str(error))
        return False
    if pid is None:
        return True
    commands.send(MessageType.FORKED, request, pid)
    return False


def fork_twice() -> int | None:
    """Fork a process whose parent has exited when this returns, so that it is a child of the subreaper.

    Returns:
        Its pid; None in the new process.

    Raises:
        OSError: the system has no resources for it.
    """
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as reader:
        with open(writing, "wb", buffering=0) as writer:
            intermediate = fork()
            if intermediate == 0:
                try:
                    pid = fork()
                except OSError as error:
                    pid = -(error.errno or errno.EAGAIN)
                if pid == 0:
                    return None
                writer.write(b"%d" % pid)
                os._exit(0)
        try:
            os.waitpid(intermediate, 0)
        except ChildProcessError:  # the application has SIGCHLD ignored
            pass
        pid = int(reader.read(32) or -errno.ECHILD)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def fork() -> int:
    """Call fork(2) without Python's warning about threads: `fork_warnings` has logged a better one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
