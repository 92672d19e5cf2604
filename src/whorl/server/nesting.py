"""Refusing a server inside a server: a program that calls `whorl.run` while it is imported, because the call is not
under `if __name__ == "__main__":`.

A worker imports the program, and would start workers of its own, which import the program, without end. The same holds
for a child that `multiprocessing` has started, which imports the program as `__mp_main__`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from whorl.errors import StartError

__all__ = ["refuse_nested", "serving"]

WHOLE_PROCESS = 0
IDIOM = 'put the call under if __name__ == "__main__"'

_serving: set[tuple[int, int]] = set()
"""Process and thread of each server that `whorl.run` has started, or WHOLE_PROCESS. A child that an application forks
inherits this set, and may serve: hence the process."""


@contextmanager
def serving(whole_process: bool) -> Iterator[None]:
    """Have `refuse_nested` refuse until the end of the block.

    Args:
        whole_process: whether it refuses in all threads (in a worker), or in this one, which is busy.
    """
    claim = os.getpid(), WHOLE_PROCESS if whole_process else threading.get_ident()
    _serving.add(claim)
    try:
        yield
    finally:
        _serving.discard(claim)


def refuse_nested() -> None:
    """Raise StartError where a server of this process, or what started this process, would be started again."""
    pid = os.getpid()
    if (pid, WHOLE_PROCESS) in _serving or (pid, threading.get_ident()) in _serving:
        raise StartError(f"whorl.run was called by the application that it serves: {IDIOM}")
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and getattr(multiprocessing.current_process(), "_inheriting", False):
        raise StartError(f"whorl.run was called in a child that multiprocessing starts: {IDIOM}")
    if sys.argv[1:2] == ["--multiprocessing-fork"]:
        raise StartError("this process is a child of multiprocessing: call multiprocessing.freeze_support() first")
