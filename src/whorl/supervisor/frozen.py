"""Workers of a program for which `sys.executable` is no Python: frozen by PyInstaller or cx_Freeze, or one that embeds
Python.

Whatever such an executable is told on its command line, it runs the program from its beginning. So a frozen worker is
started as `multiprocessing` starts a process: a program that calls `multiprocessing.freeze_support()` first, as frozen
programs do, never gets further. A program that does not call it gets to `whorl.run`, which finds the variable here and
becomes the worker in place of a second server. Without that, each worker would start workers.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import MutableMapping
from typing import NoReturn

__all__ = ["VARIABLE", "FrozenStart", "become_worker", "frozen_command", "hint", "is_frozen", "mark"]

VARIABLE = "_WHORL_WORKER"
"""Module, fd and inode of the channel to the parent. The inode tells a process that merely inherited the variable."""


def is_frozen() -> bool:
    """Whether `sys.executable` is this program and not an interpreter."""
    return bool(getattr(sys, "frozen", False))


def hint() -> str:
    """What may be wrong where a worker ended in its start, as the end of a sentence."""
    return ": a frozen program has to call multiprocessing.freeze_support() first" if is_frozen() else ""


class FrozenStart:
    """What `multiprocessing` takes for the process object that it unpickles in the child and runs.

    Args:
        module: of this package, whose `main` is called.
        fd: of the channel to the parent.
    """

    def __init__(self, module: str, fd: int) -> None:
        self.module = module
        self.fd = fd

    def _bootstrap(self, parent_sentinel: int) -> NoReturn:
        """`multiprocessing.spawn` calls this."""
        os.close(parent_sentinel)
        run_main(self.module, self.fd)


def frozen_command(module: str, fd: int) -> tuple[list[str], int]:
    """The command line of a frozen worker, and the fd that it has to inherit, beside the channel. The caller closes it.

    Args:
        module: of this package, whose `main` the worker calls.
        fd: of the channel to the parent.
    """
    import pickle  # here, because a server of one process has no use for it

    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:  # far less than a pipe holds
        pickle.dump({}, pipe)  # what multiprocessing would prepare: nothing
        pickle.dump(FrozenStart(module, fd), pipe)
    return [sys.executable, "--multiprocessing-fork", "tracker_fd=None", f"pipe_handle={reading}"], reading


def mark(module: str, fd: int) -> dict[str, str]:
    """The variable that tells a process that it is a worker.

    Args:
        module: of this package, whose `main` it calls.
        fd: of the channel to the parent.
    """
    return {VARIABLE: f"{module}:{fd}:{os.fstat(fd).st_ino}"}


def become_worker(environment: MutableMapping[str, str]) -> None:
    """Be a worker to the end of the process, if a parent has started this program for one; else return.

    Args:
        environment: the variables; the one that tells is removed.
    """
    module, _, rest = environment.pop(VARIABLE, "").partition(":")
    fd, _, inode = rest.partition(":")
    try:
        status = os.fstat(int(fd))
    except (ValueError, OSError):
        return
    if stat.S_ISSOCK(status.st_mode) and str(status.st_ino) == inode:
        run_main(module, int(fd))


def run_main(module: str, fd: int) -> NoReturn:
    """Be the worker, or the fork server. The imports are spelt out so that PyInstaller finds them."""
    if module == "preload.server":
        from whorl.supervisor.preload.server import main as fork_server_main

        fork_server_main(fd)
    from whorl.supervisor.bootstrap import main as worker_main

    worker_main(fd)
