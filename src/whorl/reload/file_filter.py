"""Which files count: patterns over names, from `--reload-include` and `--reload-exclude` (fnmatch, any part of the path
below the watched directory). It looks at names only, never at files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatch

__all__ = ["FileFilter"]

INCLUDES = ("*.py",)
EXCLUDES = (".*", "__pycache__", "node_modules", "~*")


class FileFilter:
    """Decides whether a changed file is a reason to restart.

    Args:
        roots: the watched directories.
        includes: patterns in addition to INCLUDES.
        excludes: patterns in addition to EXCLUDES. A default that the other argument names is dropped.
    """

    __slots__ = ("_excludes", "_includes", "roots")

    def __init__(self, roots: Iterable[str], includes: Iterable[str] = (), excludes: Iterable[str] = ()) -> None:
        self.roots = tuple(os.path.abspath(root) for root in roots)
        included, excluded = tuple(map(normalize, includes)), tuple(map(normalize, excludes))
        self._includes = tuple(name for name in INCLUDES if name not in excluded) + included
        self._excludes = tuple(name for name in EXCLUDES if name not in included) + excluded

    def matches_file(self, path: str) -> bool:
        """Whether this file counts. It may no longer exist."""
        below = self._below(path)
        return below is not None and matches(below, self._includes) and not self._is_excluded(below)

    def matches_directory(self, path: str) -> bool:
        """Whether any file below this directory may count."""
        below = self._below(path)
        return below is not None and not self._is_excluded(below)

    def _below(self, path: str) -> str | None:
        """Return the path relative to the nearest root; None if it is below none."""
        path = os.path.abspath(path)
        found = [
            path[len(root) :].lstrip(os.sep)
            for root in self.roots
            if path == root or path.startswith(with_separator(root))
        ]
        return min(found, key=len, default=None)

    def _is_excluded(self, below: str) -> bool:
        parts = below.split(os.sep)
        leading = (os.sep.join(parts[: count + 1]) for count in range(len(parts)))
        return any(matches(path, self._excludes) for path in leading)


def matches(below: str, patterns: Iterable[str]) -> bool:
    """Whether the path or its last part matches one of the patterns."""
    name = os.path.basename(below)
    return any(fnmatch(name, pattern) or fnmatch(below, pattern) for pattern in patterns)


def normalize(pattern: str) -> str:
    """Normalize a pattern: `./tests/` is `tests`, and an absolute path becomes relative to the working directory."""
    if os.path.isabs(pattern):
        pattern = os.path.relpath(pattern)
    return os.path.normpath(pattern)


def with_separator(root: str) -> str:
    return root.rstrip(os.sep) + os.sep
