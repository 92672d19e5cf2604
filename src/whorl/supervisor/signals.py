"""Signals of a parent process: what each one asks for, and how the selector learns of it (signal(7), self-pipe).

The handlers do nothing, so none runs in the middle of a decision.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum
from types import FrameType

from whorl.server.signals import installed

__all__ = ["IGNORED_BY_WORKERS", "RELOADER_ACTIONS", "SUPERVISOR_ACTIONS", "Action", "SignalPipe"]


class Action(Enum):
    """What a signal asks a parent process to do."""

    STOP = "stop the workers and exit; at once if it comes again"
    RESTART = "replace the workers one by one"
    ADD_WORKER = "run one worker more"
    REMOVE_WORKER = "run one worker fewer"
    REOPEN_LOGS = "reopen log files"
    HAND_OVER = "start a new server on the same sockets"


SUPERVISOR_ACTIONS = {
    "SIGINT": Action.STOP,
    "SIGTERM": Action.STOP,
    "SIGHUP": Action.RESTART,
    "SIGTTIN": Action.ADD_WORKER,
    "SIGTTOU": Action.REMOVE_WORKER,
    "SIGUSR1": Action.REOPEN_LOGS,
    "SIGUSR2": Action.HAND_OVER,
}
RELOADER_ACTIONS = {
    "SIGINT": Action.STOP,
    "SIGTERM": Action.STOP,
    "SIGHUP": Action.STOP,
    "SIGUSR1": Action.REOPEN_LOGS,
    "SIGUSR2": Action.HAND_OVER,
}
IGNORED_BY_WORKERS = ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU")
"""Operators send these to the parent, and a terminal sends SIGINT to the whole process group. A worker stops at SIGTERM
only."""


class SignalPipe:
    """A context manager that handles signals, and SIGCHLD, until its end; then it restores the former handlers. It
    works in the main thread only.

    Args:
        actions: what each signal asks for.

    Attributes:
        sock: readable when a signal has come.
    """

    def __init__(self, actions: Mapping[str, Action]) -> None:
        # nohup(1) has SIGHUP ignored, and that stays so.
        by_signum = {signal.Signals[name]: action for name, action in actions.items()}
        self._actions = {
            int(signum): action
            for signum, action in by_signum.items()
            if signal.getsignal(signum) is not signal.SIG_IGN
        }
        self.sock, self._writer = socket.socketpair()
        self.sock.setblocking(False)
        self._writer.setblocking(False)
        self._stack = ExitStack()

    def __enter__(self) -> SignalPipe:
        handlers = dict.fromkeys(self._actions, do_nothing)
        if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
            handlers[signal.SIGCHLD] = do_nothing
        self._stack.enter_context(installed(handlers))
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._former_fd)
        self._stack.close()
        self.sock.close()
        self._writer.close()

    def read(self) -> list[Action]:
        """Return what the signals that have come ask for, in order."""
        try:
            signums = self.sock.recv(4096)
        except BlockingIOError:
            return []
        return [self._actions[signum] for signum in signums if signum in self._actions]


def do_nothing(signum: int, frame: FrameType | None) -> None:
    """Handle a signal, so that its default action does not happen. Python has written to the wakeup fd already."""
