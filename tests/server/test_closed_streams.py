"""An application that closes standard output, or puts something else there."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from tests.harness import serve
from tests.server.client import ask


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Other:
    """What some libraries put in the place of a stream."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...


def change(how: str) -> None:
    if how == "closed":
        sys.stdout.close()
    else:
        sys.stdout = None if how == "none" else Other()  # type: ignore[assignment]


if "TEST_STDOUT" in os.environ:
    change(os.environ["TEST_STDOUT"])


@pytest.mark.parametrize("how", ["closed", "none", "replaced"])
@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"workers": 2, "preload": True}], ids=str)
def test_it_is_served_all_the_same(how: str, options: dict[str, Any]) -> None:
    environment = {"TEST_STDOUT": how, "NO_COLOR": ""}
    with serve("tests.server.test_closed_streams:app", environment=environment, **options) as server:
        assert ask(server, "/") == b"hello"
        assert server.stop() == 0
        said = "\n".join(server.stderr)
        assert "Traceback" not in said
        assert "Logging error" not in said
