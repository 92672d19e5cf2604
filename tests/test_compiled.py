"""A build that was to be compiled is compiled, and one that was not is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import whorl
from whorl.cli.main import version
from whorl.compiled import HOT_MODULES, compiled_modules

WANTED = os.environ.get("WHORL_COMPILE", "0") not in ("", "0")


@pytest.mark.parametrize("name", HOT_MODULES)
def test_every_hot_module_is_there(name: str) -> None:
    source = Path(__file__).parents[1] / "src" / name.replace(".", "/")
    assert source.with_suffix(".py").is_file()


def test_what_was_asked_for_is_what_runs() -> None:
    """`make test` runs the suite on both builds, and says so by WHORL_COMPILE."""
    assert compiled_modules() == (list(HOT_MODULES) if WANTED else [])
    assert (Path(whorl.__file__).parents[2] == Path(__file__).parents[1]) is not WANTED


def test_the_command_says_which() -> None:
    last = version().splitlines()[-1]
    assert last == (
        "compiled: " + ", ".join(name.removeprefix("whorl.") for name in HOT_MODULES) if WANTED else "pure Python"
    )
