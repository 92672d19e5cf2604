"""What parent and worker say to each other: lines over a socket pair (socketpair(2)), each a JSON array of a word and
what belongs to it.

Whoever dies, however it dies, closes its end, and the other one hears that at once: no process identifiers to poll, no
file to leave behind. `Channel` is the parent's end, which never blocks. `whorl.supervisor.agent` is the worker's.

An application can write to any fd of its process, this one included, so each end checks every line against the table
of what the other end may say. A line that is not in the table is dropped.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

__all__ = [
    *("FROM_FORK_SERVER", "FROM_NEW_SERVER", "FROM_WORKER", "TO_FORK_SERVER", "TO_WORKER"),
    *("Channel", "MalformedMessage", "Messages", "Word", "decode", "encode"),
]

LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""Longer than any line. What has no end of line by then is dropped."""

SHOWN_BYTES = 100
"""How much of a malformed line is logged."""


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
    DEBUGGED = "debugged"
    """The thread of the loop is in a debugger, and waits for its user."""
    LAST_WORDS = "last words"
    """Why it could not start; one sentence for each thing."""
    BORN = "born"
    """Says a nursery: a worker is forked; with its number, and that of its process."""
    UNBORN = "unborn"
    """Says a nursery: a worker cannot be forked; with its number, and the reason."""


def is_text(item: Any) -> bool:
    return isinstance(item, str)


def is_texts(item: Any) -> bool:
    return isinstance(item, list) and all(map(is_text, item))


def is_count(item: Any) -> bool:
    return type(item) is int and 0 <= item < 2**63


def is_counts(item: Any) -> bool:
    return isinstance(item, list) and all(map(is_count, item))


def is_pid(item: Any) -> bool:
    # kill(2) and waitpid(2) take 0 and -1 for many processes.
    return type(item) is int and 0 < item < 2**31


def is_bool(item: Any) -> bool:
    return isinstance(item, bool)


Messages = Mapping[Word, Sequence[Callable[[Any], bool]]]
"""What one end may say: each word, with a check for each of its items."""

TO_WORKER: Messages = {
    Word.LETTER: [is_text],
    Word.RETIRE: [is_bool],
    Word.STOP: [],
    Word.NOW: [],
    Word.REOPEN: [],
    Word.TELL_STACK: [],
}
TO_FORK_SERVER: Messages = {Word.LETTER: [is_text], Word.BEAR: [is_count, is_counts]}
FROM_WORKER: Messages = {
    Word.READY: [is_text, is_text, is_texts],
    Word.ALIVE: [is_count, is_count],
    Word.SPENT: [is_text],
    Word.DRAINING: [],
    Word.STACK: [is_text],
    Word.DEBUGGED: [],
    Word.LAST_WORDS: [is_texts],
}
FROM_FORK_SERVER: Messages = {
    Word.READY: [],
    Word.BORN: [is_count, is_pid],
    Word.UNBORN: [is_count, is_text],
    Word.LAST_WORDS: [is_texts],
}
FROM_NEW_SERVER: Messages = {Word.READY: []}


class MalformedMessage(ValueError):
    """A line that the other end of a channel cannot have meant."""

    def __init__(self, line: bytes) -> None:
        more = "…" if len(line) > SHOWN_BYTES else ""
        super().__init__(f"{bytes(line[:SHOWN_BYTES])!r}{more}")


def encode(word: Word, *items: Any) -> bytes:
    """A line."""
    return json.dumps([word, *items]).encode() + b"\n"


def decode(line: bytes, messages: Messages) -> tuple[Word, list[Any]]:
    """Read a line's word and items.

    Args:
        line: the line.
        messages: what the other end may say.

    Raises:
        MalformedMessage: the line is none of these.
    """
    try:
        word, *items = json.loads(line)
        checks = messages[Word(word)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MalformedMessage(line) from None
    if len(items) != len(checks) or not all(check(item) for check, item in zip(checks, items, strict=True)):
        raise MalformedMessage(line)
    return Word(word), items


class Channel:
    """The parent's end.

    Args:
        handle: a connected socket; the channel closes it.
        messages: what the other end may say.

    Attributes:
        malformed: the first line that was none of these, None while there is none.
    """

    __slots__ = ("_coming", "_going", "_messages", "handle", "malformed")

    def __init__(self, handle: socket.socket, messages: Messages) -> None:
        handle.setblocking(False)
        self.handle = handle
        self.malformed: MalformedMessage | None = None
        self._messages = messages
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
        """What has come, and whether more may come. One call reads a bounded number of bytes: the caller has others to
        hear."""
        is_open = True
        try:
            while len(self._coming) <= LINE_LIMIT_BYTES:
                octets = self.handle.recv(65536)
                if not octets:
                    is_open = False
                    break
                self._coming += octets
        except BlockingIOError:
            pass
        except OSError:
            is_open = False
        *lines, rest = bytes(self._coming).split(b"\n")
        if len(rest) > LINE_LIMIT_BYTES:
            lines, rest = [*lines, rest], b""
        self._coming[:] = rest
        return [message for line in lines if (message := self._decode(line)) is not None], is_open

    def _decode(self, line: bytes) -> tuple[Word, list[Any]] | None:
        try:
            return decode(line, self._messages)
        except MalformedMessage as error:
            self.malformed = self.malformed or error
            return None

    def close(self) -> None:
        """Hang up."""
        self.handle.close()
