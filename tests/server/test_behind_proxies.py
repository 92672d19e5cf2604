"""Behind the real nginx and HAProxy, as the distribution packages them."""

from __future__ import annotations

import ast
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, read_response, serve
from tests.server.client import Client, body, get, start
from tests.server.peer import upgrade
from whorl.platform import reset_on_close

NGINX, HAPROXY = shutil.which("nginx"), shutil.which("haproxy")
PATIENCE_SECONDS = 10.0

NGINX_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {to};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host inside;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port 8443;
            proxy_set_header X-Forwarded-Prefix /api;
        }}
    }}
}}
"""
HAPROXY_CONF = """
defaults
    mode {mode}
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen front
    bind 127.0.0.1:{port}
    {more}
    server one {to}
"""


needs_nginx = pytest.mark.skipif(
    NGINX is None, reason="BEHIND NGINX IS NOT TESTED: it is not installed (apt-get install nginx-light)"
)
needs_haproxy = pytest.mark.skipif(
    HAPROXY is None, reason="BEHIND HAPROXY IS NOT TESTED: it is not installed (apt-get install haproxy)"
)


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """Run a proxy in the foreground until the block ends; it accepts when the block begins."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            ends = time.monotonic() + PATIENCE_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    assert time.monotonic() < ends
                    time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, *lines: str) -> tuple[dict[str, Any], tuple[str, int]]:
    """The scope of a request through the proxy, and the client's own address."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
        client.sendall(get("/scope", *lines, "X-Tell: scope", "Connection: close"))
        status, _, content = read_response(client)
        assert status == 200, content
        return ast.literal_eval(content.decode()), client.getsockname()


@needs_nginx
@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_nginx(over: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"proxy_headers": "x-forwarded", "forwarded_allow_ips": "127.0.0.1"}
    if over == "unix":
        options |= {"uds": tmp_path / "s", "forwarded_allow_ips": "unix"}
    with serve("tests.apps:app", **options) as server:
        port = free_port()
        conf = tmp_path / "nginx.conf"
        to = f"http://unix:{server.address}:" if over == "unix" else f"http://127.0.0.1:{server.port}"
        conf.write_text(NGINX_CONF.format(folder=tmp_path, port=port, to=to))
        with running([str(NGINX), "-c", str(conf), "-p", str(tmp_path), "-e", "stderr"], port):
            scope, _ = ask(port, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Prefix: /evil")
    # The client is on this machine: nginx, which is trusted over TCP, appends an address that is trusted as well.
    assert scope["client"] == (("127.0.0.1", 0) if over == "unix" else ("6.6.6.6", 0))
    assert (scope["scheme"], scope["root_path"], scope["path"]) == ("https", "/api", "/api/scope")
    assert (b"host", b"a:8443") in scope["headers"]
    assert scope["extensions"]["whorl.proxy"]["host"] == b"inside"


@needs_nginx
def test_a_websocket_through_nginx_without_what_it_needs_gets_a_hint(tmp_path: Path) -> None:
    with serve("tests.apps:app", timeout_first_byte=1) as server:
        port = free_port()
        conf = tmp_path / "nginx.conf"
        text = NGINX_CONF.format(folder=tmp_path, port=port, to=f"http://127.0.0.1:{server.port}")
        conf.write_text(text.replace("proxy_http_version 1.1;", "proxy_http_version 1.0;"))
        with (
            running([str(NGINX), "-c", str(conf), "-p", str(tmp_path), "-e", "stderr"], port),
            socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client,
        ):
            client.sendall(upgrade("/"))
            status, _, _ = read_response(client)
        assert status == 200
        server.wait_for_line("a WebSocket handshake came without Upgrade")


@needs_haproxy
@pytest.mark.parametrize(
    ("mode", "send", "uds"),
    [
        ("http", "", False),
        ("tcp", "send-proxy", False),
        ("tcp", "send-proxy-v2", False),
        ("tcp", "send-proxy-v2 proxy-v2-options crc32c,unique-id", True),
    ],
)
def test_haproxy(mode: str, send: str, uds: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"uds": tmp_path / "s", "forwarded_allow_ips": "unix"} if uds else {}
    if send:
        options["proxy_protocol"] = "require"
    with serve("tests.apps:app", **options) as server:
        port = free_port()
        more = "option forwardfor" if mode == "http" else "unique-id-format the-%pid" if uds else ""
        to = f"unix@{server.address}" if uds else f"127.0.0.1:{server.port}"
        conf = tmp_path / "haproxy.cfg"
        conf.write_text(HAPROXY_CONF.format(mode=mode, port=port, more=more, to=f"{to} {send}"))
        with running([str(HAPROXY), "-db", "-q", "-f", str(conf)], port):
            scope, ours = ask(port)
    told = scope["extensions"]["whorl.proxy"]
    if send:
        assert (scope["client"], scope["server"]) == (ours, ("127.0.0.1", port))
        assert told["protocol"] == (1 if send == "send-proxy" else 2)
        assert ("unique_id" in told) is uds
    else:
        assert scope["client"] == (ours[0], 0)


EVENT = [start(), body(b"event", True), ("note", "here"), ("until_gone",)]


def seconds_until_told(server: Process, port: int, way: str) -> float:
    """How long it takes until the application hears that the browser of a stream has left; the best of some."""
    seconds = []
    for number in range(5):
        name = f"{way}-{number}"
        browser = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        browser.sendall(get("/", script=EVENT, name=name))
        received = b""
        while b"event" not in received:
            received += browser.recv(1000)
        with Client(server) as side:
            side.send(get(f"/events?name={name}&count=2"))
            began = time.monotonic()
            if way == "reset":
                reset_on_close(browser.fileno())
            browser.close()
            assert b"http.disconnect after 0" in side.response().content
            seconds.append(time.monotonic() - began)
    return min(seconds)


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize(
    "proxy", [pytest.param("nginx", marks=needs_nginx), pytest.param("haproxy", marks=needs_haproxy)]
)
def test_a_browser_that_leaves_a_stream(loop_name: str, proxy: str, way: str, tmp_path: Path) -> None:
    with serve("tests.apps:app", loop=loop_name) as server:
        port = free_port()
        if proxy == "nginx":
            conf = tmp_path / "nginx.conf"
            conf.write_text(NGINX_CONF.format(folder=tmp_path, port=port, to=f"http://127.0.0.1:{server.port}"))
            command = [str(NGINX), "-c", str(conf), "-p", str(tmp_path), "-e", "stderr"]
        else:
            conf = tmp_path / "haproxy.conf"
            # Without this option it keeps the connection to the server until it has timed out itself.
            words = {"mode": "http", "more": "option abortonclose", "to": f"127.0.0.1:{server.port}"}
            conf.write_text(HAPROXY_CONF.format(port=port, **words))
            command = [str(HAPROXY), "-db", "-q", "-f", str(conf)]
        # HAProxy ends the connection with a reset, which one loop does not notice: there the sweep does.
        by_sweep = proxy == "haproxy" and loop_name.startswith("rloop")
        with running(command, port):
            assert seconds_until_told(server, port, way) < (1.0 if by_sweep else 0.1)
