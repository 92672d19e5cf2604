"""Which changed files are a reason to restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whorl.reload.file_filter import FileFilter


@pytest.mark.parametrize(
    ("below", "counts"),
    [
        ("main.py", True),
        ("package/module.py", True),
        ("main.pyc", False),
        ("index.html", False),
        (".git/hook.py", False),
        (".venv/lib/python3/site-packages/x.py", False),
        ("package/__pycache__/main.py", False),
        ("node_modules/x/y.py", False),
        (".#main.py", False),
    ],
)
def test_by_default_python_files_that_are_not_hidden(tmp_path: Path, below: str, counts: bool) -> None:
    assert FileFilter([str(tmp_path)]).matches_file(str(tmp_path / below)) is counts


@pytest.mark.parametrize("pattern", ["tests", "./tests/", "tests/*", "test*", "data.py"])
def test_what_is_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.chdir(tmp_path)
    file_filter = FileFilter(["."], excludes=[pattern])
    assert not file_filter.matches_file("tests/data.py")
    assert file_filter.matches_file("main.py")


def test_an_absolute_path_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not FileFilter(["."], excludes=[str(tmp_path / "tests")]).matches_file("tests/data.py")


def test_what_is_included_comes_on_top_and_drops_a_default_of_the_other_side(tmp_path: Path) -> None:
    file_filter = FileFilter([str(tmp_path)], includes=["*.html", ".*", ".env"])
    assert file_filter.matches_file(str(tmp_path / "index.html"))
    assert file_filter.matches_file(str(tmp_path / "main.py"))
    assert file_filter.matches_file(str(tmp_path / ".env"))
    assert not FileFilter([str(tmp_path)], excludes=["*.py"], includes=["*.html"]).matches_file(
        str(tmp_path / "main.py")
    )


def test_only_below_what_is_watched(tmp_path: Path) -> None:
    file_filter = FileFilter([str(tmp_path / "a"), str(tmp_path / "a" / ".b")])
    assert not file_filter.matches_file(str(tmp_path / "main.py"))
    assert not file_filter.matches_file(str(tmp_path / "ab" / "main.py"))
    assert file_filter.matches_file(str(tmp_path / "a" / ".b" / "main.py")), "it was asked for"
    assert not file_filter.matches_directory(os.path.join(str(tmp_path), "a", ".c"))
