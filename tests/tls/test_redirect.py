"""`redirect_http`: a port where every request is answered with a redirect to TLS (RFC 9110 section 15.4.9)."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, read_all, serve
from tests.server.client import Client, get, post, request, until
from tests.server.conftest import Pool, watched
from tests.server.test_sockets import PASS_AS_SYSTEMD_DOES
from tests.supervisor.test_handover import end, hand_over
from tests.tls.client import Authority, TlsClient
from whorl.config import Config
from whorl.connection.redirect import HttpsRedirectPolicy
from whorl.errors import ConfigError
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers

ELSEWHERE = re.compile(r" (?:fd:\d+ )?http://(\S+):(\d+) \(redirects\)")


@dataclass
class Door:
    """The port that redirects, for a `Client`."""

    address: tuple[str, int]

    def connect(self, timeout_seconds: float = 10.0) -> socket.socket:
        return socket.create_connection(self.address, timeout_seconds)


def door_of(server: Process) -> Door:
    found = ELSEWHERE.search(server.wait_for_line(" serves "))
    assert found is not None, server.stderr
    return Door((found[1].strip("[]"), int(found[2])))


def to(host: str, octets: bytes) -> bytes:
    """The same request for this Host."""
    return octets.replace(b"Host: a\r\n", f"Host: {host}\r\n".encode(), 1)


def ask(server: Process, octets: bytes, method: str = "GET") -> Any:
    with Client(door_of(server)) as client:  # type: ignore[arg-type]
        response = client.ask(octets, method)
        assert response.closes
        assert client.rest() == b""
        return response


@pytest.fixture
def redirecting(pool: Pool, loop_name: str, certificate: dict[str, Any]) -> Iterator[Process]:
    yield from watched(pool.server(loop=loop_name, redirect_http=0, **certificate))


class TestWhereTo:
    @pytest.mark.parametrize(
        ("method", "target", "place"),
        [
            ("GET", "/", "/"),
            ("GET", "/a%20b//c;d?e=/f?g&h=https://evil/", "/a%20b//c;d?e=/f?g&h=https://evil/"),
            ("GET", "//evil.example/x", "//evil.example/x"),
            ("GET", "/.well-known/acme-challenge/token", "/.well-known/acme-challenge/token"),
            ("HEAD", "/a", "/a"),
            ("DELETE", "/a", "/a"),
            ("GET", "http://localhost:{port}/a?b", "/a?b"),
            ("OPTIONS", "*", ""),
        ],
    )
    def test_the_same_over_tls(self, redirecting: Process, method: str, target: str, place: str) -> None:
        _, port = door_of(redirecting).address
        octets = to(f"localhost:{port}", request(method, target.format(port=port)))
        response = ask(redirecting, octets, method)
        assert (response.status, response["location"]) == (308, f"https://localhost:{redirecting.port}{place}")
        assert bool(response.content) is (method != "HEAD")

    @pytest.mark.parametrize(
        ("ports", "host", "place"),
        [
            ((80, 443), b"example.org", b"https://example.org/a"),
            ((80, 443), b"example.org:80", b"https://example.org/a"),
            ((80, 8443), b"example.org", b"https://example.org:8443/a"),
            ((8080, 8443), b"[2001:db8::1]:8080", b"https://[2001:db8::1]:8443/a"),
            ((8080, 443), b"[2001:db8::1]:8080", b"https://[2001:db8::1]/a"),
            # Ports are mapped on the way here: docker run -p 80:8080 -p 443:8443.
            ((8080, 8443), b"example.org", b"https://example.org/a"),
            ((8080, 8443), b"[2001:db8::1]", b"https://[2001:db8::1]/a"),
            ((8080, 8443), b"example.org:", b"https://example.org/a"),
        ],
    )
    def test_the_port(self, ports: tuple[int, int], host: bytes, place: bytes) -> None:
        policy = HttpsRedirectPolicy(TrustedPeers(()), MalformedCounts(), port=ports[0], redirect_port=ports[1])
        assert policy.location(host, b"/a") == place

    def test_it_leads_to_the_application(self, redirecting: Process, trusting: ssl.SSLContext) -> None:
        _, port = door_of(redirecting).address
        location = ask(redirecting, to(f"localhost:{port}", get("/scope")))["location"]
        assert location == f"https://localhost:{redirecting.port}/scope"
        with TlsClient(redirecting, trusting) as client:
            assert b"'scheme': 'https'" in client.ask(get("/scope")).content

    @pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
    def test_curl_follows_and_keeps_method_and_content(self, redirecting: Process, authority: Authority) -> None:
        _, port = door_of(redirecting).address
        command = [
            "curl",
            "-sSL",
            "--cacert",
            str(authority.ca_certs),
            f"http://localhost:{port}/echo",
            "-d",
            "content",
        ]
        found = subprocess.run(command, capture_output=True, timeout=20, check=False)
        assert (found.stdout, found.stderr) == (b"content", b"")


class TestOnlyOurHosts:
    @pytest.mark.parametrize(
        "octets",
        [
            b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: evil@localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: a\r\nBad Field: x\r\n\r\n",
        ],
    )
    def test_others_are_400(self, redirecting: Process, octets: bytes) -> None:
        response = ask(redirecting, octets)
        assert (response.status, response["location"]) == (400, None)

    def test_those_that_are_allowed(self, pool: Pool, loop_name: str, certificate: dict[str, Any]) -> None:
        server = pool.server(loop=loop_name, redirect_http=0, allowed_hosts="*.example.net", **certificate)
        assert ask(server, to("x.example.net", get()))["location"] == "https://x.example.net/"
        assert ask(server, to("localhost", get())).status == 400

    def test_those_of_renewed_certificates(self, loop_name: str, authority: Authority) -> None:
        paths = authority.issue("localhost", "old.example", "*.wild.example", "::1", to="redirecting")
        with serve("tests.apps:app", loop=loop_name, redirect_http=0, **paths) as process:
            statuses = {}
            for _ in range(2):
                for host in ("old.example", "new.example", "a.wild.example", "[::1]"):
                    statuses.setdefault(host, []).append(ask(process, to(host, get())).status)
                authority.issue("localhost", "new.example", to="redirecting")
                process.signal(signal.SIGHUP)
                process.wait_for_line("were loaded anew")
            assert statuses == {
                "old.example": [308, 400],
                "new.example": [400, 308],
                "a.wild.example": [308, 400],
                "[::1]": [308, 400],
            }


class TestNothingIsServed:
    def test_the_application_is_never_called(self, redirecting: Process) -> None:
        octets = to("localhost", get("/for-the-log", script=[("print", "called")]))
        assert ask(redirecting, octets).status == 308
        redirecting.wait_for_line('"GET /for-the-log HTTP/1.1" 308', "stdout")
        assert "called" not in redirecting.stdout

    def test_nor_for_a_websocket(self, redirecting: Process) -> None:
        lines = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: " + "A" * 22 + "==",
        )
        response = ask(redirecting, to("localhost", get("/echo", *lines)))
        assert (response.status, response["location"]) == (308, "https://localhost/echo")

    def test_a_body_is_not_awaited(self, redirecting: Process) -> None:
        octets = post(None, "/", "Content-Length: 1000000000", "Expect: 100-continue")
        response = ask(redirecting, to("localhost", octets))
        assert (response.status, response.interim) == (308, [])

    def test_a_body_is_read_within_bounds(self, redirecting: Process) -> None:
        """The answer can be read while the client sends; but it does not send for ever."""
        with Client(door_of(redirecting)) as client:  # type: ignore[arg-type]
            client.send(to("localhost", post(None, "/", "Content-Length: 1000000000")))
            client.send(b"x" * 500_000)
            assert client.response().status == 308
            with pytest.raises(ConnectionError):
                for _ in range(1000):
                    client.send(b"x" * 1_000_000)

    def test_pipelined_requests_end_with_the_first(self, redirecting: Process) -> None:
        octets = to("localhost", get())
        assert ask(redirecting, octets * 3).status == 308

    def test_tls_is_refused_at_once(self, redirecting: Process) -> None:
        with door_of(redirecting).connect() as client:
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(client, server_hostname="localhost")

    def test_silence_has_a_deadline(self, loop_name: str, certificate: dict[str, Any]) -> None:
        deadlines = {"timeout_first_byte": 0.2, "timeout_request_head": 0.2}
        with serve("tests.apps:app", loop=loop_name, redirect_http=0, **deadlines, **certificate) as process:
            door = door_of(process)
            with door.connect() as silent, door.connect() as slow:
                slow.sendall(b"GET / HTTP/1.1\r\n")
                assert read_all(silent) == b""
                assert read_all(slow).startswith(b"HTTP/1.1 408 ")
            assert process.stop() == 0


class TestBehindAProxy:
    def test_its_client_is_in_the_log(self, pool: Pool, loop_name: str, certificate: dict[str, Any]) -> None:
        """A proxy that passes on bytes does so on both ports: its own port 80 leads here, its 443 to TLS."""
        server = pool.server(loop=loop_name, redirect_http=0, proxy_protocol="require", **certificate)
        preamble = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n"
        response = ask(server, preamble + to("localhost", get("/proxied")))
        assert (response.status, response["location"]) == (308, "https://localhost/proxied")
        server.wait_for_line('192.0.2.1:4711 "GET /proxied HTTP/1.1" 308', "stdout")

    def test_the_host_that_it_tells(self, pool: Pool, loop_name: str, certificate: dict[str, Any]) -> None:
        options = {"proxy_headers": "x-forwarded", "allowed_hosts": "a.example", **certificate}
        server = pool.server(loop=loop_name, redirect_http=0, **options)
        assert ask(server, get("/", "X-Forwarded-Host: a.example"))["location"] == "https://a.example/"
        assert ask(server, get("/", "X-Forwarded-Host: evil.example")).status == 400


class TestSockets:
    def test_with_workers(self, certificate: dict[str, Any]) -> None:
        """And a whole new server has them from the old one."""
        with serve("tests.apps:app", redirect_http=0, workers=2, **certificate) as process:
            assert ask(process, to("localhost", get())).status == 308
            parent = hand_over(process, process.popen.pid, 1)
            assert ask(process, to("localhost", get())).status == 308
            end(parent)
            first, second = (line for line in process.stderr if " serves " in line)
            assert ELSEWHERE.findall(first) == ELSEWHERE.findall(second) != []

    def test_with_a_queue_for_each_worker(self, certificate: dict[str, Any]) -> None:
        with serve("tests.apps:app", redirect_http=0, workers=2, reuse_port=True, **certificate) as process:
            for _ in range(10):
                assert ask(process, to("localhost", get())).status == 308

    def test_with_reload(self, certificate: dict[str, Any], tmp_path: Path) -> None:
        options = {"reload": True, "reload_dir": tmp_path, "reload_delay": 0.1, **certificate}
        with serve("tests.apps:app", redirect_http=0, **options) as process:
            assert ask(process, to("localhost", get())).status == 308
            (tmp_path / "changed.py").write_text("")
            until(lambda: sum(" serves " in line for line in process.stderr) == 2)
            assert ask(process, to("localhost", get())).status == 308

    def test_on_every_address(self, loop_name: str, certificate: dict[str, Any]) -> None:
        with serve("tests.apps:app", loop=loop_name, host="::", redirect_http=0, **certificate) as process:
            _, port = door_of(process).address
            for host in ("127.0.0.1", "::1"):
                with Client(Door((host, port))) as client:  # type: ignore[arg-type]
                    assert client.ask(to("localhost", get())).status == 308

    def test_that_were_handed_over(self, loop_name: str, certificate: dict[str, Any]) -> None:
        """systemd's: the one with the port redirects, the other serves."""
        with socket.create_server(("127.0.0.1", 0)) as serving, socket.create_server(("127.0.0.1", 0)) as redirecting:
            port = redirecting.getsockname()[1]
            handles = [redirecting.fileno(), serving.fileno()]
            code = PASS_AS_SYSTEMD_DOES.replace("os.dup2(int(descriptor), 3)", HAND_OVER_TWO)
            words = (sys.executable, "-c", code, ",".join(map(str, handles)), "2")
            with serve(
                "tests.apps:app",
                python=words,
                pass_fds=handles,
                loop=loop_name,
                redirect_http=port,
                **certificate,
            ) as process:
                assert door_of(process).address == ("127.0.0.1", port)
                response = ask(process, to(f"localhost:{port}", get()))
                assert response["location"] == f"https://localhost:{serving.getsockname()[1]}/"
                assert process.stop() == 0


HAND_OVER_TWO = """
for place, number in enumerate([os.dup(int(number)) for number in descriptor.split(",")], 60):
    os.dup2(number, place)
os.dup2(60, 3), os.dup2(61, 4)"""


class TestWhatCannotBe:
    def test_without_tls(self) -> None:
        with pytest.raises(ConfigError, match="redirect_http leads clients to TLS, and there is none"):
            Config("a:b", redirect_http=80)

    def refusal(self, **options: Any) -> str:
        with serve("tests.apps:app", ready=False, **options) as process:
            assert process.wait() == 3
            (line,) = process.stderr
            return line

    def test_on_a_Unix_socket(self, certificate: dict[str, Any], tmp_path: Path) -> None:
        assert "leads to a TCP port" in self.refusal(uds=tmp_path / "s", redirect_http=0, **certificate)

    def test_on_the_port_that_serves(self, certificate: dict[str, Any]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        assert "give another port" in self.refusal(port=port, redirect_http=port, **certificate)

    def test_on_a_port_in_use(self, certificate: dict[str, Any]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            assert f"127.0.0.1:{port} is in use" in self.refusal(redirect_http=port, **certificate)

    def test_on_none_of_the_sockets_that_were_handed_over(self, certificate: dict[str, Any]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            assert "none of the sockets that were handed over has port 1 " in self.refusal(
                fd=listener.fileno(), redirect_http=1, **certificate
            )

    def test_to_no_name(self) -> None:
        line = self.refusal(redirect_http=0, ssl_context_factory="tests.tls.client:nameless")
        assert "give allowed_hosts" in line
