"""Signals, for a server that owns its process (signal(7)): the first asks it to leave, the second to leave at once.

Python's own handlers are used and not the loop's, because not every loop has those. A handler runs in the main thread
between two instructions, so it works even while the application blocks the loop. Where a loop that waits is not woken
by a signal (select on Windows, zuvloop), a heartbeat sees to it that there are instructions. Called by `server.run`; a
server inside somebody else's loop never touches signals.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from whorl.loops.made import MadeLoop
from whorl.platform import HERE

__all__ = ["handled", "ignore", "renewing"]

HEARTBEAT_SECONDS = 0.5


@contextmanager
def handled(leave: Callable[[str], bool], made: MadeLoop, names: Iterable[str]) -> Iterator[None]:
    """Handle the signals that end a process, and put the old handlers back afterwards.

    Args:
        leave: called with the signal's name, from the handler. It returns whether the server took note of an
            earlier signal: if it did not, it is stuck, and the
            handler raises KeyboardInterrupt in whatever keeps it.
        made: the loop that will run meanwhile.
        names: of the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if not leave(signal.Signals(number).name):
            raise KeyboardInterrupt

    numbers = [signal.Signals[name] for name in names]
    before = {number: signal.signal(number, handle) for number in numbers}
    if not made.is_woken_by_signals:
        beat(made.loop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore(names: Iterable[str]) -> None:
    """What is still to do takes no time: nobody is to interrupt it any more."""
    if threading.current_thread() is threading.main_thread():
        for name in names:
            signal.signal(signal.Signals[name], signal.SIG_IGN)


@contextmanager
def renewing(renew: Callable[[], None]) -> Iterator[None]:
    """Have SIGHUP call something in place of ending the process, and put the old handler back afterwards.

    Where somebody has it ignored, nohup(1) or a parent that takes care of it, that stays so.

    Args:
        renew: called from the handler.
    """
    name = HERE.renewing_signal
    number = None if name is None else signal.Signals[name]
    if (
        number is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(number, lambda *_: renew())
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def beat(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop wake now and then, as long as it runs."""
    loop.call_later(HEARTBEAT_SECONDS, beat, loop)
