"""A Windows to test on, or a loud word that there is none. Only for `pytest tests/windows`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from tests.harness import Process, serve
from tests.windows.wine import PYTHON, Unavailable, Windows, environment, find_wine, set_up, wineserver

MISSING = pytest.StashKey[set[str]]()
Serve = Callable[..., AbstractContextManager[Process]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING] = set()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for reason in sorted(config.stash[MISSING]):
        terminalreporter.write_sep("!", "WINDOWS WAS NOT TESTED", red=True, bold=True)
        terminalreporter.write_line(reason, red=True)


@pytest.fixture(scope="session")
def wine() -> Iterator[None]:
    """Nothing of Wine runs on after the last test."""
    yield
    found = find_wine()
    if found is not None:
        wineserver(found, "-k")


@pytest.fixture(scope="session")
def install(wine: None, pytestconfig: pytest.Config) -> Callable[[str], Windows]:
    """A function that makes a version of Python ready on Windows, or skips the test."""

    def ready(version: str) -> Windows:
        try:
            return set_up(version)
        except Unavailable as reason:
            pytestconfig.stash[MISSING].add(str(reason))
            pytest.skip(f"Windows is not tested: {reason}")

    return ready


@pytest.fixture(scope="session")
def windows(install: Callable[[str], Windows]) -> Windows:
    """The Windows that most tests run on."""
    return install(PYTHON)


@pytest.fixture(scope="session")
def serve_there(windows: Windows) -> Serve:
    """`tests.harness.serve`, on Windows."""
    return partial(serve, python=windows.command(), environment=environment(), log_level="debug")
