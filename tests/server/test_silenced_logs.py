"""An application that configures logging as `dictConfig` does by default: every logger that exists and is not named is
disabled, Whorl's two among them. They are enabled again."""

from __future__ import annotations

import logging.config
import os
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, get

WARNING = "a logging configuration disabled all loggers that existed; whorl.error and whorl.access are enabled again"


def configure(moment: str) -> None:
    if os.environ["TEST_MOMENT"] == moment:
        logging.config.dictConfig({"version": 1})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        configure("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    configure("request")
    if scope["path"] == "/fail":
        raise ZeroDivisionError("as asked")
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


if "TEST_MOMENT" in os.environ:
    configure("import")


def fail(server: Process) -> None:
    with Client(server) as client:
        assert client.ask(get("/fail")).status == 500


@pytest.mark.parametrize("moment", ["import", "startup", "request"])
@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"workers": 2, "preload": True}], ids=str)
def test_a_failure_is_told_all_the_same(moment: str, options: dict[str, Any]) -> None:
    with serve("tests.server.test_silenced_logs:app", environment={"TEST_MOMENT": moment}, **options) as server:
        fail(server)
        server.wait_for_line("ZeroDivisionError: as asked")
        server.wait_for_line('"GET /fail HTTP/1.1" 500', "stdout")
        if not options:
            assert [WARNING in line for line in server.stderr].count(True) == 1
        assert server.stop() == 0
        assert server.stderr[-1].endswith("Whorl has stopped")
