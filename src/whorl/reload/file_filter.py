"""Which files count: patterns over names, as `--reload-include` and `--reload-exclude` give them (fnmatch, any part of
the path below the watched directory).

Called by `polling` and `watching`; it looks at names only, never at files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatch

__all__ = ["Wanted"]

INCLUDES = ("*.py",)
EXCLUDES = (".*", "__pycache__", "node_modules", "~*")


class Wanted:
    """Whether a changed file is a reason to start again.

    Args:
        roots: the watched directories.
        includes: patterns on top of INCLUDES.
        excludes: patterns on top of EXCLUDES. A default that the other side names is dropped.
    """

    __slots__ = ("_excludes", "_includes", "roots")

    def __init__(self, roots: Iterable[str], includes: Iterable[str] = (), excludes: Iterable[str] = ()) -> None:
        self.roots = tuple(os.path.abspath(root) for root in roots)
        given_in, given_out = tuple(map(plain, includes)), tuple(map(plain, excludes))
        self._includes = tuple(name for name in INCLUDES if name not in given_out) + given_in
        self._excludes = tuple(name for name in EXCLUDES if name not in given_in) + given_out

    def file(self, path: str) -> bool:
        """Whether this file counts. It may be gone by now."""
        below = self._below(path)
        return below is not None and matches(below, self._includes) and not self._is_excluded(below)

    def directory(self, path: str) -> bool:
        """Whether anything below this directory may count."""
        below = self._below(path)
        return below is not None and not self._is_excluded(below)

    def _below(self, path: str) -> str | None:
        """The path from the nearest root on; None if it is below none."""
        path = os.path.abspath(path)
        found = [
            path[len(root) :].lstrip(os.sep) for root in self.roots if path == root or path.startswith(folder(root))
        ]
        return min(found, key=len, default=None)

    def _is_excluded(self, below: str) -> bool:
        parts = below.split(os.sep)
        leading = (os.sep.join(parts[: count + 1]) for count in range(len(parts)))
        return any(matches(path, self._excludes) for path in leading)


def matches(below: str, patterns: Iterable[str]) -> bool:
    """Whether the path as a whole, or its last part, fits one of the patterns."""
    name = os.path.basename(below)
    return any(fnmatch(name, pattern) or fnmatch(below, pattern) for pattern in patterns)


def plain(pattern: str) -> str:
    """A pattern as people also write it: `./tests/` is `tests`; an absolute one is meant from here."""
    if os.path.isabs(pattern):
        pattern = os.path.relpath(pattern)
    return os.path.normpath(pattern)


def folder(root: str) -> str:
    return root.rstrip(os.sep) + os.sep
