"""What decides by platform, in one place.

Everything that is otherwise on Windows, on PyPy or on an older Python is a property here, asked by name; nobody else
compares `sys.platform`. The facts are fields, so a test asks about Windows by passing `Platform(system="win32")`.

Anybody may import this module; it imports nothing of Whorl, and nothing heavy before it is needed.
"""

from __future__ import annotations

import os
import select
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = [
    "HERE",
    "READ_ONLY",
    "Platform",
    "claim_address",
    "descriptor_limit",
    "has_forked",
    "open_standard_fds",
    "peer_acknowledges",
    "peer_has_ended",
    "peer_is_gone",
    "raise_descriptor_limit",
    "reset_on_close",
]


@dataclass(frozen=True, slots=True)
class Platform:
    """The facts that decide something. Each default is this process's own.

    Args:
        system: as `sys.platform` spells it: `linux`, `darwin`, `win32` …
        implementation: as `sys.implementation.name` spells it: `cpython`, `pypy` …
        python: the version of the Python language, major, minor, micro.
    """

    system: str = sys.platform
    implementation: str = sys.implementation.name
    python: tuple[int, int, int] = sys.version_info[:3]

    @property
    def is_windows(self) -> bool:
        return self.system == "win32"

    @property
    def is_pypy(self) -> bool:
        return self.implementation == "pypy"

    @property
    def python_version(self) -> str:
        """`3.13.0`."""
        return ".".join(map(str, self.python))

    @property
    def has_unix_sockets(self) -> bool:
        """Whether asyncio offers Unix sockets: it has none on Windows, whatever the system itself can do."""
        return not self.is_windows

    @property
    def has_inherited_sockets(self) -> bool:
        """Whether a socket can be handed to a child process as a file descriptor: on Windows those are for files."""
        return not self.is_windows

    @property
    def has_workers(self) -> bool:
        """Whether there can be workers: they inherit their sockets, and their parent lives by signals and socket
        pairs, which is not how it is on Windows."""
        return not self.is_windows

    @property
    def adopts_orphans(self) -> bool:
        """Whether a process can become the parent of those that its children fork (prctl(2),
        PR_SET_CHILD_SUBREAPER)."""
        return self.system == "linux"

    @property
    def deals_connections(self) -> bool:
        """Whether SO_REUSEPORT deals connections out to all sockets of an address: elsewhere the last one gets all."""
        return self.system == "linux"

    @property
    def has_epoll(self) -> bool:
        """Whether there is epoll(7)."""
        return self.system == "linux"

    @property
    def has_nameless_sockets(self) -> bool:
        """Whether a Unix socket can be bound to a name that the kernel makes up and no file has (unix(7))."""
        return self.system == "linux"

    @property
    def peak_memory_unit_bytes(self) -> int:
        """In what getrusage(2) counts the most memory that a process has held."""
        return 1 if self.system == "darwin" else 1024

    @property
    def has_sendfile(self) -> bool:
        """Whether there is sendfile(2), which copies from a file to a socket inside the kernel."""
        return not self.is_windows

    @property
    def leaving_signals(self) -> tuple[str, ...]:
        """The names of the signals that ask a process to leave; SIGBREAK is Ctrl+Break."""
        return ("SIGINT", "SIGTERM", "SIGBREAK") if self.is_windows else ("SIGINT", "SIGTERM")

    @property
    def has_hangup(self) -> bool:
        """Whether there are SIGHUP, SIGUSR1 and SIGUSR2."""
        return not self.is_windows

    @property
    def signals_wake_loops(self) -> bool:
        """Whether a signal ends the system call that a loop waits in. Ctrl+C does not end select() on Windows."""
        return not self.is_windows

    @property
    def asyncio_loop(self) -> str:
        """What makes asyncio's own loop, as `<module>:<class>`. On Windows the Selector has no subprocesses."""
        return "asyncio:ProactorEventLoop" if self.is_windows else "asyncio:SelectorEventLoop"

    @property
    def asyncio_bears_resets(self) -> bool:
        """Whether the listeners of asyncio's own loops take no harm from a client that resets before it was accepted.

        On Windows, the Proactor's never accepts again (CPython gh-93821), and the Selector's logs a traceback.
        """
        return not self.is_windows


HERE = Platform()
"""The platform this process runs on."""

READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""How to open a file for reading bytes. Without O_NONBLOCK, opening a FIFO would wait for a writer."""

make_poll = getattr(select, "poll", None)
"""Taken before an application is imported, which may put another one there (gevent) that runs other code meanwhile."""

LAST_ACKNOWLEDGED_AT = 56
"""Where `tcpi_last_ack_recv` stands in the `struct tcp_info` of linux/tcp.h: 32 bits, in milliseconds."""

TICK_MILLISECONDS = 20
"""More than the kernel's clock for this is off by, which counts 100 to 1000 ticks a second."""

RESET_ON_CLOSE = struct.pack("HH" if HERE.is_windows else "ii", 1, 0)
"""`struct linger` of socket(7): on, and not a second."""


FORKED: set[int] = set()
"""This process's number, if it has forked. A child inherits the set and is not in it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=lambda: FORKED.add(os.getpid()))


def has_forked() -> bool:
    """Return whether a child of this process may hold the sockets that were open when it was forked: then to close one
    here does not end its connection. Children of `subprocess` do not count, they close what they inherit."""
    return os.getpid() in FORKED


def open_standard_fds() -> None:
    """Open /dev/null as each of fd 0, 1 and 2 that is closed (`<&-`, some init systems): a socket or an event loop's
    own fd would take the number, be written to as standard error, and be replaced in child processes."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(fd, True)


def claim_address(handle: socket.socket) -> None:
    """Have bind(2) take an address that was in use a moment ago, and refuse one that somebody listens on."""
    import socket

    if sys.platform == "win32":
        # There, SO_REUSEADDR would let two servers take the same port, and nothing is in use for long.
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def descriptor_limit() -> int | None:
    """How many file descriptors this process may have (getrlimit(2), RLIMIT_NOFILE); None where that is not limited."""
    if sys.platform == "win32":
        return None
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit(most: int) -> None:
    """Raise that limit (the soft one) to what the administrator allows (the hard one).

    Args:
        most: do not raise it above this.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass  # there are systems that allow less than they say


def reset_on_close(descriptor: int) -> None:
    """Have closing destroy a connection (RST) and not end it, so that its other end sees an error.

    Args:
        descriptor: of the socket, which stays as open as it was.

    Raises:
        OSError, ValueError: there is no such socket any more.
    """
    import socket

    handle = socket.socket(fileno=descriptor)
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    finally:
        handle.detach()


def peer_is_gone(descriptor: int) -> bool:
    """Whether the other end of a connected socket has closed or reset it whole; half-closing does not count.

    Args:
        descriptor: the socket's file descriptor.

    Returns:
        False where the system has no poll(2): there, writing tells.
    """
    return poll_now(descriptor, 0)  # POLLHUP and POLLERR come unasked


def peer_has_ended(descriptor: int) -> bool:
    """Whether the other end of a connected socket has closed, reset, or half-closed it, though what it sent before may
    not have been read yet.

    Args:
        descriptor: the socket's file descriptor.

    Returns:
        False where poll(2) does not tell (POLLRDHUP, which is Linux's): there, reading tells.
    """
    return poll_now(descriptor, getattr(select, "POLLRDHUP", 0))


def peer_acknowledges(descriptor: int, seconds: float) -> bool:
    """Whether the other end of a connected socket has acknowledged anything within the last so many seconds (TCP_INFO
    of tcp(7)): its system does that even where nothing that it sends is read here.

    Args:
        descriptor: the socket's file descriptor.
        seconds: how long ago something was sent to it.

    Returns:
        True where the system does not tell.
    """
    import socket

    if sys.platform != "linux" or descriptor < 0:
        return True
    handle = socket.socket(fileno=descriptor)
    try:
        told = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_ACKNOWLEDGED_AT + 4)
    except OSError:
        return True  # it is a Unix socket, whose other end is on this machine
    finally:
        handle.detach()
    milliseconds: int = struct.unpack_from("I", told, LAST_ACKNOWLEDGED_AT)[0]
    return milliseconds <= seconds * 1000 + TICK_MILLISECONDS


def poll_now(descriptor: int, events: int) -> bool:
    """Whether one of these events, or POLLHUP or POLLERR, has happened."""
    if descriptor < 0 or make_poll is None:
        return False
    poll = make_poll()
    poll.register(descriptor, events)
    return bool(poll.poll(0))
