"""Signals for a parent that waits in a selector: each becomes an octet on a socket (signal(7), self-pipe).

The handlers themselves do nothing, so none runs in the middle of a decision. A worker that ended is told by SIGCHLD.
Called by `supervisor`, in the main thread only.
"""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from types import FrameType

from whorl.server.signals import installed

__all__ = ["Wake"]


class Wake:
    """Takes signals, from `with` to its end; the old handlers are put back then.

    Args:
        names: of the signals.

    Attributes:
        handle: readable when one has come.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        # nohup(1) has SIGHUP ignored, and that stays so.
        numbers = [signal.Signals[name] for name in names]
        self._numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self.handle, self._end = socket.socketpair()
        self.handle.setblocking(False)
        self._end.setblocking(False)
        self._stack = ExitStack()

    def __enter__(self) -> Wake:
        self._stack.enter_context(installed(dict.fromkeys(self._numbers, note)))
        self._fd_before = signal.set_wakeup_fd(self._end.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._fd_before)
        self._stack.close()
        self.handle.close()
        self._end.close()

    def taken(self) -> list[str]:
        """The names of the signals that have come, in order."""
        try:
            octets = self.handle.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number).name for number in octets if number in self._numbers]


def note(number: int, frame: FrameType | None) -> None:
    """A handler, so that the signal does not do what it does without one; the octet has been sent already."""
