"""Notice new, changed and removed files without help from the system, by repeated scans (stat(2)).

Scans take a twentieth of the CPU at most: the longer a scan takes, the longer the pause after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Event
from time import monotonic

from whorl.reload.file_filter import FileFilter

__all__ = ["poll"]

PAUSE_FACTOR = 20

Snapshot = dict[str, tuple[int, int, int]]


def poll(file_filter: FileFilter, delay_seconds: float, stop: Event) -> Iterator[set[str]]:
    """Yield the paths that have changed, each time that nothing more changes for a while.

    Args:
        file_filter: which files count.
        delay_seconds: the interval between scans, which is the while.
        stop: ends it.
    """
    before, pause_seconds = scan(file_filter)
    changed: set[str] = set()
    while not stop.wait(max(delay_seconds, pause_seconds)):
        now, pause_seconds = scan(file_filter)
        new = differences(before, now)
        before = now
        changed |= new
        if changed and not new:
            yield changed
            changed = set()


def scan(file_filter: FileFilter) -> tuple[Snapshot, float]:
    """Look at every file that counts. Returns what there is, and how long to pause afterwards."""
    start = monotonic()
    snapshot: Snapshot = {}
    for root in file_filter.roots:
        for directory, folders, files in os.walk(root):
            folders[:] = [name for name in folders if file_filter.matches_directory(os.path.join(directory, name))]
            for path in (os.path.join(directory, name) for name in files):
                if file_filter.matches_file(path):
                    try:
                        st = os.stat(path)
                    except OSError:  # it was removed
                        continue
                    snapshot[path] = (st.st_mtime_ns, st.st_size, st.st_ino)
    return snapshot, (monotonic() - start) * PAUSE_FACTOR


def differences(before: Snapshot, now: Snapshot) -> set[str]:
    """List the paths that were added, removed or changed."""
    return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
