"""One worker, as its parent sees it: a process, a channel, and what is known of it.

`start` makes one: a fresh interpreter, so that it imports the code that is there now, and shares nothing with its
parent but the sockets. It waits for nobody. Called by `supervisor`, which alone changes what is known.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from whorl import version
from whorl.supervisor.channel import FROM_WORKER, Channel, Messages, Word
from whorl.supervisor.letter import Letter

__all__ = ["Phase", "Process", "Worker", "launch", "manner_of_death", "start"]

PROGRAM = "import sys; sys.path.insert(0, {root!r}); from whorl.supervisor.{module} import main; main({descriptor})"
ROOT = str(Path(version.__file__).resolve().parents[1])


class Phase(Enum):
    """What a worker does."""

    STARTING = "it imports and starts the application, which may take as long as it likes"
    SERVING = "it accepts clients"
    LEAVING = "it was told to leave, and drains"


class Process(Protocol):
    """A child process, as `subprocess.Popen` has it: it ends once, and its number means it until that was noticed."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """How it ended: its status, or the signal with a minus; None where no `poll` has seen that yet."""

    def poll(self) -> int | None:
        """The same, as it is now. Waits for nothing."""

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""


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
    process: Process
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
        return manner_of_death(self.process.returncode)


def manner_of_death(status: int | None) -> str:
    """How a process ended, as the end of a sentence.

    Args:
        status: as `Process.returncode` has it.
    """
    if status is None or status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


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
    process, channel = launch("main", FROM_WORKER, [place.descriptor for place in letter.places], directory, stdin)
    worker = Worker(letter.number, process, channel, now)
    worker.channel.say(Word.LETTER, letter.sealed())
    return worker


def launch(
    module: str,
    messages: Messages,
    descriptors: Sequence[int],
    directory: str,
    stdin: int | None = subprocess.DEVNULL,
) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a fresh interpreter, and have a channel to it.

    Args:
        module: of this package, whose `main` it calls.
        messages: what it may say.
        descriptors: what it inherits.
        directory: where it works.
        stdin: its standard input, as `subprocess` has it; None is our own.

    Raises:
        OSError: the system has no room for another process.
    """
    ours, theirs = socket.socketpair()
    program = PROGRAM.format(root=ROOT, module=module, descriptor=theirs.fileno())
    # Ctrl+C at a terminal reaches the whole group of processes. The mask is inherited, so that a worker is deaf to it
    # from its first instruction, until it has a handler.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            [sys.executable, *interpreter_options(), "-c", program],
            stdin=stdin,
            pass_fds=[theirs.fileno(), *descriptors],
            cwd=directory,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return process, Channel(ours, messages)


def interpreter_options() -> Iterable[str]:
    """The options that this interpreter was started with: -X dev, -W error, -O and so on."""
    options = getattr(subprocess, "_args_from_interpreter_flags", None)
    return options() if options is not None else ()
