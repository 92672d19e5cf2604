"""An answer that comes before its request's body has ended: clients that send the whole body first still read it (RFC
9112 section 9.6)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, environment_here
from tests.server.client import Client, body, post, start
from tests.server.conftest import Pool
from tests.tls.client import Authority

UPLOADERS = Path(__file__).parent / "uploaders"
PATIENCE_SECONDS = 60
MIB = 1024 * 1024
BODY_BYTES = 8 * MIB
COUNT = 4

PYTHON = [sys.executable, str(UPLOADERS / "with_python.py")]
NODE = shutil.which("node")
GO = shutil.which("go")
CURL = shutil.which("curl")


def absent(name: str) -> Any:
    return pytest.mark.skip(reason=f"NOT TESTED WITH {name.upper()}: it is not installed")


def needs(name: str, found: object) -> tuple[Any, ...]:
    return () if found else (absent(name),)


UPLOADS = [
    pytest.param([*PYTHON, "urllib"], id="urllib"),
    pytest.param([*PYTHON, "urllib_in_chunks"], id="urllib-chunks"),
    pytest.param([*PYTHON, "requests"], id="requests", marks=needs("requests", find_spec("requests"))),
    pytest.param([*PYTHON, "httpx"], id="httpx", marks=needs("httpx", find_spec("httpx"))),
    pytest.param([str(NODE), str(UPLOADERS / "node_http.js")], id="node-http", marks=needs("node", NODE)),
    pytest.param([str(NODE), str(UPLOADERS / "node_fetch.js")], id="fetch", marks=needs("node", NODE)),
    pytest.param(["go"], id="go", marks=needs("go", GO)),
    pytest.param(["curl"], id="curl", marks=needs("curl", CURL)),
]


@pytest.fixture(scope="session")
def go_uploader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The uploader in Go, built."""
    binary = tmp_path_factory.mktemp("go") / "upload"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run(
        [str(GO), "build", "-o", str(binary), str(UPLOADERS / "upload.go")], check=True, env=environment, timeout=300
    )
    return str(binary)


@pytest.fixture(params=["http-application", "https-application", "http-limit"])
def case(
    request: pytest.FixtureRequest, pool: Pool, loop_name: str, certificate: dict[str, object]
) -> tuple[str, str, int]:
    """A URL, what the application does, and how large a body is sent: the application answers, or limit_body_size."""
    scheme, _, answers = request.param.partition("-")
    options = certificate if scheme == "https" else {}
    server = pool.server(loop=loop_name, limit_body_size=f"{BODY_BYTES}B", **options)
    url = f"{scheme}://localhost:{server.port}/"
    if answers == "application":
        return url, repr([start(413), body(b"too much")]), BODY_BYTES
    return url, repr([("until_gone",)]), BODY_BYTES + MIB


def upload(command: list[str], url: str, size: int, script: str, authority: Authority, tmp_path: Path) -> list[str]:
    """The words of a client that sends some bodies, one for each."""
    if command == ["curl"]:
        content = tmp_path / "body"
        content.write_bytes(bytes(size))
        # It would wait for 100 Continue otherwise.
        fields = ["-H", "Expect:", "-H", f"x-script: {script}"] if script else ["-H", "Expect:"]
        command = ["curl", "-sS", "-w", "%{http_code}\\n", "--data-binary", f"@{content}", *fields]
        command += ["-o", os.devnull, url] * COUNT
    else:
        command = [*command, url, str(size), str(COUNT), script]
    trust = str(authority.ca_certs)
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    found = subprocess.run(
        command,
        env={**environment_here(), **dict.fromkeys(names, trust)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return found.stdout.split("\n")[:-1] or [found.stderr]


@pytest.mark.parametrize("command", UPLOADS)
def test_real_clients_read_it(
    case: tuple[str, str, int],
    command: list[str],
    authority: Authority,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if command == ["go"]:
        command = [request.getfixturevalue("go_uploader")]
    url, script, size_bytes = case
    assert upload(command, url, size_bytes, script, authority, tmp_path) == ["413"] * COUNT


def answered(client: Client) -> None:
    """Ask for an answer that does not wait for the body, and read it."""
    client.send(post(None, "/", "Content-Length: 1000000000000", script=[start(413), body(b"too much")]))
    assert client.response().status == 413


@pytest.fixture
def brief(pool: Pool, loop_name: str) -> Process:
    """A server that lingers for half a second, and for 1 MiB."""
    return pool.server(loop=loop_name, timeout_linger=0.5, limit_linger="1MiB")


def gone_after(client: Client, piece: bytes, pause_seconds: float) -> tuple[float, int]:
    """How long a client can go on sending, and how many bytes."""
    began = time.monotonic()
    sent_bytes = 0
    try:
        while time.monotonic() - began < 20:
            client.send(piece)
            sent_bytes += len(piece)
            time.sleep(pause_seconds)
    except ConnectionError:
        pass
    return time.monotonic() - began, sent_bytes


def test_who_goes_on_for_too_long(brief: Process) -> None:
    """A byte now and then does not help."""
    with Client(brief) as client:
        answered(client)
        seconds, _ = gone_after(client, b"x", 0.05)
        assert 0.5 < seconds < 5


def test_who_sends_too_much(brief: Process) -> None:
    with Client(brief) as client:
        answered(client)
        _, sent_bytes = gone_after(client, bytes(64 * 1024), 0)
        assert MIB <= sent_bytes < 16 * MIB  # what the kernel's buffers hold is among it
