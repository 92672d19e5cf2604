"""The process that imports the application once and forks workers, so that they share the memory of what was imported
(fork(2), copy-on-write). `nursery` is how the supervisor sees it.

It serves nobody and holds no listening socket: whatever a worker needs comes with the order to fork it. A worker is
forked twice over, and the process in between ends at once: so the kernel gives the worker to the supervisor, which
adopts (`kinship`), and nobody has to be told how it ended. Of itself it does nothing but wait for orders: no thread and
no loop, which would not survive the fork.
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
from typing import Any, NoReturn

from whorl.config import Config
from whorl.errors import StartError, WhorlError
from whorl.observe.failures import describe
from whorl.observe.logs import ERROR_LOGGER
from whorl.platform import peer_is_gone
from whorl.server.run import flush_streams, import_application, leave_process
from whorl.supervisor.agent import Line
from whorl.supervisor.bootstrap import be_a_worker, deafen
from whorl.supervisor.frozen import VARIABLE
from whorl.supervisor.letter import Letter
from whorl.supervisor.messages import TO_FORK_SERVER, MalformedMessage, Word, decode, encode
from whorl.supervisor.subreaper import die_with_parent

__all__ = ["main"]

MOST_DESCRIPTORS = 253
"""As many as Linux passes at once (unix(7), SCM_MAX_FD)."""

DESCRIPTORS = Path("/proc/self/fd")
THREADS = Path("/proc/self/task")
SHARED_BY_MISTAKE = ("socket:", "anon_inode:[eventpoll]", "anon_inode:[io_uring]")


class Orders:
    """What the supervisor wants, and what it is told.

    Args:
        handle: the socket that leads there.
    """

    def __init__(self, handle: socket.socket) -> None:
        handle.setblocking(True)
        self._handle = handle
        self._coming = b""
        self._descriptors: list[int] = []

    def next(self) -> tuple[Word, list[Any], list[int]] | None:
        """Wait for the next line: its word, its items, and the descriptors that came with it. None when the supervisor
        has died or cannot be understood. Descriptors come with their own line, because more is only read when no whole
        line is left."""
        while b"\n" not in self._coming:
            try:
                octets, descriptors, _, _ = socket.recv_fds(
                    self._handle, 65536, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                return None
            if not octets:
                return None
            self._coming += octets
            self._descriptors += descriptors
        line, _, self._coming = self._coming.partition(b"\n")
        try:
            word, items = decode(line, TO_FORK_SERVER)
        except MalformedMessage as error:
            # It may have been the order for a worker. The supervisor starts another fork server, and asks that.
            logging.getLogger(ERROR_LOGGER).error("a malformed message from the supervisor: %s", error)
            return None
        came: list[int] = []
        if word is Word.BEAR:
            came, self._descriptors = self._descriptors, []
        return word, items, came

    def say(self, word: Word, *items: Any) -> None:
        """Say a line. If nobody hears it, the next order will not come."""
        try:
            self._handle.sendall(encode(word, *items))
        except OSError:
            pass

    def close(self) -> None:
        """In a worker, which has a line of its own."""
        self._handle.close()


def main(descriptor: int) -> NoReturn:
    """Import the application and fork workers, as long as there is a supervisor.

    Args:
        descriptor: of the socket that leads there.
    """
    os.environ.pop(VARIABLE, None)
    deafen()
    # A service manager may send it to all of us. The supervisor gets it too, and ends this process when it is time.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()
    os.set_inheritable(descriptor, False)
    orders = Orders(socket.socket(fileno=descriptor))
    first = orders.next()
    if first is None or peer_is_gone(descriptor):
        leave_process(0)
    letter = Letter.opened(first[1][0])
    letter.program.restore()
    prepare(letter.config, orders)
    orders.say(Word.READY)
    while (order := orders.next()) is not None:
        (number, places), descriptors = order[1], order[2]
        if bear(orders, number):
            orders.close()
            if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            be_a_worker(Line(socket.socket(fileno=descriptors[0])), dict(zip(places, descriptors[1:], strict=True)))
        for descriptor in descriptors:
            os.close(descriptor)
    leave_process(0)


def prepare(config: Config, orders: Orders) -> None:
    """Import the application; if that fails, say why and end."""
    before = shared_descriptors()
    logger = logging.getLogger(ERROR_LOGGER)
    try:
        import_application(config)
    except WhorlError as error:
        orders.say(Word.LAST_WORDS, list(getattr(error, "problems", (str(error),))))
        leave_process(error.exit_status)
    except BaseException as error:
        logger.exception("the import failed")
        orders.say(Word.LAST_WORDS, [f"the import of {config.app} failed: {describe(error)}"])
        leave_process(StartError.exit_status)
    for complaint in complaints(config.app, shared_descriptors() - before):
        logger.warning(complaint)
    flush_streams()  # or else each worker would say it again
    # The collector would write to every object that it looks at, and so make a copy of its page in each worker.
    gc.collect()
    gc.freeze()


def complaints(app: str, opened: set[str]) -> Iterator[str]:
    """What was begun while the application was imported and does not bear a fork; a sentence for each.

    Args:
        app: what it is called.
        opened: sockets and the like.
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
            "workers share what is said and heard there. Open it in the lifespan, or do without preload"
        )


def shared_descriptors() -> set[str]:
    """The sockets, and what event loops wait with, that this process has open."""
    found = set()
    for path in DESCRIPTORS.iterdir():
        try:
            name = os.readlink(path)
        except OSError:  # the directory that is being read
            continue
        if name.startswith(SHARED_BY_MISTAKE):
            found.add(f"{path.name} {name}")
    return found


def bear(orders: Orders, number: int) -> bool:
    """Fork a worker, and tell the supervisor which process it is. Returns whether this one is it."""
    try:
        pid = fork_twice()
    except OSError as error:
        orders.say(Word.UNBORN, number, error.strerror or str(error))
        return False
    if pid is None:
        return True
    orders.say(Word.BORN, number, pid)
    return False


def fork_twice() -> int | None:
    """Fork a process that is nobody's child any more when this returns: whoever adopts has it then.

    Returns:
        Its number; None in that process.

    Raises:
        OSError: there is no room for it.
    """
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as said:
        with open(writing, "wb", buffering=0) as saying:
            between = fork()
            if between == 0:
                try:
                    pid = fork()
                except OSError as error:
                    pid = -(error.errno or errno.EAGAIN)
                if pid == 0:
                    return None
                saying.write(b"%d" % pid)
                os._exit(0)
        try:
            os.waitpid(between, 0)
        except ChildProcessError:  # the application has SIGCHLD ignored
            pass
        pid = int(said.read(32) or -errno.ECHILD)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def fork() -> int:
    """fork(2). That threads were running has been said, and better."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
