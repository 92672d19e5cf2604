"""One worker, as its parent sees it: a process, a channel, and what is known of it.

`start` makes one: a fresh interpreter, so that it imports the code that is there now, and shares nothing with its
parent but the sockets. It waits for nobody. Called by `supervisor`, which alone changes what is known.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from whorl import version
from whorl.supervisor.channel import Channel, Word
from whorl.supervisor.letter import Letter

__all__ = ["Phase", "Worker", "start"]

PROGRAM = "import sys; sys.path.insert(0, {root!r}); from whorl.supervisor.main import main; main({descriptor})"
ROOT = str(Path(version.__file__).resolve().parents[1])


class Phase(Enum):
    """What a worker does."""

    STARTING = "it imports and starts the application, which may take as long as it likes"
    SERVING = "it accepts clients"
    LEAVING = "it was told to leave, and drains"


@dataclass(slots=True, eq=False)
class Worker:
    """One process.

    Attributes:
        number: the place that it fills, from 1.
        process: the process.
        channel: what it is told by, and tells by.
        phase: what it does.
        heard: when its loop was last known to turn.
        requests: how many it has begun.
        due: why it is to be replaced; None if it is not.
        expires: when it has lived long enough, None for never.
        kill_at: when it is ended by force, None for never.
        last_words: why it could not start, as it said itself.
        asked_stack: whether it was asked what holds it up.
        is_connected: whether its end of the channel is open.
    """

    number: int
    process: subprocess.Popen[bytes]
    channel: Channel
    heard: float
    phase: Phase = Phase.STARTING
    requests: int = 0
    due: str | None = None
    expires: float | None = None
    kill_at: float | None = None
    last_words: str | None = None
    asked_stack: bool = False
    is_connected: bool = True

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        self.process.send_signal(number)

    def how_it_ended(self) -> str:
        """The end of a sentence that begins with the worker."""
        status = self.process.returncode
        if status < 0:
            try:
                return f"was killed by {signal.Signals(-status).name}"
            except ValueError:
                return f"was killed by signal {-status}"
        return f"ended with status {status}"


def start(letter: Letter, directory: str, now: float, stdin: int | None = subprocess.DEVNULL) -> Worker:
    """Start a worker, and tell it what it needs to know.

    Args:
        letter: that.
        directory: where it works.
        now: the time.
        stdin: its standard input, as `subprocess` has it; None is our own.

    Raises:
        OSError: the system has no room for another process.
    """
    ours, theirs = socket.socketpair()
    descriptors = [theirs.fileno(), *(place.descriptor for place in letter.places)]
    program = PROGRAM.format(root=ROOT, descriptor=theirs.fileno())
    # Ctrl+C at a terminal reaches the whole group of processes. The mask is inherited, so that a worker is deaf to it
    # from its first instruction, until it has a handler.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            [sys.executable, *interpreter_options(), "-c", program],
            stdin=stdin,
            pass_fds=descriptors,
            cwd=directory,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    worker = Worker(letter.number, process, Channel(ours), now)
    worker.channel.say(Word.LETTER, letter.sealed())
    return worker


def interpreter_options() -> Iterable[str]:
    """The options that this interpreter was started with: -X dev, -W error, -O and so on."""
    options = getattr(subprocess, "_args_from_interpreter_flags", None)
    return options() if options is not None else ()
