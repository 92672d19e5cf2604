"""A process that has imported the application and forks workers, as the supervisor sees it, and those that it forks.

    supervisor ── letter, "bear" with the ends of sockets ──> nursery (whorl.supervisor.preload.server)
               <── "ready", "born" with a number, last words ──

A worker can be asked for at once: it is unborn while the nursery still imports, and has ended if the nursery ends
before it has forked. Once it is born it is a child of the supervisor, like any other worker (`kinship`), and the
nursery has nothing more to do with it. Called by `nurseries`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from whorl.supervisor.letter import Letter
from whorl.supervisor.messages import FROM_FORK_SERVER, FROM_WORKER, Channel, Word
from whorl.supervisor.worker import Worker, launch, manner_of_death

__all__ = ["Nursery", "Ward"]


class Ward:
    """The process of a forked worker, as `subprocess.Popen` would show it.

    Args:
        nursery: who forks it.

    Attributes:
        returncode: how it ended, None as long as it has not.
    """

    __slots__ = ("_nursery", "_pid", "returncode")

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._pid: int | None = None
        self.returncode: int | None = None

    @property
    def nursery(self) -> Nursery:
        """Who has forked it, or is to do so."""
        return self._nursery

    @property
    def pid(self) -> int:
        """The number of its process; until it is born, the nursery's."""
        return self._nursery.process.pid if self._pid is None else self._pid

    def born(self, pid: int) -> None:
        """It has a process of its own, which is our child."""
        self._pid = pid

    def poll(self) -> int | None:
        """How it ended; None as long as it has not."""
        if self.returncode is None and self._pid is None:
            status = self._nursery.poll()  # it may say just now that this one is born
            if self._pid is None:
                self.returncode = status
        if self.returncode is None and self._pid is not None:
            try:
                ended, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # somebody else in this process has asked
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended. As long as it is unborn, only the nursery can be ended for it."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Nursery:
    """One such process.

    Args:
        process: the process.
        channel: what it is told by, and tells by.

    Attributes:
        is_ready: whether it has imported the application.
        wards: the workers from here that may still live.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.is_ready = False
        self.wards: list[Worker] = []
        self._unborn: dict[int, tuple[Worker, Ward]] = {}
        self._asked = 0

    @classmethod
    def open(cls, letter: Letter, directory: str) -> Nursery:
        """Start one, with what it has to know; it imports the application and waits for orders.

        Raises:
            OSError: the system has no room for another process.
        """
        nursery = cls(*launch("preload.server", FROM_FORK_SERVER, (), directory))
        nursery.channel.say(Word.LETTER, letter.sealed())
        return nursery

    def __str__(self) -> str:
        return f"the nursery (process {self.process.pid})"

    @property
    def has_unborn(self) -> bool:
        """Whether somebody waits to be forked."""
        return bool(self._unborn)

    def bear(self, letter: Letter, now: float) -> Worker:
        """Have a worker forked, as soon as the application is imported.

        Raises:
            OSError: it cannot be asked.
        """
        ours, theirs = socket.socketpair()
        ward = Ward(self)
        worker = Worker(letter.number, ward, Channel(ours, FROM_WORKER), now)
        places = [place.descriptor for place in letter.places]
        self._asked += 1
        try:
            self.channel.hand([theirs.fileno(), *places], Word.BEAR, self._asked, places)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker.channel.say(Word.LETTER, letter.sealed())
        self._unborn[self._asked] = worker, ward
        self.wards = [worker, *(other for other in self.wards if other.process.returncode is None)]
        return worker

    def hear(self) -> bool:
        """Take note of what it says. Returns whether it may say more; after a malformed message it may not, because
        that can have been the number of a worker."""
        heard, is_open = self.channel.hear()
        for word, items in heard:
            ON_WORD[word](self, *items)
        self.channel.flush()
        return is_open and self.channel.malformed is None

    def poll(self) -> int | None:
        """How it ended; None as long as it has not. What it said last has been heard then."""
        status = self.process.poll()
        if status is not None and self.channel.handle.fileno() >= 0:
            self.hear()
        return status

    def how_it_ended(self) -> str:
        """The end of a sentence that begins with the nursery."""
        return manner_of_death(self.process.returncode)

    def _hear_ready(self) -> None:
        self.is_ready = True

    def _hear_born(self, number: int, pid: int) -> None:
        if number in self._unborn:
            self._unborn.pop(number)[1].born(pid)

    def _hear_unborn(self, number: int, reason: str) -> None:
        if number not in self._unborn:
            return
        worker, ward = self._unborn.pop(number)
        worker.last_words = f"no process can be forked: {reason}"
        ward.returncode = -signal.SIGKILL

    def _hear_last_words(self, problems: list[str]) -> None:
        for worker, _ in self._unborn.values():
            worker.last_words = "; ".join(problems)


ON_WORD: dict[Word, Callable[..., Any]] = {
    Word.READY: Nursery._hear_ready,
    Word.BORN: Nursery._hear_born,
    Word.UNBORN: Nursery._hear_unborn,
    Word.LAST_WORDS: Nursery._hear_last_words,
}
