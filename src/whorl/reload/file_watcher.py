"""A thread that waits for files to change, and says so on a socket, for a parent that waits in a selector.

With the package watchfiles the system tells (inotify(7) and its like). Without it, or where it does not work, `polling`
looks. It begins before the
first process is started and never pauses, so a change while one starts is not lost. Called by `reloader`.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from types import ModuleType

from whorl.observe.failures import bug, describe
from whorl.reload.file_filter import Wanted
from whorl.reload.polling import poll

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
        self._watchfiles = import_watchfiles(logger)
        self.means = f"every {delay_seconds:g} s" if self._watchfiles is None else "with watchfiles"
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
            for changed in self._changes():
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

    def _changes(self) -> Iterator[set[str]]:
        """As the system tells; if it does not, or no more, by looking."""
        if self._watchfiles is not None:
            try:
                yield from notified(self._watchfiles, self._wanted, self._delay_seconds, self._stop)
            except Exception as error:
                if self._stop.is_set():
                    return
                says = "watchfiles cannot watch (%s): looking at every file every %g s"
                self._logger.warning(says, describe(error), self._delay_seconds)
        if not self._stop.is_set():
            yield from poll(self._wanted, self._delay_seconds, self._stop)


def import_watchfiles(logger: logging.Logger) -> ModuleType | None:
    """The package, if it is installed and can be imported; that it cannot is said."""
    try:
        import watchfiles
    except Exception as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == "watchfiles"):
            logger.warning("the package watchfiles cannot be imported (%s), so it is not used", describe(error))
        return None
    return watchfiles


def notified(watchfiles: ModuleType, wanted: Wanted, delay_seconds: float, stop: threading.Event) -> Iterator[set[str]]:
    """Each time something has changed, and nothing more for a while: the paths; told by the system.

    Args:
        watchfiles: the package.
        wanted: what counts.
        delay_seconds: how long a while is.
        stop: ends it.

    Raises:
        Exception: the system has no more room for watches, or the package does not work here.
    """
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
