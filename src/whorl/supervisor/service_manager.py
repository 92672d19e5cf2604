"""What the supervisor reports to its service manager, and when (sd_notify(3))."""

from __future__ import annotations

from math import inf

from whorl.server.systemd import Notifier

__all__ = ["ServiceManager"]


class ServiceManager:
    """The service manager, as the supervisor sees it.

    Attributes:
        next_watchdog: when this process has to report again that it is alive; infinity if the manager does not ask for
            it, or not yet.
    """

    __slots__ = ("_is_reloading", "_notifier", "_status", "next_watchdog")

    def __init__(self) -> None:
        self._notifier = Notifier()
        self._status = ""
        self._is_reloading = False
        self.next_watchdog = inf

    def started(self, address: str, now: float) -> None:
        """Report that all workers serve for the first time."""
        self._status = f"serving on {address}"
        self._notifier.ready(self._status)
        if self._notifier.watchdog_seconds is not None:
            self.next_watchdog = now

    def feed_watchdog(self, now: float) -> None:
        """Report that this process is alive, if it is time: twice as often as the manager asks for."""
        if now >= self.next_watchdog:
            self._notifier.alive()
            self.next_watchdog = now + (self._notifier.watchdog_seconds or inf) / 2

    def restart_started(self) -> None:
        """Report that the workers are being replaced."""
        self._notifier.reloading()
        self._is_reloading = True

    def restart_ended(self) -> None:
        """Report that the restart has ended, well or not. Does nothing if there was none."""
        if self._is_reloading:
            self._notifier.ready(self._status)
            self._is_reloading = False

    def stopping(self) -> None:
        """Report that the server has begun to stop."""
        self._notifier.stopping()

    def handed_over(self, pid: int) -> None:
        """Report that another process is the service from now on."""
        self._notifier.handed_over(pid)
