"""What the service manager is told (sd_notify(3)), heard on a socket as systemd would."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.harness import serve
from tests.server.client import get
from whorl.server.systemd import Notifier

PATIENCE_SECONDS = 20.0


def heard(manager: socket.socket) -> dict[str, str]:
    """The next message."""
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))


def drop_all(manager: socket.socket) -> None:
    """Forget what was said so far."""
    manager.setblocking(False)
    try:
        while manager.recv(4096):
            pass
    except BlockingIOError:
        pass


def test_ready_and_stopping(loop_name: str, manager: socket.socket) -> None:
    with serve("tests.apps:app", loop=loop_name, environment={"NOTIFY_SOCKET": manager.getsockname()}) as process:
        assert heard(manager) == {"READY": "1", "STATUS": f"serving on http://127.0.0.1:{process.port}"}
        process.signal(signal.SIGTERM)
        assert heard(manager) == {"STOPPING": "1"}
        assert process.wait() == 0


def test_a_start_that_fails_is_never_ready(manager: socket.socket) -> None:
    with serve("no_such:app", ready=False, environment={"NOTIFY_SOCKET": manager.getsockname()}) as process:
        assert process.wait() == 3
        assert len(process.stderr) == 1
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_alive_for_as_long_as_the_loop_turns(loop_name: str, manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    with serve("tests.apps:app", loop=loop_name, environment=environment) as process:
        assert "READY" in heard(manager)
        for _ in range(3):
            assert heard(manager) == {"WATCHDOG": "1"}
        with process.connect() as client:
            client.sendall(get(script=[("print", "blocks"), ("block", 1.0), ("print", "turns")]))
            process.wait_for_line("blocks", "stdout")
            drop_all(manager)
            manager.settimeout(0.5)
            with pytest.raises(TimeoutError):
                manager.recv(4096)
            manager.settimeout(PATIENCE_SECONDS)
            assert heard(manager) == {"WATCHDOG": "1"}


def test_a_watchdog_for_another_process_is_not_ours() -> None:
    variables = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1000000"}
    assert Notifier(variables).watchdog_seconds == 1.0
    assert Notifier(variables | {"WATCHDOG_PID": str(os.getpid())}).watchdog_seconds == 1.0
    assert Notifier(variables | {"WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "1000000"}).watchdog_seconds is None


@pytest.mark.parametrize("words", ["", "relative", "vsock:2:1", "/no/such/path"])
def test_nobody_there_is_nobody_told(words: str) -> None:
    Notifier({"NOTIFY_SOCKET": words}).ready("")


def test_an_abstract_name_and_the_time_of_a_reload() -> None:
    name = f"\0whorl-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(PATIENCE_SECONDS)
        Notifier({"NOTIFY_SOCKET": "@" + name[1:]}).reloading()
        message = heard(manager)
    assert message["RELOADING"] == "1"
    assert message["MONOTONIC_USEC"].isdigit()
