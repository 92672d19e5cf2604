"""A thread that waits for files to change, and makes a socket readable for a parent that waits in a selector.

It uses the package watchfiles (inotify(7) and its like), or `polling` without it or where it fails. It starts before
the first process does and never pauses, so a change during a start is not lost.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from types import ModuleType

from whorl.observe.failures import describe, log_internal_error
from whorl.reload.file_filter import FileFilter
from whorl.reload.polling import poll

__all__ = ["FileWatcher"]

SETTLE_MILLISECONDS = 1600


class FileWatcher:
    """A context manager that watches until its end.

    Args:
        file_filter: which files count.
        delay_seconds: for how long nothing must have changed before changes are reported.
        logger: where failures are logged.

    Attributes:
        sock: readable when files have changed.
        method: how it watches, for the log.
    """

    def __init__(self, file_filter: FileFilter, delay_seconds: float, logger: logging.Logger) -> None:
        self._filter = file_filter
        self._delay_seconds = delay_seconds
        self._logger = logger
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.sock, self._writer = socket.socketpair()
        self.sock.setblocking(False)
        self._watchfiles = import_watchfiles(logger)
        self.method = f"every {delay_seconds:g} s" if self._watchfiles is None else "with watchfiles"
        self._thread = threading.Thread(target=self._run, name="whorl reload", daemon=True)

    def __enter__(self) -> FileWatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(1.0)  # it may be in the middle of a long scan, and is a daemon
        self.sock.close()

    def read(self) -> set[str]:
        """Return the paths that have changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        try:
            while self.sock.recv(4096):
                pass
        except BlockingIOError:
            pass
        return changed

    def _run(self) -> None:
        try:
            for changed in self._changes():
                with self._lock:
                    self._changed |= changed
                self._writer.send(b".")
        except OSError as error:
            if not self._stop.is_set():
                self._logger.error("files are no longer watched: %s", error)
        except Exception as error:
            log_internal_error(self._logger, error)
        finally:
            self._writer.close()

    def _changes(self) -> Iterator[set[str]]:
        """Yield changed paths, from watchfiles, and from polling once that fails."""
        if self._watchfiles is not None:
            try:
                yield from watch(self._watchfiles, self._filter, self._delay_seconds, self._stop)
            except Exception as error:
                if self._stop.is_set():
                    return
                message = "watchfiles cannot watch (%s): looking at every file every %g s"
                self._logger.warning(message, describe(error), self._delay_seconds)
        if not self._stop.is_set():
            yield from poll(self._filter, self._delay_seconds, self._stop)


def import_watchfiles(logger: logging.Logger) -> ModuleType | None:
    """Import the package if it is installed. Logs a warning if it cannot be imported."""
    try:
        import watchfiles
    except Exception as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == "watchfiles"):
            logger.warning("the package watchfiles cannot be imported (%s), so it is not used", describe(error))
        return None
    return watchfiles


def watch(
    watchfiles: ModuleType, file_filter: FileFilter, delay_seconds: float, stop: threading.Event
) -> Iterator[set[str]]:
    """Yield the paths that have changed, each time that nothing more changes for a while.

    Args:
        watchfiles: the package.
        file_filter: which files count.
        delay_seconds: how long a while is.
        stop: ends it.

    Raises:
        Exception: the system has no room for more watches, or the package does not work here.
    """
    step = max(1, int(delay_seconds * 1000))
    for changes in watchfiles.watch(
        *file_filter.roots,
        watch_filter=lambda _, path: file_filter.matches_file(path),
        step=step,
        debounce=max(step, SETTLE_MILLISECONDS),
        rust_timeout=1000,
        stop_event=stop,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        yield {path for _, path in changes}
