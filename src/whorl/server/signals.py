"""Signals, for a server that owns its process (signal(7)): the first asks it to leave, the second to leave at once.

Python's own handlers are used and not the loop's, because not every loop has those. A handler runs in the main thread
between two instructions, so it works even while the application blocks the loop. Where a loop that waits is not woken
by a signal (select on Windows), a heartbeat sees to it that there are instructions. Called by `server.run`; a server
inside somebody else's loop never touches signals.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from whorl.platform import HERE

__all__ = ["handled"]


HEARTBEAT_SECONDS = 0.5


@contextmanager
def handled(leave: Callable[[str], bool], loop: asyncio.AbstractEventLoop, names: Iterable[str]) -> Iterator[None]:
    """Handle the signals that end a process, and put the old handlers back afterwards.

    Args:
        leave: called with the signal's name, from the handler. It returns whether the server took note of an
            earlier signal: if it did not, it is stuck, and the
            handler raises KeyboardInterrupt in whatever keeps it.
        loop: the one that will run meanwhile.
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
    if not HERE.signals_wake_loops:
        beat(loop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def beat(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop wake now and then, as long as it runs."""
    loop.call_later(HEARTBEAT_SECONDS, beat, loop)
