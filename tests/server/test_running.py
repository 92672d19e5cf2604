"""`Server(config).run()`, and what a server cannot do where it stands: be a parent, or run inside a running loop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import pytest

import whorl
from tests.harness import ROOT, environment_here, serve
from whorl import Config, ConfigError, Server, StartError
from whorl.loops import resolve

PATIENCE_SECONDS = 20.0


def config(app: Any = "tests.apps:app", **options: Any) -> Config:
    return Config(app, port=0, log_config={}, access_log=False, **options)


def run_program(text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the user's, which ends by itself."""
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", text],
        cwd=ROOT,
        env=environment_here(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


class TestRun:
    """`Server(config).run()`"""

    def test_in_a_thread_until_it_is_told_to_exit(self, loop_name: str) -> None:
        server = Server(config(loop=loop_name))
        before = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            server.ready.result(PATIENCE_SECONDS)
            assert signal.getsignal(signal.SIGTERM) is before
            with urllib.request.urlopen(server.urls[0], timeout=PATIENCE_SECONDS) as response:
                assert response.status == 200
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()

    def test_in_a_thread_a_forced_exit_ends_the_server_and_not_the_process(self) -> None:
        server = Server(config())
        thread = threading.Thread(target=server.run)
        thread.start()
        server.ready.result(PATIENCE_SECONDS)
        server.force_exit = True
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()

    @pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
    def test_in_the_main_thread_until_a_signal(self, loop_name: str) -> None:
        done = run_program(
            f"""
import os, signal, threading, whorl
server = whorl.Server(whorl.Config("tests.apps:app", port=0, loop={loop_name!r}, http="h11"))
def kill():
    server.ready.result(20)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=kill).start()
server.run()
print("after", server.started)
"""
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "after False"
        assert "http=h11 has no effect: Whorl has one HTTP parser" in done.stderr
        assert "Whorl has stopped" in done.stderr

    def test_a_start_that_fails_is_an_exception(self) -> None:
        with pytest.raises(StartError, match="no module"):
            Server(config("no_such_module:app")).run()


@pytest.mark.parametrize(
    ("options", "asked"),
    [({"reload": True}, "reload"), ({"workers": 2}, "workers=2"), ({"workers": "auto"}, "workers=auto")],
)
class TestWhatNeedsAParent:
    """`reload` and `workers` with a `Server`, which is one process."""

    def problem(self, asked: str) -> str:
        return f"^{asked} needs a parent process, and a Server is one process: call whorl.run"

    def test_serve(self, options: dict[str, Any], asked: str) -> None:
        with pytest.raises(ConfigError, match=self.problem(asked)):
            asyncio.run(Server(config(**options)).serve())

    def test_run(self, options: dict[str, Any], asked: str) -> None:
        with pytest.raises(ConfigError, match=self.problem(asked)):
            Server(config(**options)).run()

    def test_in_a_block(self, options: dict[str, Any], asked: str) -> None:
        async def main() -> None:
            async with Server(config(**options)):
                pass

        with pytest.raises(ConfigError, match=self.problem(asked)):
            asyncio.run(main())
        with pytest.raises(ConfigError, match=self.problem(asked)), Server(config(**options)):
            pass


class TestInARunningLoop:
    """Jupyter: everything is called from inside a loop."""

    LINE = "an event loop is running in this thread already: write `async with whorl.Server(whorl.Config(app)):`"

    @pytest.mark.parametrize("options", [{}, {"workers": 2}, {"reload": True}])
    def test_whorl_run_is_one_line(
        self, options: dict[str, Any], loop_name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def main() -> None:
            with pytest.raises(SystemExit) as caught:
                whorl.run("tests.apps:app", port=0, **options)
            assert caught.value.code == 3

        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            with resolve(loop_name).make().runner() as runner:
                runner.run(main())
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"whorl: error: {self.LINE}")

    def test_server_run_is_one_line(self) -> None:
        async def main() -> None:
            with pytest.raises(StartError) as caught:
                Server(config()).run()
            assert str(caught.value).startswith(self.LINE)

        asyncio.run(main())

    def test_nothing_is_never_awaited(self) -> None:
        done = run_program(
            """
import asyncio, gc, whorl
async def main():
    try:
        whorl.run("tests.apps:app", port=0)
    except SystemExit:
        gc.collect()
asyncio.run(main())
"""
        )
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert self.LINE in line


@pytest.mark.skipif(sys.platform == "win32", reason="needs workers")
@pytest.mark.parametrize("options", [{"workers": 2}, {"reload": True}, {}])
def test_what_has_no_effect_is_logged_once(options: dict[str, Any], tmp_path: Path) -> None:
    if "reload" in options:
        options = {**options, "app_dir": str(tmp_path)}
        (tmp_path / "hello.py").write_text("from tests.apps import app\n")
    app = "hello:app" if "reload" in options else "tests.apps:app"
    with serve(app, http="httptools", **options) as server:
        assert server.stop() == 0
    assert sum("http=httptools has no effect" in line for line in server.stderr) == 1


def test_every_address(loop_name: str) -> None:
    with serve("tests.apps:app", host="*", port=0, loop=loop_name) as server:
        assert server.address is not None
        assert b" 200 " in server_answers("127.0.0.1", server.address[1])


def server_answers(host: str, port: int) -> bytes:
    import socket

    with socket.create_connection((host, port), PATIENCE_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return client.recv(1000)
