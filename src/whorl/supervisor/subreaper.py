"""Who is whose child (prctl(2), wait(2)): what a parent of forked workers asks of the kernel, which only Linux has.

A process whose parent has died becomes the child of the nearest ancestor that adopts. So the supervisor becomes the
parent of processes that another one has forked: it learns how they ended, and their numbers mean them until then.
Called by `supervisor`, `nurseries` and `nurse`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Container

__all__ = ["adopt_orphans", "die_with_parent", "reap_strangers"]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies. Raises OSError where the kernel does not have it."""
    control(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends, whatever this process is busy with. Its own children
    do not inherit that. Raises OSError where the kernel does not have it."""
    control(PR_SET_PDEATHSIG, signal.SIGKILL)


def control(option: int, value: int) -> None:
    """Set an option of this process. Raises OSError."""
    try:
        import ctypes
    except ImportError:
        raise OSError(0, "this Python has no ctypes") from None
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def reap_strangers(known: Container[int]) -> None:
    """Let go of adopted children that have ended and that nobody here knows, which would stay in the table of processes
    for ever.

    Args:
        known: the numbers of those whose end somebody here asks for.
    """
    try:
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in known:
                return  # ended this very moment; its signal is on its way, and brings us back
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        pass
