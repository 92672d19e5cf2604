"""Signals, for a server that owns its process (signal(7)): the first asks it to leave, the second to leave at once.

Python's own handlers are used and not the loop's, because not every loop has those. A handler runs in the main thread
between two instructions, so it works even while the application blocks the loop. A loop whose wait no signal ends
(select on Windows, zuvloop) gets a heartbeat. A server inside another program's loop never touches signals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType
from typing import Any

from whorl.loops.loop_info import LoopInfo

__all__ = ["REPEAT_SECONDS", "ExitSignals", "handled", "ignore", "installed"]

HEARTBEAT_SECONDS = 0.5

REPEAT_SECONDS = 0.25
"""A signal to exit that comes so soon after another is the same request: a terminal sends Ctrl+C to the whole process
group, and `uv run` passes it on to its child once more; others send SIGTERM right behind SIGINT."""

Handler = Callable[[int, FrameType | None], Any]


class ExitSignals:
    """Counts how often a process was asked to exit by a signal.

    Attributes:
        count: that, without repetitions.
    """

    __slots__ = ("_counted_at", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counted_at = -inf

    def receive(self) -> bool:
        """Take note of a signal. Returns False if it only repeats the one before it."""
        now = monotonic()
        if now - self._counted_at < REPEAT_SECONDS:
            return False
        self._counted_at = now
        self.count += 1
        return True


@contextmanager
def handled(
    leave: Callable[[str], bool], made: LoopInfo, names: Iterable[str], others: Mapping[str, Callable[[], None]]
) -> Iterator[None]:
    """Handle signals, and put the old handlers back afterwards.

    Args:
        leave: called from the handler, with the name of a signal that ends a process. It returns False if the server
            is stuck; then the handler raises KeyboardInterrupt in the code that keeps it.
        made: the loop that will run meanwhile.
        names: of those signals.
        others: what else to handle, by name: called from the handler. A signal that is ignored (nohup(1), a parent
            that takes care of it) or that has a handler stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_exit_signal(signum: int, frame: FrameType | None) -> None:
        if not leave(signal.Signals(signum).name):
            raise KeyboardInterrupt

    handlers: dict[int, Handler] = {signal.Signals[name]: on_exit_signal for name in names}
    for name, call in others.items():
        if signal.getsignal(signal.Signals[name]) is signal.SIG_DFL:
            handlers[signal.Signals[name]] = handler_of(call)
    if not made.is_woken_by_signals:
        beat(made.loop)
    with installed(handlers):
        yield


@contextmanager
def installed(handlers: Mapping[int, Handler]) -> Iterator[None]:
    """Have signals call these handlers, and put the old ones back afterwards, in forked children too.

    A child that the application forks would otherwise hand its SIGTERM to a copy of the server that does not run, and
    `multiprocessing.Process.terminate` would have no effect.
    """
    before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
    REPLACED.append(before)
    try:
        yield
    finally:
        REPLACED.remove(before)
        for signum, handler in before.items():
            signal.signal(signum, handler)


def handler_of(call: Callable[[], None]) -> Handler:
    """Make a signal handler of a function without arguments."""
    return lambda signum, frame: call()


REPLACED: list[dict[int, Any]] = []
"""The handlers that a forked child puts back. A process has one set of handlers, so this is no server's."""


FORKING = threading.local()
"""The signal mask of the thread that forks, from before the fork to after it."""


def block_before_fork() -> None:
    """Block our signals: one that reaches the child before its handlers are reset would be lost."""
    signums = {signum for before in REPLACED for signum in before}
    FORKING.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signums)


def unblock_after_fork() -> None:
    """Restore the signal mask."""
    signal.pthread_sigmask(signal.SIG_SETMASK, FORKING.mask)


def reset_in_child() -> None:
    """Put back what handled signals before a server did, and write to the parent's event loop no more."""
    if REPLACED:
        signal.set_wakeup_fd(-1)
        for before in reversed(REPLACED):
            for signum, handler in before.items():
                signal.signal(signum, handler)
        REPLACED.clear()
    unblock_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=block_before_fork, after_in_parent=unblock_after_fork, after_in_child=reset_in_child)


def ignore(names: Iterable[str]) -> None:
    """Ignore signals from here on: what is still to do takes no time."""
    if threading.current_thread() is threading.main_thread():
        for name in names:
            signal.signal(signal.Signals[name], signal.SIG_IGN)


def beat(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop wake now and then, as long as it runs."""
    loop.call_later(HEARTBEAT_SECONDS, beat, loop)
