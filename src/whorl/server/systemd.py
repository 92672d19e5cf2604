"""Telling the service manager how the process does (sd_notify(3)): ready, reloading, stopping, alive.

The protocol is a datagram of `NAME=value` lines to the Unix socket that NOTIFY_SOCKET names. Where it names none,
nobody is told.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from time import monotonic_ns

__all__ = ["Notifier"]

# The manager reads at once and has room for thousands of these; a process must not stop because it does not.
SEND_SECONDS = 1.0


class Notifier:
    """Speaks to the service manager, if there is one.

    Args:
        environment: the variables; NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID count.

    Attributes:
        watchdog_seconds: how often the manager wants to hear that the process is alive; None where it does not.
    """

    __slots__ = ("_address", "watchdog_seconds")

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is an abstract one (unix(7)). vsock, for virtual machines, is not for services.
        known = name[:1] in ("/", "@") and hasattr(socket, "AF_UNIX")
        self._address = ("\0" + name[1:] if name[0] == "@" else name) if known else None
        wanted, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_ours = known and wanted.isascii() and wanted.isdigit() and process in ("", str(os.getpid()))
        self.watchdog_seconds = int(wanted) / 1e6 if is_ours and int(wanted) else None

    def ready(self, status: str) -> None:
        """The process serves, from the start or again after `reloading`.

        Args:
            status: a line for `systemctl status`.
        """
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The process takes new code or settings, and says `ready` when it has them. With the time, which units of
        Type=notify-reload ask for."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The process has begun to leave."""
        self._send("STOPPING=1")

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say that the process is alive, now and for as long as the loop turns: an application that blocks it is
        silent, and the manager restarts the process. Twice in the time that the manager waits, as it recommends."""
        if self.watchdog_seconds is not None:
            self.alive()
            loop.call_later(self.watchdog_seconds / 2, self.watch, loop)

    def handed_over(self, process: int) -> None:
        """Another process is the service from now on.

        Args:
            process: its number.
        """
        self._send(f"MAINPID={process}")

    def alive(self) -> None:
        """The process is alive, which it has to say every `watchdog_seconds` at least."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as handle:
            handle.settimeout(SEND_SECONDS)
            try:
                handle.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass  # the manager has left; that is no reason not to serve
