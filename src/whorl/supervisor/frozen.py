"""Workers of a program for which `sys.executable` is not an interpreter: it is frozen by PyInstaller or cx_Freeze, or
embeds Python.

Such an executable runs its program from the beginning, whatever its command line is. So a worker is started as
`multiprocessing` starts a process: a program that calls `multiprocessing.freeze_support()` first, as frozen programs
do, gets no further. A program that does not call it reaches `whorl.run`, which finds BOOTSTRAP_VARIABLE and becomes the
worker. Without that, each worker would start workers.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import MutableMapping
from typing import NoReturn

from whorl.supervisor.messages import (
    BOOTSTRAP_VARIABLE,
    TO_FROZEN_PROGRAM,
    MalformedMessage,
    MessageType,
    decode,
    encode,
)

__all__ = ["FrozenStart", "become_worker", "bootstrap_variable", "frozen_command", "hint", "is_frozen"]


def is_frozen() -> bool:
    """Whether `sys.executable` is this program and not an interpreter."""
    return bool(getattr(sys, "frozen", False))


def hint() -> str:
    """The end of a sentence about a worker that ended before it was ready: what may be wrong."""
    return ": a frozen program has to call multiprocessing.freeze_support() first" if is_frozen() else ""


class FrozenStart:
    """The object that `multiprocessing` unpickles in the child and runs, in place of its process object.

    Args:
        module: a module of this package, whose `main` is called.
        fd: of the channel to the parent.
    """

    def __init__(self, module: str, fd: int) -> None:
        self.module = module
        self.fd = fd

    def _bootstrap(self, parent_sentinel: int) -> NoReturn:
        """Run the worker. `multiprocessing.spawn` calls this."""
        os.close(parent_sentinel)
        run_main(self.module, self.fd)


def frozen_command(module: str, fd: int) -> tuple[list[str], int]:
    """Make the command line of a frozen worker, and a pipe that it has to inherit besides the channel.

    Args:
        module: a module of this package, whose `main` the worker calls.
        fd: of the channel to the parent.

    Returns:
        The command line, and the fd of the pipe, which the caller closes.
    """
    import pickle  # here, because a server of one process does not need it

    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:  # far less than a pipe holds
        pickle.dump({}, pipe)  # what multiprocessing would prepare: nothing
        pickle.dump(FrozenStart(module, fd), pipe)
    return [sys.executable, "--multiprocessing-fork", "tracker_fd=None", f"pipe_handle={reading}"], reading


def bootstrap_variable(module: str, fd: int) -> dict[str, str]:
    """Make the environment variable by which a process learns that it is a worker.

    Args:
        module: a module of this package, whose `main` it calls.
        fd: of the channel to the parent.
    """
    message = encode(MessageType.BOOTSTRAP, module, fd, os.fstat(fd).st_ino)
    return {BOOTSTRAP_VARIABLE: message.decode().strip()}


def become_worker(environment: MutableMapping[str, str]) -> None:
    """Run the worker to the end of the process, if a parent started this program as one; otherwise return.

    Args:
        environment: the environment variables; BOOTSTRAP_VARIABLE is removed.
    """
    try:
        _, (module, fd, inode) = decode(environment.pop(BOOTSTRAP_VARIABLE, "").encode(), TO_FROZEN_PROGRAM)
        st = os.fstat(fd)
    except (MalformedMessage, OSError):
        return
    if stat.S_ISSOCK(st.st_mode) and st.st_ino == inode:
        run_main(module, fd)


def run_main(module: str, fd: int) -> NoReturn:
    """Run the worker, or the fork server. The imports are spelled out so that PyInstaller finds them."""
    if module == "preload.server":
        from whorl.supervisor.preload.server import main as fork_server_main

        fork_server_main(fd)
    from whorl.supervisor.bootstrap import main as worker_main

    worker_main(fd)
