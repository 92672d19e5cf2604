"""A thread that waits for files to change, and says so on a socket, for a parent that waits in a selector.

With the package watchfiles the system tells (inotify(7) and its like), without it `polling` looks. It begins before the
first process is started and never pauses, so a change while one starts is not lost. Called by `reloader`.
"""

from __future__ import annotations

import importlib.util
import logging
import socket
import threading
from collections.abc import Iterator

from whorl.observe.failures import bug
from whorl.reload.polling import poll
from whorl.reload.wanted import Wanted

__all__ = ["Watching"]

SETTLE_MILLISECONDS = 1600


class Watching:
    """Watches from `with` to its end.

    Args:
        wanted: what counts.
        delay_seconds: how long nothing must have changed before it says so.
        logger: where it says that it cannot go on.

    Attributes:
        handle: readable when something has changed.
        means: how it watches, for a person.
    """

    def __init__(self, wanted: Wanted, delay_seconds: float, logger: logging.Logger) -> None:
        self._wanted = wanted
        self._delay_seconds = delay_seconds
        self._logger = logger
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.handle, self._end = socket.socketpair()
        self.handle.setblocking(False)
        self._has_watchfiles = importlib.util.find_spec("watchfiles") is not None
        self.means = "with watchfiles" if self._has_watchfiles else f"every {delay_seconds:g} s"
        self._thread = threading.Thread(target=self._watch, name="whorl reload", daemon=True)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(1.0)  # it may be in the middle of a long look, and is a daemon
        self.handle.close()

    def taken(self) -> set[str]:
        """The paths that have changed since this was asked last."""
        with self._lock:
            changed, self._changed = self._changed, set()
        try:
            while self.handle.recv(4096):
                pass
        except BlockingIOError:
            pass
        return changed

    def _watch(self) -> None:
        try:
            for changed in (
                notified(self._wanted, self._delay_seconds, self._stop)
                if self._has_watchfiles
                else poll(self._wanted, self._delay_seconds, self._stop)
            ):
                with self._lock:
                    self._changed |= changed
                self._end.send(b".")
        except OSError as error:
            if not self._stop.is_set():
                self._logger.error("files are no longer watched: %s", error)
        except Exception as error:
            bug(self._logger, error)
        finally:
            self._end.close()


def notified(wanted: Wanted, delay_seconds: float, stop: threading.Event) -> Iterator[set[str]]:
    """Each time something has changed, and nothing more for a while: the paths; told by the system.

    Args:
        wanted: what counts.
        delay_seconds: how long a while is.
        stop: ends it.

    Raises:
        OSError: the system has no more room for watches.
    """
    import watchfiles

    step = max(1, int(delay_seconds * 1000))
    for changes in watchfiles.watch(
        *wanted.roots,
        watch_filter=lambda _, path: wanted.file(path),
        step=step,
        debounce=max(step, SETTLE_MILLISECONDS),
        rust_timeout=1000,
        stop_event=stop,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        yield {path for _, path in changes}
