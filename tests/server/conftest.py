"""The servers under test: one process per loop and options, shared by the tests that do not disturb one another."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from tests.harness import Process, serve

# A line of the log that no test may cause: our own mistakes, and what an event loop says of callbacks and tasks that
# nobody looked after.
OURS = ("bug of Whorl", "exception in callback", "never retrieved", "never awaited", "Task was destroyed")

HASTY_SECONDS = 0.4
NUMBERS = count()


class Pool:
    """Starts a server when it is first asked for, and stops all of them at the end."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.running: dict[tuple[tuple[str, Any], ...], Process] = {}

    def server(self, **options: Any) -> Process:
        key = tuple(sorted(options.items()))
        found = self.running.get(key)
        if found is None or found.popen.poll() is not None:
            found = self.running[key] = self.stack.enter_context(serve("tests.apps:app", **options))
        return found


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """All shared servers. Whatever the tests did to one, it leaves at once and in order."""
    pool = Pool()
    with pool.stack:
        yield pool
        for process in pool.running.values():
            if process.popen.poll() is None:
                process.signal(signal.SIGTERM)
        for options, process in pool.running.items():
            assert process.wait(10) == 0, (options, process.stderr[-20:])


def watched(process: Process) -> Iterator[Process]:
    """A server that must be alive after the test, and have logged nothing that is its own fault."""
    before = len(process.stderr)
    yield process
    assert process.popen.poll() is None, process.stderr[before:]
    said = process.stderr[before:]
    assert not [line for line in said for words in OURS if words.lower() in line.lower()], said


@pytest.fixture
def name() -> str:
    """A name that no other test has, for what a request notes and waits for."""
    return f"test-{next(NUMBERS)}"


@pytest.fixture
def server(pool: Pool, loop_name: str) -> Iterator[Process]:
    """A server with the defaults."""
    yield from watched(pool.server(loop=loop_name))


def hasty_options(seconds: float) -> dict[str, float]:
    """Wait for nobody longer than this."""
    names = ("first_byte", "request_head", "request_body", "response", "keep_alive")
    return {f"timeout_{name}": seconds for name in names}


@pytest.fixture
def hasty(pool: Pool, loop_name: str) -> Iterator[Process]:
    """A server that waits for nobody longer than HASTY_SECONDS."""
    yield from watched(pool.server(loop=loop_name, **hasty_options(HASTY_SECONDS)))
