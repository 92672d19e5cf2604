"""A commit of Whorl beside this checkout: a worktree of git, and its compiled modules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import ROOT
from benchmarks.fault import CannotRun

__all__ = ["checkout", "source_of"]


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


def source_of(tree: Path, folder: Path, name: str) -> Path:
    """Return the folder to import a worktree's Whorl from. With COMPILED=1 in the environment, its hot modules are
    compiled there.

    Raises:
        CannotRun: it cannot be compiled.
    """
    if os.environ.get("COMPILED", "") != "1":
        return tree / "src"
    target = folder / f"compiled-{name}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", str(target), str(tree)],
        env={**os.environ, "WHORL_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotRun(f"compiling {tree}: {done.stderr.strip()}")
    return target


def git(*words: str) -> None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotRun(f"git: {error.strerror}") from None
    if done.returncode:
        raise CannotRun(f"`git {' '.join(words)}`: {done.stderr.strip()}")
