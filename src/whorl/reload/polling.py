"""Noticing changes without help of the system: look at every file again and again (stat(2)).

What `watching` falls back to where the package watchfiles is not installed. It finds new, changed and removed files. It
takes a twentieth of the processor at most: the more there is to look at, the rarer it looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Event
from time import monotonic

from whorl.reload.file_filter import Wanted

__all__ = ["poll"]

LONGEST_SHARE = 20

Seen = dict[str, tuple[int, int, int]]


def poll(wanted: Wanted, delay_seconds: float, stop: Event) -> Iterator[set[str]]:
    """Each time something has changed, and nothing more for a while: the paths.

    Args:
        wanted: what to look at.
        delay_seconds: how often to look, and how long a while is.
        stop: ends it.
    """
    seen, rest_seconds = look(wanted)
    changed: set[str] = set()
    while not stop.wait(max(delay_seconds, rest_seconds)):
        now, rest_seconds = look(wanted)
        fresh = differences(seen, now)
        seen = now
        changed |= fresh
        if changed and not fresh:
            yield changed
            changed = set()


def look(wanted: Wanted) -> tuple[Seen, float]:
    """What is there, and how long to rest after the effort."""
    began = monotonic()
    seen: Seen = {}
    for root in wanted.roots:
        for directory, folders, files in os.walk(root):
            folders[:] = [name for name in folders if wanted.directory(os.path.join(directory, name))]
            for path in (os.path.join(directory, name) for name in files):
                if wanted.file(path):
                    try:
                        status = os.stat(path)
                    except OSError:  # it is gone again
                        continue
                    seen[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return seen, (monotonic() - began) * LONGEST_SHARE


def differences(before: Seen, now: Seen) -> set[str]:
    """The paths that came, went or changed."""
    return {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
