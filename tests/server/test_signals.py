"""Signals by mode, and in forked children."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness import Process, serve

APP = "tests.server.signals_app:app"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@contextmanager
def slow_request(server: Process) -> Iterator[list[bytes]]:
    """A request under way, from when the application has begun it; at the end of the block its response is read."""
    response: list[bytes] = []
    with server.connect() as client:
        client.sendall(SLOW)
        server.wait_for_line("slow begins")
        yield response
        pieces = []
        while piece := client.recv(65536):
            pieces.append(piece)
        response.append(b"".join(pieces))


@pytest.mark.parametrize("names", [("SIGHUP",), ("SIGINT", "SIGINT")])
def test_one_process_drains(names: tuple[str, ...], loop_name: str) -> None:
    with serve(APP, loop=loop_name) as server:
        with slow_request(server) as response:
            for name in names:
                server.signal(signal.Signals[name])
        assert response[0].endswith(b"slow"), response
        assert server.wait() == 0
        assert any("lifespan ended" in line for line in server.stderr)


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "preload": True}, {"reload": True}])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_to_the_whole_group_is_one(options: dict[str, object], name: str) -> None:
    """systemd's KillMode=control-group, supervisord's stopasgroup, Ctrl+C under `uv run`."""
    with serve(APP, python=("setsid", sys.executable), **options) as server:
        with slow_request(server) as response:
            os.killpg(server.popen.pid, signal.Signals[name])
            if name == "SIGINT":
                os.killpg(server.popen.pid, signal.SIGINT)
        assert response[0].endswith(b"slow"), response
        assert server.wait() == 0
        serving = 1 if "reload" in options else 2
        assert sum("lifespan ended" in line for line in server.stderr) == serving


def test_sighup_to_the_parent_of_reload_drains() -> None:
    with serve(APP, reload=True) as server:
        with slow_request(server) as response:
            server.signal(signal.SIGHUP)
        assert response[0].endswith(b"slow"), response
        assert server.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_forked_child_can_be_terminated(workers: int, loop_name: str) -> None:
    with serve(APP, loop=loop_name, workers=workers) as server:
        assert server.exchange(get(b"/fork")).endswith(b"-15")
