"""What a supervisor reports to the service manager (sd_notify(3)), received on a socket as systemd would."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import Process, serve
from tests.server.test_notify import heard
from tests.supervisor.processes import ask, children, until, wait_for

APP = "tests.supervisor.apps:app"
PYTHON = ("sh", "-c", 'WATCHDOG_PID=$$ exec "$0" "$@"', sys.executable)
"""As systemd starts a service that has a watchdog: the variable names the process itself."""


@contextmanager
def a_service(manager: socket.socket) -> Iterator[Process]:
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}
    with serve(APP, workers=2, python=PYTHON, environment=environment, access_log=False) as server:
        yield server


def next_but(manager: socket.socket, *names: str) -> dict[str, str]:
    """The next message that consists of other variables."""
    while set(message := heard(manager)) <= set(names):
        pass
    return message


def test_start_watchdog_restart_and_end(manager: socket.socket) -> None:
    """The supervisor sends all of it, and workers nothing."""
    with a_service(manager) as server:
        ready = {"READY": "1", "STATUS": f"serving on http://127.0.0.1:{server.port}"}
        assert heard(manager) == ready, "once, when all of them serve"
        assert [heard(manager) for _ in range(3)] == [{"WATCHDOG": "1"}] * 3
        server.signal(signal.SIGHUP)
        message = next_but(manager, "WATCHDOG")
        assert message.pop("MONOTONIC_USEC").isdigit(), "Type=notify-reload asks for it"
        assert message == {"RELOADING": "1"}
        assert next_but(manager, "WATCHDOG") == ready
        assert len([line for line in server.stderr if "is ready" in line]) == 2, "not before all are replaced"
        server.signal(signal.SIGTERM)
        assert next_but(manager, "WATCHDOG") == {"STOPPING": "1"}
        assert server.wait() == 0


def test_a_new_server_is_the_service_from_then_on(manager: socket.socket) -> None:
    """SIGUSR2: the manager gets the new process's pid, and watchdog messages from that process. The old one does not
    report that the service stops."""
    with a_service(manager) as server:
        old, workers = server.popen.pid, children(server)
        assert "READY" in heard(manager)
        server.signal(signal.SIGUSR2)
        wait_for(server, "starts, and takes over")
        (new,) = children(server) - workers
        try:
            messages = [next_but(manager, "WATCHDOG"), next_but(manager, "WATCHDOG")]
            assert {"MAINPID": str(new)} in messages
            assert {"READY", "STATUS"} in map(set, messages), "the new one reports that"
            until(lambda: server.popen.poll() == 0)
            assert all(message == {"WATCHDOG": "1"} for message in waiting(manager)), "the old one has sent no more"
            assert heard(manager) == {"WATCHDOG": "1"}, "the new one goes on"
            assert ask(server)
        finally:
            os.kill(new, signal.SIGTERM)
        assert next_but(manager, "WATCHDOG") == {"STOPPING": "1"}
    assert old != new


def waiting(manager: socket.socket) -> list[dict[str, str]]:
    """The messages that have arrived."""
    messages = []
    manager.setblocking(False)
    try:
        while True:
            messages.append(heard(manager))
    except BlockingIOError:
        return messages
    finally:
        manager.settimeout(20.0)
