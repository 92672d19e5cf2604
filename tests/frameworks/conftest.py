"""One Whorl for each framework and each loop, started once and used by all tests that ask for it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.frameworks.contract import FILE_VARIABLE, PATIENCE_SECONDS, SHUT_DOWN
from tests.frameworks.here import FRAMEWORKS, framework_param
from tests.harness import Process, serve
from tests.loops_here import LOOPS

FAILURES = ('on "GET /fail"', 'on "GET /fail?once"', 'on "GET /fail/midway"')
"""The only requests on which an application may fail: those that ask it to."""


@dataclass(frozen=True)
class Served:
    """A framework's application, served.

    Attributes:
        framework: its name.
        process: the Whorl that serves it.
        file: what it serves at /file.
    """

    framework: str
    process: Process
    file: Path

    def client(self) -> http.client.HTTPConnection:
        """A new connection."""
        client = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=PATIENCE_SECONDS)
        client.connect()
        return client


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file larger than every buffer on its way."""
    path = tmp_path_factory.mktemp("frameworks") / "file.bin"
    path.write_bytes(bytes(range(256)) * 16 * 1024)
    return path


@pytest.fixture(scope="session", params=[framework_param(name, loop) for name in FRAMEWORKS for loop in LOOPS])
def served(request: pytest.FixtureRequest, file: Path) -> Iterator[Served]:
    """Each framework on each loop in turn. It must leave without a complaint, and have told its application so."""
    framework, loop = request.param
    with serve(
        f"tests.frameworks.apps.{framework}_app:app",
        loop=loop,
        timeout_response=1,  # the shortest deadline: the server looks for clients that left four times as often
        timeout_graceful_shutdown=5,
        environment={FILE_VARIABLE: str(file)},
    ) as process:
        yield Served(framework, process, file)
        assert process.stop() == 0
    said = "\n".join(process.stderr)
    assert "bug of Whorl" not in said
    failed = [line for line in process.stderr if "the application failed on" in line]
    assert [line for line in failed if not line.endswith(FAILURES)] == []
    assert sum(line.endswith('"GET /fail?once"') for line in failed) <= 1
    if framework != "django":  # it has no lifespan
        assert SHUT_DOWN in process.stdout


@pytest.fixture
def client(served: Served) -> Iterator[http.client.HTTPConnection]:
    """A connection of the test's own, which nobody may replace by a second one."""
    client = served.client()
    client.auto_open = 0
    yield client
    client.close()
