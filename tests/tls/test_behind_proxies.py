"""Behind the real nginx and HAProxy that speak TLS to us: over TCP and Unix sockets, with certificates of their own,
and with the PROXY protocol before the handshake."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, read_response, serve
from tests.server.client import post
from tests.server.test_behind_proxies import (
    HAPROXY,
    HAPROXY_CONF,
    NGINX,
    PATIENCE_SECONDS,
    ask,
    free_port,
    running,
)
from tests.tls.client import Authority

NGINX_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 0; client_body_buffer_size 8m;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    upstream app {{ server {to}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
            proxy_ssl_name localhost; proxy_ssl_server_name on;
            proxy_ssl_protocols {protocols};
            proxy_ssl_certificate {certificate}; proxy_ssl_certificate_key {key};
        }}
    }}
}}
"""
UNIX_LOOPS = ["asyncio", "uvloop"]
MIB = 1024 * 1024


def options_of(authority: Authority, certificate: dict[str, Any]) -> dict[str, Any]:
    """A server that wants certificates of its clients."""
    return {"ssl_ca_certs": authority.ca_certs, "ssl_cert_reqs": "required", **certificate}


@pytest.fixture(scope="session")
def proxy_certificate(authority: Authority) -> dict[str, Path]:
    return authority.issue("proxy@example.org", common_name="proxy", to="proxy")


@contextmanager
def behind_nginx(
    server: Process, authority: Authority, own: dict[str, Path], folder: Path, protocols: str = "TLSv1.2 TLSv1.3"
) -> Iterator[int]:
    """nginx in front, and its port."""
    port = free_port()
    to = f"unix:{server.address}" if isinstance(server.address, str) else f"127.0.0.1:{server.port}"
    conf = folder / "nginx.conf"
    files = {"ca": authority.ca_certs, "certificate": own["ssl_certfile"], "key": own["ssl_keyfile"]}
    conf.write_text(NGINX_CONF.format(folder=folder, port=port, to=to, protocols=protocols, **files))
    with running([str(NGINX), "-c", str(conf), "-p", str(folder), "-e", "stderr"], port):
        yield port


def echo(port: int, content: bytes) -> bytes:
    """Content that goes through the proxy and back."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
        client.sendall(post(content, "/echo", "Connection: close"))
        status, _, received = read_response(client)
        assert status == 200
        return received


@pytest.mark.skipif(
    NGINX is None, reason="BEHIND NGINX IS NOT TESTED: it is not installed (apt-get install nginx-light)"
)
class TestNginx:
    @pytest.mark.parametrize(("protocols", "number"), [("TLSv1.2", 0x0303), ("TLSv1.3", 0x0304)])
    def test_over_tcp(
        self,
        loop_name: str,
        authority: Authority,
        certificate: dict[str, Any],
        proxy_certificate: dict[str, Path],
        tmp_path: Path,
        protocols: str,
        number: int,
    ) -> None:
        content = os.urandom(3 * MIB)
        with serve("tests.apps:app", loop=loop_name, **options_of(authority, certificate)) as server:
            with behind_nginx(server, authority, proxy_certificate, tmp_path, protocols) as port:
                for _ in range(3):  # on one connection of the proxy's
                    scope, _ = ask(port)
                    assert (scope["client"], scope["scheme"]) == (("127.0.0.1", 0), "http")
                    told = scope["extensions"]["tls"]
                    assert told["tls_version"] == number
                    assert told["client_cert_name"].startswith("CN=proxy,")
                assert echo(port, content) == content
            assert server.stop() == 0

    @pytest.mark.parametrize("loop", UNIX_LOOPS)
    def test_over_a_Unix_socket(
        self,
        loop: str,
        authority: Authority,
        certificate: dict[str, Any],
        proxy_certificate: dict[str, Path],
        tmp_path: Path,
    ) -> None:
        options = {"uds": tmp_path / "s", "forwarded_allow_ips": "unix", **options_of(authority, certificate)}
        with serve("tests.apps:app", loop=loop, **options) as server:
            with behind_nginx(server, authority, proxy_certificate, tmp_path) as port:
                scope, _ = ask(port)
        assert scope["client"] == ("127.0.0.1", 0)
        assert scope["extensions"]["whorl.proxy"] == {"peer": None}
        assert scope["extensions"]["tls"]["client_cert_name"].startswith("CN=proxy,")


@pytest.mark.skipif(
    HAPROXY is None, reason="BEHIND HAPROXY IS NOT TESTED: it is not installed (apt-get install haproxy)"
)
class TestHaproxy:
    @pytest.mark.parametrize(
        ("mode", "send", "protocol"),
        [("http", "", 0), ("tcp", "send-proxy", 1), ("tcp", "send-proxy-v2", 2), ("tcp", "send-proxy-v2-ssl-cn", 2)],
    )
    def test_with_and_without_the_proxy_protocol(
        self,
        loop_name: str,
        authority: Authority,
        certificate: dict[str, Any],
        proxy_certificate: dict[str, Path],
        tmp_path: Path,
        mode: str,
        send: str,
        protocol: int,
    ) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(b"".join(proxy_certificate[name].read_bytes() for name in ("ssl_certfile", "ssl_keyfile")))
        options = options_of(authority, certificate)
        if send:
            options["proxy_protocol"] = "require"
        with serve("tests.apps:app", loop=loop_name, **options) as server:
            port = free_port()
            trust = f"ssl verify required ca-file {authority.ca_certs} verifyhost localhost sni str(localhost)"
            to = f"127.0.0.1:{server.port} {trust} crt {both} check {'check-ssl' if mode == 'http' else ''} {send}"
            conf = tmp_path / "haproxy.cfg"
            more = "option forwardfor\n    http-reuse always\n    option httpchk" if mode == "http" else ""
            conf.write_text(HAPROXY_CONF.format(mode=mode, port=port, more=more, to=to))
            with running([str(HAPROXY), "-db", "-q", "-f", str(conf)], port):
                for _ in range(3):
                    scope, ours = ask(port)
                content = os.urandom(MIB)
                assert echo(port, content) == content
            assert server.stop() == 0
        assert scope["extensions"]["tls"]["client_cert_name"].startswith("CN=proxy,")
        told = scope["extensions"]["whorl.proxy"]
        if send:
            assert (scope["client"], scope["server"]) == (ours, ("127.0.0.1", port))
            assert (told["protocol"], scope["scheme"]) == (protocol, "https")
        else:
            assert scope["client"] == (ours[0], 0)
