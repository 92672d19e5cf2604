"""An application that is patched by gevent: select.epoll is gone when it has been imported, and it is served all the
same."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.harness import serve
from tests.server.client import Client, body, events, get, post, start, until
from tests.server.test_departures import SOON_SECONDS, sockets

AS_GEVENT_DOES = """
import select, selectors
for module, name in ((select, "epoll"), (selectors, "EpollSelector")):
    if hasattr(module, name):
        delattr(module, name)
selectors.DefaultSelector = selectors.SelectSelector
"""
PATCHES = [
    pytest.param(AS_GEVENT_DOES, id="as gevent does"),
    pytest.param(
        "from gevent import monkey\nmonkey.patch_all()\n",
        id="gevent",
        marks=() if find_spec("gevent") else pytest.mark.skip(reason="NOT TESTED WITH GEVENT: it is not installed"),
    ),
]


@pytest.mark.parametrize("patch", PATCHES)
def test_it_is_served_without_our_poller(tmp_path: Path, loop_name: str, patch: str) -> None:
    (tmp_path / "patched.py").write_text(patch + "from tests.apps import app\n")
    options = {"loop": loop_name, "cwd": tmp_path, "environment": {"PYTHONPATH": os.getcwd()}}
    options["timeout_graceful_shutdown"] = 0  # the last request would wait for ever
    with serve("patched:app", **options) as server:  # type: ignore[arg-type]
        if loop_name in ("asyncio", "uvloop"):
            server.wait_for_line("the application has removed select.epoll")
        with Client(server) as client:
            assert client.ask(get()).content == b"hello"
            client.send(get(script=[start(), ("sleep", 0.01), body(b"late")]))
            assert client.response().content == b"late"
        before = sockets(server)
        client = Client(server)
        script = [("note", 0), ("wait", "never")]
        client.send(post(None, "/", "Content-Length: 10000000", script=script, name="x"), bytes(200_000))
        events(server, "x", 1)
        client.reset()
        until(lambda: sockets(server) <= before, SOON_SECONDS)
        assert server.stop() == 0
        assert not [line for line in server.stderr if "Traceback" in line]
