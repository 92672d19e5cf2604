"""The line protocol between the supervisor and the processes that it starts: its workers, the fork server and the
server that takes over.

A message is one line, a JSON array of a `MessageType` and its items. An application can write to any fd of its process,
so each receiver checks each line against the table of what the peer may send and drops what is not in it.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

__all__ = [
    *("BOOTSTRAP_VARIABLE", "FROM_FORK_SERVER", "FROM_NEW_SERVER", "FROM_WORKER", "HANDOVER_VARIABLE"),
    *("TO_FORK_SERVER", "TO_FROZEN_PROGRAM", "TO_NEW_SERVER", "TO_WORKER"),
    *("BlockingChannel", "Channel", "MalformedMessage", "Message", "MessageTable", "MessageType", "decode", "encode"),
]

BOOTSTRAP_VARIABLE = "_WHORL_WORKER"
HANDOVER_VARIABLE = "_WHORL_HANDOVER"
"""Environment variables that each carry one message, to a process that does not know yet which fd its channel is. They
are not settings, whose names begin with WHORL_."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""More than any valid line. A longer one is dropped."""

READ_BYTES = 65536

SHOWN_BYTES = 100
"""How much of a malformed line is logged."""


class MessageType(StrEnum):
    """The first item of a message."""

    # To a worker or the fork server
    SPEC = "spec"
    """The first message: a `WorkerSpec`."""

    # To a worker
    RETIRE = "retire"
    """Drain: a replacement serves already. The item says whether nothing else accepts from the worker's queues."""
    STOP = "stop"
    """Drain: all workers do."""
    STOP_NOW = "stop now"
    """Exit without a drain."""
    REOPEN_LOGS = "reopen logs"
    DUMP_STACK = "dump stack"
    """Reply with STACK or IN_DEBUGGER."""

    # From a worker
    READY = "ready"
    """Clients are accepted. A worker adds the name of the application, the loop, and its URLs."""
    HEARTBEAT = "heartbeat"
    """The event loop runs; with the resident memory in bytes."""
    REPLACE_ME = "replace me"
    """`limit_max_requests` is reached."""
    DRAINING = "draining"
    """No more clients are accepted."""
    STACK = "stack"
    """What the thread of the event loop executes."""
    IN_DEBUGGER = "in debugger"
    """The thread of the event loop waits for the user of a debugger."""
    START_FAILED = "start failed"
    """Why the start failed, one sentence for each problem. The fork server sends it, too."""

    # Between the supervisor and the fork server
    FORK = "fork"
    """Fork a worker. Items: a request number, and the sender's fds of the listening sockets that are passed with
    the message. The first fd passed is the worker's end of its channel."""
    FORKED = "forked"
    """Items: the request number and the pid."""
    FORK_FAILED = "fork failed"
    """Items: the request number and the reason."""

    # In environment variables
    BOOTSTRAP = "bootstrap"
    """Become a worker or the fork server. Items: the module whose `main` to call, the fd of the channel and its inode,
    by which a process that merely inherited the variable sees that it is not meant."""
    HANDOVER = "handover"
    """Take over these sockets. Items: the fd of the channel, the addresses as text, and the sockets: for each its fd,
    URL, whether another program owns it, the inode of a Unix socket's path, and the port that it redirects to."""


Check = Callable[[Any], bool]
"""Whether an item of a message is valid."""


def is_a(kind: type) -> Check:
    return lambda item: type(item) is kind


def between(minimum: int, end: int) -> Check:
    return lambda item: type(item) is int and minimum <= item < end


def optional(check: Check) -> Check:
    return lambda item: item is None or check(item)


def list_of(check: Check) -> Check:
    return lambda item: type(item) is list and all(map(check, item))


def row_of(*checks: Check) -> Check:
    return lambda item: type(item) is list and matches(item, checks)


def matches(items: Sequence[Any], checks: Sequence[Check]) -> bool:
    """Whether there are as many items as checks, and all are valid."""
    return len(items) == len(checks) and all(check(item) for check, item in zip(checks, items, strict=True))


TEXT, BOOL = is_a(str), is_a(bool)
COUNT, FD, PORT = between(0, 2**64), between(0, 2**31), between(0, 2**16)
PID = between(1, 2**31)
"""kill(2) and waitpid(2) take 0 and -1 for many processes."""
SOCKET = row_of(FD, TEXT, BOOL, optional(row_of(COUNT, COUNT)), optional(PORT))

MessageTable = Mapping[MessageType, Sequence[Check]]
"""What a peer may send: each type, with one check for each item."""

Message = tuple[MessageType, list[Any]]

TO_WORKER: MessageTable = {
    MessageType.SPEC: [TEXT],
    MessageType.RETIRE: [BOOL],
    MessageType.STOP: [],
    MessageType.STOP_NOW: [],
    MessageType.REOPEN_LOGS: [],
    MessageType.DUMP_STACK: [],
}
FROM_WORKER: MessageTable = {
    MessageType.READY: [TEXT, TEXT, list_of(TEXT)],
    MessageType.HEARTBEAT: [COUNT],
    MessageType.REPLACE_ME: [],
    MessageType.DRAINING: [],
    MessageType.STACK: [TEXT],
    MessageType.IN_DEBUGGER: [],
    MessageType.START_FAILED: [list_of(TEXT)],
}
TO_FORK_SERVER: MessageTable = {MessageType.SPEC: [TEXT], MessageType.FORK: [COUNT, list_of(FD)]}
FROM_FORK_SERVER: MessageTable = {
    MessageType.READY: [],
    MessageType.FORKED: [COUNT, PID],
    MessageType.FORK_FAILED: [COUNT, TEXT],
    MessageType.START_FAILED: [list_of(TEXT)],
}
TO_NEW_SERVER: MessageTable = {MessageType.HANDOVER: [FD, TEXT, list_of(SOCKET)]}
FROM_NEW_SERVER: MessageTable = {MessageType.READY: []}
TO_FROZEN_PROGRAM: MessageTable = {MessageType.BOOTSTRAP: [TEXT, FD, COUNT]}


class MalformedMessage(ValueError):
    """A line that the peer may not send."""

    def __init__(self, line: bytes) -> None:
        ellipsis = "…" if len(line) > SHOWN_BYTES else ""
        super().__init__(f"{bytes(line[:SHOWN_BYTES])!r}{ellipsis}")


def encode(kind: MessageType, *items: Any) -> bytes:
    """Make a line."""
    return json.dumps([kind, *items]).encode() + b"\n"


def decode(line: bytes, table: MessageTable) -> Message:
    """Parse and check a line.

    Args:
        line: the line.
        table: what the peer may send.

    Raises:
        MalformedMessage: the line is not in the table.
    """
    try:
        kind, *items = json.loads(line)
        checks = table[MessageType(kind)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MalformedMessage(line) from None
    if not matches(items, checks):
        raise MalformedMessage(line)
    return MessageType(kind), items


class Channel:
    """The parent's end of a socket pair (socketpair(2)). It never blocks.

    A peer that dies, however it dies, closes its end, and the kernel reports that here at once.

    Args:
        sock: a connected socket, which the channel owns.
        table: what the peer may send.

    Attributes:
        is_open: False once the peer has closed its end.
        malformed: the first malformed message, None if there was none.
    """

    __slots__ = ("_on_ready", "_received", "_selector", "_sock", "_table", "_unsent", "is_open", "malformed")

    def __init__(self, sock: socket.socket, table: MessageTable) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._table = table
        self._received = bytearray()
        self._unsent = bytearray()
        self._selector: selectors.BaseSelector | None = None
        self.is_open = True
        self.malformed: MalformedMessage | None = None

    def watch(self, selector: selectors.BaseSelector, on_ready: Callable[[], object]) -> None:
        """Register with a selector, until the peer closes or `close` is called.

        Args:
            selector: the selector; its key's data is `on_ready`.
            on_ready: what calls `receive`.
        """
        self._selector, self._on_ready = selector, on_ready
        selector.register(self._sock, self._events(), on_ready)

    def _events(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def _unwatch(self) -> None:
        if self._selector is not None:
            self._selector.unregister(self._sock)
            self._selector = None

    def send(self, kind: MessageType, *items: Any) -> None:
        """Send a message, or buffer it until there is room. If the peer is gone, the message is lost."""
        self._unsent += encode(kind, *items)
        self._flush()

    def send_fds(self, fds: Sequence[int], kind: MessageType, *items: Any) -> None:
        """Send a message with fds (unix(7), SCM_RIGHTS), at once or not at all.

        Raises:
            OSError: the peer is gone, or there is no room.
        """
        line = encode(kind, *items)
        if self._unsent or socket.send_fds(self._sock, [line], fds) < len(line):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
        if self._selector is not None:
            self._selector.modify(self._sock, self._events(), self._on_ready)

    def receive(self) -> list[Message]:
        """Return the messages that have arrived, and send what is buffered. One call reads a bounded number of bytes,
        so that a peer that writes without end does not keep the caller from the others."""
        if not self.is_open:
            return []
        try:
            while len(self._received) <= MAX_LINE_BYTES:
                data = self._sock.recv(READ_BYTES)
                if not data:
                    self.is_open = False
                    break
                self._received += data
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False
        if self.is_open:
            self._flush()
        else:
            self._unwatch()
        *lines, rest = bytes(self._received).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._received[:] = rest
        return [message for line in lines if (message := self._decode(line)) is not None]

    def _decode(self, line: bytes) -> Message | None:
        try:
            return decode(line, self._table)
        except MalformedMessage as error:
            self.malformed = self.malformed or error
            return None

    def close(self) -> None:
        """Unregister and close the socket."""
        self.is_open = False
        self._unwatch()
        self._sock.close()


class BlockingChannel:
    """The child's end. Several threads may send; one may receive.

    Args:
        sock: a connected socket, which the channel owns.
        table: what the peer may send.
    """

    def __init__(self, sock: socket.socket, table: MessageTable) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._table = table
        self._received = bytearray()
        self._lock = threading.Lock()

    def send(self, kind: MessageType, *items: Any) -> None:
        """Send a message. If the parent has died, it is lost, and `receive` returns None."""
        with self._lock:
            try:
                self._sock.sendall(encode(kind, *items))
            except OSError:
                pass

    def try_send(self, kind: MessageType, *items: Any) -> None:
        """Send a message, or drop it if there is no room, because the parent has not read for long."""
        line = encode(kind, *items)
        with self._lock:
            try:
                sent = self._sock.send(line, socket.MSG_DONTWAIT)
                if sent < len(line):
                    self._sock.sendall(line[sent:])
            except OSError:
                pass

    def receive(self) -> Message | None:
        """Wait for the next message. Returns None if the parent has died.

        Raises:
            MalformedMessage: the next line is not in the table.
        """
        while b"\n" not in self._received:
            try:
                data = self._read()
            except OSError:
                return None
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return decode(bytes(line), self._table)

    def _read(self) -> bytes:
        return self._sock.recv(READ_BYTES)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
