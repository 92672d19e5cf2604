"""Starting with several workers: what the supervisor logs, what it refuses, and how it exits."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import ROOT, Process, environment_here, serve
from tests.supervisor.processes import alive, ask, children, send, until
from whorl.config import Config
from whorl.errors import ConfigError
from whorl.platform import Platform
from whorl.server.signals import REPEAT_SECONDS

APP = "tests.supervisor.apps:app"


class TestStart:
    def test_all_workers_serve_after_one_line_and_exit_in_order(self, loop_name: str) -> None:
        with serve(APP, workers=2, loop=loop_name) as server:
            (line,) = server.stderr
            assert "2 workers" in line
            assert f"process {server.popen.pid}" in line
            pids = children(server)
            assert len(pids) == 2
            answered: set[int] = set()
            until(lambda: answered.add(ask(server)) or answered == pids)  # type: ignore[func-returns-value]
            stops_in_order(server, signal.SIGTERM)

    def test_one_worker_for_each_cpu_on_a_unix_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "whorl.sock"
        with serve(APP, workers="auto", uds=path) as server:
            assert len(children(server)) == len(os.sched_getaffinity(0))
            assert ask(server) in children(server)
            stops_in_order(server, signal.SIGINT)
        assert not path.exists()

    def test_reuse_port(self) -> None:
        """Two sockets listen on the address, and clients get answers from both workers."""
        with serve(APP, workers=2, reuse_port=True) as server:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
            assert len([row for row in rows if row[1] == f"0100007F:{server.port:04X}" and row[3] == "0A"]) == 2
            answered: set[int] = set()
            until(lambda: answered.add(ask(server)) or answered == children(server))  # type: ignore[func-returns-value]
            server.signal(signal.SIGHUP)
            until(lambda: len([line for line in server.stderr if "is ready" in line]) == 2)
            until(lambda: not answered & children(server))
            assert ask(server) in children(server)
            with serve(APP, workers=2, reuse_port=True, port=server.port, ready=False) as other:
                assert other.wait() == 3
            assert "is in use by another program" in other.stderr[0]
            assert server.stop() == 0

    def test_an_address_in_use_is_an_error_before_anything_starts(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with serve("no_such_module:app", workers=2, port=port, ready=False) as server:
                assert server.wait() == 3
        (line,) = server.stderr
        assert "is in use by another program" in line

    @pytest.mark.parametrize(
        ("app", "words"),
        [("no_such_module:app", 'no module "no_such_module"'), ("tests.supervisor.apps:broken", "no database")],
    )
    def test_a_first_start_that_fails_is_one_line_of_the_worker_and_status_3(self, app: str, words: str) -> None:
        with serve(app, workers=2, ready=False) as server:
            assert server.wait() == 3
        complaints = [line for line in server.stderr if "error:" in line]
        assert len(complaints) == 1
        assert words in complaints[0]

    def test_a_worker_that_dies_in_its_start_ends_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "deadly.py").write_text("import os\nos._exit(7)\n")
        with serve("deadly:app", workers=2, cwd=tmp_path, ready=False) as server:
            assert server.wait() == 3
        assert "ended with status 7 before it was ready" in server.stderr[-1]

    def test_from_a_script(self, tmp_path: Path) -> None:
        """The application is imported by the workers, from where the script is."""
        script = tmp_path / "program.py"
        script.write_text(
            "import whorl\nfrom tests.supervisor.apps import app\n"
            "if __name__ == '__main__':\n    whorl.run('program:app', workers=2, port=0)\n"
        )
        environment = {**environment_here(), "PYTHONPATH": str(ROOT)}
        popen = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True, env=environment)
        assert popen.stderr is not None
        with popen:
            assert "2 workers" in popen.stderr.readline()
            popen.terminate()
            assert popen.wait(20) == 0


class TestRefused:
    def test_an_application_that_is_no_string(self) -> None:
        with pytest.raises(ConfigError, match="give app as a string"):
            Config(print, workers=2)

    def test_on_windows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whorl.config.relations.HERE", Platform(system="win32"))
        with pytest.raises(ConfigError, match="workers can only be 1 on Windows"):
            Config("m:a", workers=2)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("limit_worker_memory", 2**24),
            ("limit_worker_lifetime", 7),
            ("limit_worker_replacements", 2),
            ("reuse_port", True),
        ],
    )
    def test_what_needs_a_parent(self, name: str, value: object) -> None:
        with pytest.raises(ConfigError, match=f"{name} is about workers"):
            Config("m:a", **{name: value})
        Config("m:a", workers=2, **{name: value})


class TestEnd:
    def test_a_second_signal_ends_at_once(self) -> None:
        with serve(APP, workers=2) as server:
            pids = children(server)
            with send(server, "/?sleep=60"):
                server.signal(signal.SIGINT)
                until(lambda: not connects(server.address))
                server.signal_again(signal.SIGINT)
                assert server.wait(10) == 0
        assert not [pid for pid in pids if alive(pid)]

    def test_ctrl_c_during_a_start_that_never_ends(self) -> None:
        """It reaches the whole process group. The first one gives the worker 5 s, the second one 2 s."""
        python = ("setsid", sys.executable)  # a group of their own, as a shell would make it
        with serve("tests.apps:frozen", workers=2, ready=False, python=python) as server:
            server.wait_for_line("starting", "stdout")
            workers = children(server)
            for _ in range(2):
                time.sleep(REPEAT_SECONDS)
                os.killpg(server.popen.pid, signal.SIGINT)
                until(lambda: not is_pending(server.popen.pid, signal.SIGINT))
            assert server.wait(10) == 0
        assert workers
        assert not [pid for pid in workers if alive(pid)]

    def test_no_orphan_survives_its_parent(self, loop_name: str) -> None:
        """They finish the requests in progress, and exit."""
        with serve(APP, workers=2, loop=loop_name) as server:
            pids = children(server)
            with send(server, "/?sleep=0.3") as client:
                server.popen.kill()
                assert client.recv(12) == b"HTTP/1.1 200"
            until(lambda: not [pid for pid in pids if alive(pid)])


def stops_in_order(server: Process, signum: int) -> None:
    """Stop a server: it finishes the requests in progress, exits with status 0, and leaves no process behind."""
    pids = children(server)
    with send(server, "/?sleep=0.3") as client:
        server.signal(signum)
        assert server.wait() == 0
        assert client.recv(12) == b"HTTP/1.1 200"
    assert not [pid for pid in pids if alive(pid)]


def is_pending(pid: int, signum: int) -> bool:
    """Whether a signal was sent to a process and has not been delivered yet (proc_pid_status(5), ShdPnd)."""
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd")]
    return bool(int(mask, 16) >> (signum - 1) & 1)


def connects(address: object) -> bool:
    try:
        socket.create_connection(address, 5).close()  # type: ignore[arg-type]
    except OSError:
        return False
    return True
