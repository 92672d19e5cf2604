"""What parent and worker say to each other: lines over a socket pair (socketpair(2)), each a JSON array of a word and
what belongs to it.

Whoever dies, however it dies, closes its end, and the other one hears that at once: no process identifiers to poll, no
file to leave behind. `Channel` is the parent's end, which never blocks. `whorl.supervisor.reporter` is the worker's.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

__all__ = ["Channel", "Word", "decode", "encode"]

LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""Longer than any line: who says so much without an end is not a worker of ours any more."""


class Word(StrEnum):
    """The first item of a line."""

    # The parent says
    LETTER = "letter"
    """Everything a worker needs to know: the first line."""
    RETIRE = "retire"
    """Somebody else has taken over: drain, with patience for clients that keep their connections. With it comes whether
    nobody has the worker's queues from now on."""
    STOP = "stop"
    """Drain and leave: all of us do."""
    NOW = "now"
    """Leave at once."""
    REOPEN = "reopen"
    """Open the log files anew."""
    TELL_STACK = "tell stack"
    """Say what the thread of the loop is doing."""
    BEAR = "bear"
    """To a nursery: fork a worker; with a number for it, and those of the descriptors that come along, but for the
    first, which is the worker's end of its channel."""

    # The worker says
    READY = "ready"
    """Clients are accepted; with the name of the application, the loop, and where."""
    ALIVE = "alive"
    """The loop has turned; with the requests that have begun, and the octets of memory."""
    SPENT = "spent"
    """It should be replaced; with the reason."""
    DRAINING = "draining"
    """It accepts no more."""
    STACK = "stack"
    """What the thread of the loop is doing."""
    LAST_WORDS = "last words"
    """Why it could not start; one sentence for each thing."""
    BORN = "born"
    """Says a nursery: a worker is forked; with its number, and that of its process."""
    UNBORN = "unborn"
    """Says a nursery: a worker cannot be forked; with its number, and the reason."""


def encode(word: Word, *items: Any) -> bytes:
    """A line."""
    return json.dumps([word, *items]).encode() + b"\n"


def decode(line: bytes) -> tuple[Word, list[Any]]:
    """A line's word and items. Raises ValueError for a line of somebody else's."""
    word, *items = json.loads(line)
    return Word(word), items


class Channel:
    """The parent's end.

    Args:
        handle: a connected socket; the channel closes it.
    """

    __slots__ = ("_coming", "_going", "handle")

    def __init__(self, handle: socket.socket) -> None:
        handle.setblocking(False)
        self.handle = handle
        self._coming = bytearray()
        self._going = bytearray()

    @property
    def is_full(self) -> bool:
        """Whether something waits to be sent: `flush` when the socket is writable."""
        return bool(self._going)

    def say(self, word: Word, *items: Any) -> None:
        """Say a line, now or when there is room. Nobody is there to hear it: then it is lost."""
        self._going += encode(word, *items)
        self.flush()

    def hand(self, descriptors: Sequence[int], word: Word, *items: Any) -> None:
        """Say a line and hand descriptors over with it (unix(7), SCM_RIGHTS), now or not at all.

        Raises:
            OSError: nobody is there, or it does not listen.
        """
        line = encode(word, *items)
        if self._going or socket.send_fds(self.handle, [line], descriptors) < len(line):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        try:
            while self._going:
                del self._going[: self.handle.send(self._going)]
        except BlockingIOError:
            pass
        except OSError:
            self._going.clear()

    def hear(self) -> tuple[list[tuple[Word, list[Any]]], bool]:
        """What has come, and whether more may come."""
        is_open = True
        try:
            while octets := self.handle.recv(65536):
                self._coming += octets
            is_open = False
        except BlockingIOError:
            pass
        except OSError:
            is_open = False
        *lines, rest = bytes(self._coming).split(b"\n")
        self._coming[:] = rest
        heard = []
        try:
            heard = [decode(line) for line in lines]
        except ValueError:
            is_open = False
        return heard, is_open and len(rest) <= LINE_LIMIT_BYTES

    def close(self) -> None:
        """Hang up."""
        self.handle.close()
