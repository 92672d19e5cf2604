"""Signals by mode, and in forked children."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest

from tests.harness import ROOT, Process, command, environment_here, serve
from tests.loops_here import EACH_WAY
from tests.server.client import until

APP = "tests.server.signals_app:app"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

# Of a directory where nothing changes: other tests may write into the checkout.
RELOAD = {"reload": True, "reload_dir": "deploy"}


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


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "preload": True}, RELOAD])
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
    with serve(APP, **RELOAD) as server:
        with slow_request(server) as response:
            server.signal(signal.SIGHUP)
        assert response[0].endswith(b"slow"), response
        assert server.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_forked_child_can_be_terminated(workers: int, loop_name: str) -> None:
    with serve(APP, loop=loop_name, workers=workers) as server:
        assert server.exchange(get(b"/fork")).endswith(b"-15")


@pytest.mark.parametrize("loop", EACH_WAY)
def test_a_forked_child_holds_no_client_up(loop: str) -> None:
    """It has a copy of the connection's fd, so that closing ours alone sends nothing."""
    with serve(APP, loop=loop) as server:
        child = int(server.exchange(get(b"/keep"), timeout_seconds=5.0).rpartition(b"\r\n")[2])
        os.kill(child, 0)  # it is there, and still holds the fd


class TestFiles:
    """What SIGHUP and SIGUSR1 do with files, and that neither ends a process."""

    def logging(self, tmp_path: Path) -> dict[str, object]:
        handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log")}
        config = {
            "version": 1,
            "handlers": {"file": handler},
            "loggers": {"whorl": {"handlers": ["file"], "level": 20}},
        }
        (tmp_path / "logging.json").write_text(json.dumps(config))
        return {"log_config": tmp_path / "logging.json", "ready": False}

    @pytest.mark.parametrize(("name", "options"), [("SIGHUP", {}), ("SIGUSR1", {}), ("SIGUSR1", RELOAD)])
    def test_log_files_are_reopened(self, tmp_path: Path, name: str, options: dict[str, object]) -> None:
        log, rotated = tmp_path / "log", tmp_path / "rotated"
        with serve(APP, **options, **self.logging(tmp_path)) as server:  # type: ignore[arg-type]
            until(lambda: log.exists() and " serves " in log.read_text(), 20.0)
            log.rename(rotated)
            server.signal(signal.Signals[name])
            port = int(rotated.read_text().partition("http://127.0.0.1:")[2].partition(",")[0])
            server.address = "127.0.0.1", port
            until(
                lambda: server.exchange(get(b"/")).endswith(b"ok") and log.exists() and "GET /" in log.read_text(), 20.0
            )
            assert server.stop() == 0

    @pytest.mark.parametrize("options", [{}, RELOAD])
    def test_sigusr2_is_for_workers(self, options: dict[str, object]) -> None:
        with serve(APP, **options) as server:
            server.signal(signal.SIGUSR2)
            server.wait_for_line("SIGUSR2 is ignored")
            assert server.exchange(get(b"/")).endswith(b"ok")
            assert server.stop() == 0


@pytest.mark.parametrize("options", [{}, {"workers": 2}, RELOAD])
def test_nohup_keeps_sighup_ignored(options: dict[str, object]) -> None:
    with serve(APP, python=("nohup", sys.executable), **options) as server:
        server.signal(signal.SIGHUP)
        assert server.exchange(get(b"/")).endswith(b"ok")
        assert server.stop() == 0
        assert not [line for line in server.stderr if "SIGHUP" in line or "will be replaced" in line]


class TestDrainDelay:
    LONG = 300

    def test_it_goes_on_accepting_until_a_second_signal(self, loop_name: str) -> None:
        with serve(APP, loop=loop_name, drain_delay=self.LONG) as server:
            assert server.exchange(get(b"/begun")).endswith(b"False")
            server.signal(signal.SIGTERM)
            server.wait_for_line("the drain begins in 300 s")
            assert server.exchange(get(b"/begun")).endswith(b"True")
            server.signal_again(signal.SIGTERM)
            assert server.wait() == 0

    def test_it_ends(self) -> None:
        with serve(APP, drain_delay=0.3) as server:
            server.signal(signal.SIGTERM)
            server.wait_for_line("the drain begins")
            assert server.exchange(get(b"/begun")).endswith(b"True")
            assert server.wait() == 0
            assert any("lifespan ended" in line for line in server.stderr)

    def test_with_workers(self) -> None:
        with serve(APP, workers=2, drain_delay=self.LONG) as server:
            server.signal(signal.SIGTERM)
            until(lambda: sum("the drain begins in 300 s" in line for line in server.stderr) == 2, 20.0)
            assert server.exchange(get(b"/begun")).endswith(b"True")
            server.signal_again(signal.SIGTERM)
            assert server.wait() == 0

    def test_a_restart_does_not_wait(self) -> None:
        with serve(APP, workers=2, drain_delay=self.LONG) as server:
            server.signal(signal.SIGHUP)
            until(lambda: sum("lifespan ended" in line for line in server.stderr) == 2, 20.0)
            assert server.exchange(get(b"/begun")).endswith(b"False")
            server.signal(signal.SIGTERM)
            until(lambda: sum("the drain begins in 300 s" in line for line in server.stderr) == 2, 20.0)
            server.signal_again(signal.SIGTERM)
            assert server.wait() == 0

    def test_reload_does_not_wait(self, tmp_path: Path) -> None:
        with serve(APP, reload=True, reload_dir=tmp_path, drain_delay=self.LONG) as server:
            server.signal(signal.SIGTERM)
            assert server.wait() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("options", [{"loop": "asyncio"}, {"loop": "uvloop"}, {"loop": "uvloop", "workers": 2}])
def test_closed_standard_fds(tmp_path: Path, closed: str, options: dict[str, object]) -> None:
    """Some init systems start programs so. The socket would get the number, and uvloop aborts at the end."""
    path = tmp_path / "socket"
    words = command(APP, uds=path, **options)
    shell = f'"$@" {closed} & pid=$!; trap "kill $pid" TERM; wait $pid; wait $pid; echo $? > {tmp_path}/status'
    with Popen(["bash", "-c", shell, "bash", *words], cwd=ROOT, env=environment_here(), stdin=DEVNULL) as popen:
        until(path.exists, 20.0)
        with socket.socket(socket.AF_UNIX) as client:
            until(lambda: client.connect_ex(str(path)) == 0, 20.0)
            client.sendall(get(b"/"))
            assert client.makefile("rb").read().endswith(b"ok")
        popen.terminate()
        assert popen.wait(20.0) == 0
    assert (tmp_path / "status").read_text() == "0\n"
