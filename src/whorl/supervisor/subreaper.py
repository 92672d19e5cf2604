"""Parents and children in the kernel (prctl(2), wait(2)), Linux only.

A process whose parent has died becomes the child of its nearest ancestor that is a subreaper. The supervisor is one, so
it becomes the parent of the workers that the fork server forks: it reaps them, and their pids are valid until then.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Container

__all__ = ["reap_unknown", "set_parent_death_signal", "set_subreaper"]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def set_subreaper() -> None:
    """Become the parent of every descendant whose parent dies. Raises OSError if the kernel does not support it."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def set_parent_death_signal() -> None:
    """Have the kernel kill this process when the thread that started it ends. Children do not inherit that. Raises
    OSError if the kernel does not support it."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prctl(option: int, value: int) -> None:
    """Set an option of this process. Raises OSError."""
    try:
        import ctypes
    except ImportError:
        raise OSError(0, "this Python has no ctypes") from None
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def reap_unknown(our_pids: Container[int]) -> None:
    """Reap adopted children that have ended, which would remain zombies otherwise.

    Args:
        our_pids: the processes that other code waits for.
    """
    try:
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in our_pids:
                return  # it ended this moment; its SIGCHLD will bring the caller back
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        pass
