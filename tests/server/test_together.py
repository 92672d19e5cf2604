"""Many clients at once, on every loop: each is served as if it were alone."""

from __future__ import annotations

from tests.harness import Process
from tests.server.client import Client
from tests.server.together import serve_together


def test_each_hears_its_own(server: Process) -> None:
    serve_together(lambda: Client(server))
