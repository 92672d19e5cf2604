"""One worker, as its parent sees it: a process, a channel, and what is known of it.

`start` makes one: a fresh interpreter, so that it imports the code that is there now, and shares nothing with its
parent but the sockets. It waits for nobody. Called by `supervisor`, which alone changes what is known.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from whorl import version
from whorl.supervisor.frozen import frozen_command, is_frozen, mark
from whorl.supervisor.letter import Letter
from whorl.supervisor.messages import FROM_WORKER, Channel, Messages, Word
from whorl.supervisor.program import interpreter_options

__all__ = ["Phase", "Process", "Worker", "launch", "manner_of_death", "start"]

PROGRAM = "; ".join(
    [
        "import sys",
        "sys.flags.safe_path or sys.path.pop(0)",
        "from importlib import machinery, util",
        'spec = machinery.PathFinder.find_spec("whorl", [{root!r}])',
        'sys.modules["whorl"] = whorl = util.module_from_spec(spec)',
        "spec.loader.exec_module(whorl)",
        "from whorl.supervisor.{module} import main",
        "main({fd})",
    ]
)
"""With -c, the current directory is on the path before the standard library, and a base64.py there would be taken for
Python's. Until the worker knows its parent's path, it imports its own Whorl, and the standard library, and no more."""
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
        is_debugged: whether that was a debugger.
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
    is_debugged: bool = False
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


def start(letter: Letter, directory: str, now: float) -> Worker:
    """Start a worker, and tell it what it needs to know.

    Args:
        letter: that.
        directory: where it works.
        now: the time.

    Raises:
        OSError: the system has no room for another process.
    """
    process, channel = launch("bootstrap", FROM_WORKER, [place.descriptor for place in letter.places], directory)
    worker = Worker(letter.number, process, channel, now)
    worker.channel.say(Word.LETTER, letter.sealed())
    return worker


def launch(
    module: str, messages: Messages, descriptors: Sequence[int], directory: str
) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a fresh interpreter, and have a channel to it. Its standard input is ours, for a debugger.

    Args:
        module: of this package, whose `main` it calls.
        messages: what it may say.
        descriptors: what it inherits.
        directory: where it works.

    Raises:
        OSError: the system has no room for another process.
    """
    ours, theirs = socket.socketpair()
    inherited = [theirs.fileno(), *descriptors]
    program = PROGRAM.format(root=ROOT, module=module, fd=theirs.fileno())
    command = [sys.executable, *interpreter_options(), "-c", program]
    if is_frozen():
        command, pipe = frozen_command(module, theirs.fileno())
        inherited.append(pipe)
    # Ctrl+C at a terminal reaches the whole group of processes. The mask is inherited, so that a worker is deaf to it
    # from its first instruction, until it has a handler.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            command,
            pass_fds=inherited,
            cwd=directory,
            env={**os.environ, **mark(module, theirs.fileno())},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        if is_frozen():
            os.close(pipe)
    return process, Channel(ours, messages)
