"""`breakpoint()` in a worker: the user drives it through the server's standard input, without a time limit."""

from __future__ import annotations

import subprocess

import pytest

from tests.harness import read_response, serve
from tests.supervisor.processes import all_children, children, lines, send

APP = "tests.supervisor.apps:app"
HEALTHCHECK_SECONDS = 0.3


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "preload": True}, {"reload": True}])
def test_breakpoint(options: dict[str, object], loop_name: str, tmp_path: object) -> None:
    kind = next(iter(options))
    if "workers" in options:
        options = {**options, "timeout_worker_healthcheck": HEALTHCHECK_SECONDS}
    else:
        options = {**options, "reload_dir": tmp_path}
    with serve(APP, stdin=subprocess.PIPE, loop=loop_name, **options) as server:
        before = all_children(server, {"workers": 2, "reload": 1}[kind] + bool(options.get("preload")))
        stdin = server.popen.stdin
        assert stdin is not None
        with send(server, "/?debug=1") as client, stdin:
            stdin.write("p 6 * 7\n")
            stdin.flush()
            server.wait_for_line("42", "stdout")
            if "workers" in options:
                server.wait_for_line("is in a debugger: it is not replaced for that")
            stdin.write("p 7 * 8\nc\n")
            stdin.flush()
            server.wait_for_line("56", "stdout")
            status, _, content = read_response(client)
        assert status == 200
        assert int(content) in before
        assert children(server) == before
        assert len(lines(server, "debugger")) <= 1
        assert not lines(server, "is replaced")
        assert server.stop() == 0
