"""What a supervisor tells its service manager, and when (sd_notify(3))."""

from __future__ import annotations

from math import inf

from whorl.server.systemd import Notifier

__all__ = ["ServiceManager"]


class ServiceManager:
    """The service manager, as the supervisor sees it.

    Attributes:
        due: when it next has to hear that this process is alive; infinity if it does not want to, or not yet.
        is_reloading: whether it was told that a restart of the workers is under way.
    """

    __slots__ = ("_notifier", "_status", "due", "is_reloading")

    def __init__(self) -> None:
        self._notifier = Notifier()
        self._status = ""
        self.due = inf
        self.is_reloading = False

    def serves(self, place: str, now: float) -> None:
        """All workers serve for the first time."""
        self._status = f"serving on {place}"
        self._notifier.ready(self._status)
        if self._notifier.watchdog_seconds is not None:
            self.due = now

    def report_alive(self, now: float) -> None:
        """Say that this process is alive, if it is time for that: twice as often as the manager asks for."""
        if now >= self.due:
            self._notifier.alive()
            self.due = now + (self._notifier.watchdog_seconds or inf) / 2

    def reloading(self) -> None:
        """A restart of the workers begins."""
        self._notifier.reloading()
        self.is_reloading = True

    def reloaded(self) -> None:
        """It has ended, well or not."""
        self._notifier.ready(self._status)
        self.is_reloading = False

    def stopping(self) -> None:
        """The server has begun to shut down."""
        self._notifier.stopping()

    def handed_over(self, pid: int) -> None:
        """Another process is the service from now on."""
        self._notifier.handed_over(pid)
