"""HAProxy in front of three hosts, and a new version deployed to one after the other, under load: no request fails.

Each host is a network namespace of its own, with its own address and its own Whorl of two workers. HAProxy runs with
deploy/haproxy.cfg, in which only the addresses are others: what that file promises is what is tested. A deployment is
the plain one: SIGTERM, wait for the end, start again; then the next host, once the proxy sends requests to this one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT, Process, serve
from tests.loops_here import LOOPS
from tests.supervisor.network import Host, network, why_not
from tests.supervisor.processes import until

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
# One loop in the short form: what differs by loop is how a process exits, and test_replacement has that on each.
DEPLOYMENTS, RUN_ON = (5, LOOPS) if SOAK else (1, ["auto"])
WHY_NOT = why_not()
HOSTS = ("one", "two", "three")
PORT = 8001

SERVED = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({{"type": "lifespan.startup.complete"}})
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"{length}")]}})
    await send({{"type": "http.response.body", "body": b"{answer}"}})
"""


@dataclass
class Site:
    """A host and the application on it.

    Attributes:
        host: where.
        name: what it is called.
        folder: where the code is.
        loop: what it runs on.
        version: of the code.
    """

    host: Host
    name: str
    folder: Path
    loop: str
    version: int = 0

    @property
    def answer(self) -> str:
        """Its answer to each request."""
        return f"{self.name} {self.version}"

    def install(self) -> None:
        """Write the next version of the code."""
        self.version += 1
        self.folder.mkdir(exist_ok=True)
        (self.folder / "served.py").write_text(SERVED.format(length=len(self.answer), answer=self.answer))

    def start(self, stack: ExitStack) -> Process:
        options = {"workers": 2, "host": self.host.address, "port": PORT, "loop": self.loop, "access_log": False}
        python = self.host.command(sys.executable)
        path = {"PYTHONPATH": f"{ROOT / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"}
        return stack.enter_context(
            serve("served:app", python=python, cwd=self.folder, environment=path, ready=False, **options)
        )


class Clients:
    """The load, in a namespace of its own.

    Args:
        popen: the process (`tests.supervisor.load_process`).
    """

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen

    def state(self) -> dict[str, Any]:
        """The counts so far."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write("\n")
        self._popen.stdin.flush()
        return dict(json.loads(self._popen.stdout.readline()))

    def wait_for(self, answered_by: set[str]) -> set[str]:
        """Wait until all of these have answered. Returns all that have."""
        seen: set[str] = set()

        def have_answered() -> bool:
            seen.update(self.state()["answered_by"])
            return answered_by <= seen

        until(have_answered, lambda: (answered_by, seen, self.state()))
        return seen


def configuration(sites: Sequence[Site]) -> str:
    """deploy/haproxy.cfg with these servers in place of its own."""
    text = (ROOT / "deploy/haproxy.cfg").read_text()
    kept, count = re.subn(r"^    server .*\n", "", text, flags=re.MULTILINE)
    assert count == 2
    return kept + "".join(f"    server {site.name} {site.host.address}:{PORT}\n" for site in sites)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends."""
    with subprocess.Popen(command, text=True, cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.skipif(WHY_NOT is not None, reason=f"A ROLLING DEPLOYMENT BEHIND HAPROXY IS NOT TESTED: {WHY_NOT}")
@pytest.mark.timeout(300)  # nine interpreters start, and three again
@pytest.mark.parametrize("loop", RUN_ON)
def test_a_rolling_deployment_loses_no_request(tmp_path: Path, loop: str) -> None:
    with network(("proxy", *HOSTS, "clients")) as hosts, ExitStack() as stack:
        sites = [Site(hosts[name], name, tmp_path / name, loop) for name in HOSTS]
        for site in sites:
            site.install()
        servers = {site.name: site.start(stack) for site in sites}
        for server in servers.values():
            server.wait_for_line(" serves ")
        (tmp_path / "haproxy.cfg").write_text(configuration(sites))
        haproxy = hosts["proxy"].command("haproxy", "-db", "-q", "-f", str(tmp_path / "haproxy.cfg"))
        stack.enter_context(running(haproxy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        front = (hosts["proxy"].address, "8080")
        load = hosts["clients"].command(sys.executable, "-m", "tests.supervisor.load_process", *front)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        clients = Clients(stack.enter_context(running(load, **pipes)))
        clients.wait_for({site.answer for site in sites})
        for _ in range(DEPLOYMENTS):
            for site in sites:
                site.install()
                assert servers[site.name].stop() == 0
                servers[site.name] = site.start(stack)
                servers[site.name].wait_for_line(" serves ")
                clients.wait_for({site.answer})
        clients.state()
        assert clients.wait_for({site.answer for site in sites}) == {site.answer for site in sites}
        state = clients.state()
        print(f"{DEPLOYMENTS} x 3 hosts on {loop}: {state['sent']} requests, {len(state['failed'])} failed")
        assert state["failed"] == []
        assert state["sent"] >= state["answered"] > 100
        for server in servers.values():
            assert server.stop() == 0
