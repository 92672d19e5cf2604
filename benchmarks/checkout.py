"""A commit of Whorl beside the one that stands here: a worktree of git's, for as long as it is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import ROOT
from benchmarks.fault import CannotRun

__all__ = ["checkout"]


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out, and remove it again.

    Args:
        commit: as git understands it: a hash, a tag, "HEAD~3".
        folder: the worktree is made in it.

    Returns:
        the worktree.

    Raises:
        CannotRun: git does not know the commit, or there is no git.
    """
    if not commit:
        raise CannotRun("BASE: write the commit to compare with, such as BASE=HEAD~1")
    tree = folder / "base"
    git("worktree", "add", "--detach", str(tree), commit)
    try:
        yield tree
    finally:
        git("worktree", "remove", "--force", str(tree))


def git(*words: str) -> None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotRun(f"git: {error.strerror}") from None
    if done.returncode:
        raise CannotRun(f"`git {' '.join(words)}`: {done.stderr.strip()}")
