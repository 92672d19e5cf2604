"""Gunicorn, for real, with workers of ours: `gunicorn -k whorl.workers.WhorlWorker`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Process, environment_here, read_response
from tests.server.client import Client, body, get, start, until
from tests.tls.client import Authority, TlsClient

pytest.importorskip("gunicorn")

ROOT = Path(__file__).parents[2]


@contextmanager
def gunicorn(app: str, *options: str, ready: bool = True, **environment: str) -> Iterator[Process]:
    """A Gunicorn with one worker; it must have ended after the block."""
    words = [sys.executable, "-m", "gunicorn", "-k", "whorl.workers.WhorlWorker", "-b", "127.0.0.1:0", app, *options]
    popen = subprocess.Popen(
        words,
        cwd=ROOT,
        env={**environment_here(), **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process = Process(popen)
    process.listen()
    try:
        if ready:
            process.wait_for_line(" serves ")
        yield process
    finally:
        process.end()


def pids(process: Process) -> list[int]:
    """Of the workers that have said that they serve, in order."""
    return [int(line.rsplit(" ", 1)[1]) for line in process.stderr if " serves " in line]


def answers(process: Process) -> bool:
    with process.connect() as client:
        client.sendall(get())
        return read_response(client)[0] == 200


def test_its_settings_for_tls_are_ours(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    paths = authority.issue("localhost")
    with gunicorn("tests.apps:app", *(f"--{name[4:]}={path}" for name, path in paths.items())) as process:
        with TlsClient(process, authority.context()) as client:
            assert client.ask(get()).content == b"hello"


def test_serves_and_leaves_in_order(loop_name: str) -> None:
    environment = {
        "WHORL_LOOP": loop_name,
        "WEB_CONCURRENCY": "1",
        "WHORL_WORKERS": "7",
    }  # Gunicorn's matter
    with gunicorn("tests.apps:app", **environment) as process, Client(process) as client:
        client.send(get(script=[start(), body(b"one", True), ("print", "here"), ("sleep", 0.5), body(b"two")]))
        process.wait_for_line("here", "stdout")
        process.signal(signal.SIGTERM)
        assert client.response().content == b"onetwo"
        assert process.wait() == 0
    assert "lifespan has shut down" in process.stdout


def test_hup_takes_new_workers_and_finishes_with_the_old(loop_name: str) -> None:
    with gunicorn("tests.apps:app", WHORL_LOOP=loop_name) as process, Client(process) as client:
        client.send(get(script=[start(), body(b"one", True), ("print", "here"), ("sleep", 0.5), body(b"two")]))
        process.wait_for_line("here", "stdout")
        process.signal(signal.SIGHUP)
        until(lambda: len(pids(process)) == 2)
        assert answers(process)
        assert client.response().content == b"onetwo"
        process.wait_for_line("lifespan has shut down", "stdout")
        assert answers(process)
        assert process.stop() == 0


def test_a_worker_whose_loop_is_blocked_is_replaced_and_one_that_only_waits_is_not(loop_name: str) -> None:
    with gunicorn("tests.apps:app", "--timeout", "1", WHORL_LOOP=loop_name) as process, Client(process) as client:
        client.ask(get(script=[("sleep", 1.5), start(), body()]))
        assert len(pids(process)) == 1
        client.send(get(script=[("block", 60)]))
        until(lambda: len(pids(process)) == 2)
        assert "WORKER TIMEOUT" in " ".join(process.stderr)
        assert ", line " in process.wait_for_line(" in block"), "the stack of what held it up"
        assert answers(process)


def test_max_requests_and_the_access_log_are_gunicorns(loop_name: str) -> None:
    options = ("--max-requests", "2", "--access-logfile", "-")
    with gunicorn("tests.apps:app", *options, WHORL_LOOP=loop_name) as process:
        assert answers(process)
        assert answers(process)
        until(lambda: len(pids(process)) == 2)
        assert answers(process)
        assert '"GET / HTTP/1.1" 200' in process.wait_for_line("GET /", "stdout")


def test_an_application_that_does_not_start_ends_it(loop_name: str) -> None:
    with gunicorn("tests.apps:broken", ready=False, WHORL_LOOP=loop_name, WHORL_LIFESPAN="on") as process:
        assert process.wait() == 3
    assert [line for line in process.stderr if "whorl: " in line]


def test_a_wrong_setting_is_one_line() -> None:
    with gunicorn("tests.apps:app", ready=False, WHORL_TIMEOUT_KEEP_ALIVE="soon") as process:
        assert process.wait() == 3
    assert "WHORL_TIMEOUT_KEEP_ALIVE must be" in " ".join(process.stderr)


def test_quit_does_not_wait_for_requests() -> None:
    with gunicorn("tests.apps:app") as process, Client(process) as client:
        client.send(get(script=[start(), body(b"one", True), ("print", "here"), ("sleep", 3600)]))
        process.wait_for_line("here", "stdout")
        since = time.monotonic()
        process.signal(signal.SIGQUIT)
        assert process.wait() == 0
        assert time.monotonic() - since < 10
