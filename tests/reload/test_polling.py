"""Polling: new, changed and removed files, and many changes at once as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from whorl.reload.file_filter import FileFilter
from whorl.reload.polling import poll

TIMEOUT_SECONDS = 20.0


@pytest.fixture
def noticed(tmp_path: Path) -> Iterator[Callable[[], set[str]]]:
    """Returns the names of the files that were noticed next."""
    (tmp_path / "main.py").write_text("1")
    (tmp_path / "old.py").write_text("1")
    stop = threading.Event()
    queue: SimpleQueue[set[str]] = SimpleQueue()

    def watch() -> None:
        for paths in poll(FileFilter([str(tmp_path)]), 0.02, stop):
            queue.put({Path(path).name for path in paths})

    started = threading.Thread(target=watch)
    started.start()
    # It has begun when it notices a file: each try is another change.
    number = 0
    while queue.empty():
        number += 1
        (tmp_path / "main.py").write_text("1" * number)
        stop.wait(0.05)
    assert queue.get() == {"main.py"}
    stop.wait(0.1)
    while not queue.empty():
        queue.get()
    try:
        yield lambda: queue.get(timeout=TIMEOUT_SECONDS)
    finally:
        stop.set()
        started.join()


def test_a_new_a_changed_and_a_removed_file(tmp_path: Path, noticed: Callable[[], set[str]]) -> None:
    (tmp_path / "new.py").write_text("")
    assert noticed() == {"new.py"}
    (tmp_path / "new.py").write_text("changed")
    assert noticed() == {"new.py"}
    (tmp_path / "old.py").unlink()
    assert noticed() == {"old.py"}


def test_a_file_in_a_new_directory_and_none_that_does_not_count(
    tmp_path: Path, noticed: Callable[[], set[str]]
) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "x.py").write_text("")
    assert noticed() == {"x.py"}
