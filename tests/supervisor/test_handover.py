"""SIGUSR2, a new server on the same sockets, and SIGUSR1, log files reopened."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

from tests.harness import Process, serve
from tests.supervisor.load import Load
from tests.supervisor.processes import alive, ask, children, lines, until, wait_for

APP = "tests.supervisor.apps:app"
SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
HANDOVERS = 5 if SOAK else 1
PROCESS = re.compile(r"the new server \(process (\d+)\) starts")


def hand_over(server: Process, old: int, count: int) -> int:
    """Have a new supervisor take over. Returns its pid when the old one has exited."""
    os.kill(old, signal.SIGUSR2)
    wait_for(server, "has taken over", count)
    until(lambda: not alive(old))
    found = PROCESS.search(lines(server, "starts, and takes over")[-1])
    assert found is not None
    return int(found[1])


def end(pid: int) -> None:
    """Stop a supervisor that is not a child of this process."""
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid))


def has_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    return any(os.path.realpath(fd) == str(path) for fd in Path(f"/proc/{pid}/fd").iterdir())


class TestHandover:
    def test_under_load(self, loop_name: str) -> None:
        with serve(APP, workers=2, loop=loop_name, access_log=False) as server:
            parent, first = server.popen.pid, children(server)
            with Load(server) as load:
                for count in range(1, HANDOVERS + 1):
                    parent = hand_over(server, parent, count)
            load.check()
            print(f"SIGUSR2 x{HANDOVERS} on {loop_name}: {load.report()}")
            assert server.wait() == 0 if server.popen.poll() is None else server.popen.returncode == 0
            assert ask(server) not in first
            end(parent)
        assert not [pid for pid in first if alive(pid)]

    def test_on_a_unix_socket_the_path_stays_and_a_new_server_that_fails_changes_nothing(self, tmp_path: Path) -> None:
        path, module = tmp_path / "whorl.sock", tmp_path / "served.py"
        source = "from tests.supervisor.apps import app\n"
        module.write_text(source)
        options = {"uds": path, "cwd": tmp_path, "environment": {"PYTHONPATH": os.getcwd()}}
        with serve("served:app", workers=2, **options) as server:  # type: ignore[arg-type]
            before = children(server)
            module.write_text("raise RuntimeError('half written')\n")
            server.signal(signal.SIGUSR2)
            wait_for(server, "could not start: this one stays")
            assert ask(server) in before
            until(lambda: children(server) == before)
            module.write_text(source)
            parent = hand_over(server, server.popen.pid, 1)
            assert path.exists()
            assert ask(server) not in before
            end(parent)
            until(lambda: not path.exists())
            assert server.wait() == 0


def test_log_files_are_reopened(tmp_path: Path) -> None:
    """In the parent and in every worker."""
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    logging = tmp_path / "logging.json"
    handler = {"class": "logging.FileHandler", "filename": str(path)}
    loggers = {"whorl": {"handlers": ["file"], "level": "INFO"}}
    logging.write_text(json.dumps({"version": 1, "handlers": {"file": handler}, "loggers": loggers}))
    with serve(APP, workers=2, log_config=logging, ready=False) as server:
        until(lambda: path.exists() and "2 workers" in path.read_text(), lambda: server.stderr)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", path.read_text())
        assert found is not None
        server.address = ("127.0.0.1", int(found[1]))
        path.rename(rotated)
        server.signal(signal.SIGUSR1)
        until(lambda: path.exists() and "are reopened" in path.read_text())
        # The parent logs it before its workers have done it.
        until(lambda: not any(has_open(pid, rotated) for pid in (server.popen.pid, *children(server))))
        answered: set[int] = set()
        until(lambda: answered.add(ask(server)) or len(answered) == 2)  # type: ignore[func-returns-value]
        until(lambda: path.read_text().count("GET /") >= 2)
        assert server.stop() == 0
