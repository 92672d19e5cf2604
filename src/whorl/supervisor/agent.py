"""The worker's end of the channel: what it says to its parent, and what it does at the parent's word.

Two things are said from two places, on purpose. That the loop turns is said by the loop itself, so a loop that is held
up falls silent. The parent's words are heard by a thread, so a worker whose loop is held up can still say what holds it
up, and still leaves if its parent has died.

The thread sleeps in recv(2) and costs nothing meanwhile. Called by `server` as its keeper.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from whorl.config import Config
from whorl.observe import logs
from whorl.platform import HERE
from whorl.server.hooks import Keeper
from whorl.server.listen import Bound
from whorl.server.server import Server
from whorl.supervisor.letter import Letter
from whorl.supervisor.messages import TO_WORKER, MalformedMessage, Word, decode, encode

__all__ = ["Line", "Reporter"]

RETIRING_IDLE_SECONDS = 1.0
"""How long a worker with a successor keeps connections that wait for their next request."""

DEBUGGERS = frozenset({"bdb", "code", "pydevd", "_pydevd_bundle"})
"""Modules that wait for a user: pdb, ipdb and pudb are built on bdb, `code.interact` on code, debugpy on pydevd."""

STATM = Path("/proc/self/statm")


class Line:
    """Lines to and from the parent.

    Args:
        handle: the socket that leads there.
    """

    def __init__(self, handle: socket.socket) -> None:
        handle.setblocking(True)
        self._handle = handle
        self._reader = handle.makefile("rb")
        self._lock = threading.Lock()
        self._has_complained = False

    def say(self, word: Word, *items: Any) -> None:
        """Say a line. Who would hear it may have died: then it is lost, and the thread knows."""
        with self._lock:
            try:
                self._handle.sendall(encode(word, *items))
            except OSError:
                pass

    def hint(self, word: Word, *items: Any) -> None:
        """Say a line that may as well be lost: where there is no room for it, the parent has not listened for long."""
        with self._lock:
            octets = encode(word, *items)
            try:
                sent = self._handle.send(octets, socket.MSG_DONTWAIT)
                if sent < len(octets):
                    self._handle.sendall(octets[sent:])
            except OSError:
                pass

    def next(self) -> tuple[Word, list[Any]] | None:
        """Wait for the parent's next line; None when it has died. A malformed line is logged once and dropped: the
        application may have read a part of it, from an fd that is not its own."""
        while True:
            try:
                line = self._reader.readline()
            except OSError:
                return None
            if not line.endswith(b"\n"):
                return None
            try:
                return decode(line, TO_WORKER)
            except MalformedMessage as error:
                if not self._has_complained:
                    self._has_complained = True
                    logging.getLogger(logs.ERROR_LOGGER).error("a malformed message from the parent: %s", error)


class Reporter(Keeper):
    """A worker's keeper: its parent, on the other end of the line.

    Args:
        letter: what the parent has told.
        line: to the parent.
    """

    is_worker = True
    signals = ("SIGTERM",)
    tells_manager = False
    idle_seconds = RETIRING_IDLE_SECONDS

    def __init__(self, letter: Letter, line: Line) -> None:
        self._letter = letter
        self._line = line
        self._bounds: list[Bound] = []
        self.say = line.say

    # The server's side

    def adopt(self, server: Server) -> None:
        threading.Thread(target=self._listen, args=(server,), name="whorl supervisor", daemon=True).start()

    def bind(self, config: Config) -> list[Bound]:
        self._bounds = [place.take() for place in self._letter.places]
        return self._bounds

    def started(self, server: Server, name: str, loop: str) -> None:
        self.say(Word.READY, name, loop, server.urls)
        self._beat(server, asyncio.get_running_loop())

    def draining(self, server: Server) -> None:
        self.say(Word.DRAINING)

    def limit_reached(self, server: Server) -> None:
        self.say(Word.SPENT, "limit_max_requests is reached")

    def stopped(self, server: Server) -> None:
        server.logger.debug("worker %d has stopped", self._letter.number)

    def _beat(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        """Say that the loop turns, now and from now on."""
        self._line.hint(Word.ALIVE, server.requests, resident_bytes())
        loop.call_later(self._letter.beat_seconds, self._beat, server, loop)

    # The parent's side, in a thread

    def _listen(self, server: Server) -> None:
        main = threading.main_thread().ident
        assert main is not None
        while (heard := self._line.next()) is not None:
            word, items = heard
            if word is Word.TELL_STACK:
                if is_in_debugger(main):
                    self.say(Word.DEBUGGED)
                else:
                    self.say(Word.STACK, stack_of(main))
            elif word is Word.REOPEN:
                logs.reopen()
            else:
                self._leave(server, word, *items)
        self._outlive(server)

    def _leave(self, server: Server, word: Word, is_last: bool = True) -> None:
        """Leave at the parent's word.

        Args:
            server: which.
            word: how.
            is_last: whether nobody else is left to accept what waits in the queue.
        """
        self.is_replaced = word is Word.RETIRE
        if not self.is_replaced:
            self.idle_seconds = 0.0
        if is_last:
            for place, bound in zip(self._letter.places, self._bounds, strict=False):
                bound.inherited = place.outlives
        server.should_exit = True
        if word is Word.NOW:
            server.force_exit = True

    def _outlive(self, server: Server) -> None:
        """The parent has died: finish what is under way and leave, by force if it takes too long."""
        self._leave(server, Word.STOP)
        patience_seconds = self._letter.patience_seconds
        if patience_seconds is not None:
            threading.Event().wait(patience_seconds)
            os._exit(1)


def is_in_debugger(ident: int) -> bool:
    """Whether a thread waits for the user of a debugger, such as `breakpoint()` starts.

    Args:
        ident: of the thread.
    """
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def stack_of(ident: int) -> str:
    """What a thread is doing, innermost call last."""
    frame = sys._current_frames().get(ident)
    return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()


def resident_bytes() -> int:
    """The memory that this process holds; where the system does not say, the most that it has held."""
    try:
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * HERE.peak_memory_unit_bytes
