"""Which changed files are a reason to start again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whorl.reload.file_filter import Wanted


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
    assert Wanted([str(tmp_path)]).file(str(tmp_path / below)) is counts


@pytest.mark.parametrize("pattern", ["tests", "./tests/", "tests/*", "test*", "data.py"])
def test_what_is_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = Wanted(["."], excludes=[pattern])
    assert not wanted.file("tests/data.py")
    assert wanted.file("main.py")


def test_an_absolute_path_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not Wanted(["."], excludes=[str(tmp_path / "tests")]).file("tests/data.py")


def test_what_is_included_comes_on_top_and_drops_a_default_of_the_other_side(tmp_path: Path) -> None:
    wanted = Wanted([str(tmp_path)], includes=["*.html", ".*", ".env"])
    assert wanted.file(str(tmp_path / "index.html"))
    assert wanted.file(str(tmp_path / "main.py"))
    assert wanted.file(str(tmp_path / ".env"))
    assert not Wanted([str(tmp_path)], excludes=["*.py"], includes=["*.html"]).file(str(tmp_path / "main.py"))


def test_only_below_what_is_watched(tmp_path: Path) -> None:
    wanted = Wanted([str(tmp_path / "a"), str(tmp_path / "a" / ".b")])
    assert not wanted.file(str(tmp_path / "main.py"))
    assert not wanted.file(str(tmp_path / "ab" / "main.py"))
    assert wanted.file(str(tmp_path / "a" / ".b" / "main.py")), "it was asked for"
    assert not wanted.directory(os.path.join(str(tmp_path), "a", ".c"))
