"""What the application and the log are told of a request that a proxy passed on."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import Client, get
from tests.server.conftest import Pool, watched
from tests.server.peer import Peer, upgrade

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"

WHOLE = (
    "X-Forwarded-For: 6.6.6.6, 192.0.2.43:4711",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: a.example",
    "X-Forwarded-Port: 8443",
    "X-Forwarded-Prefix: /api",
)


def scopes(server: Process, *requests: bytes) -> tuple[list[dict[str, Any]], tuple[str, int]]:
    """The scopes of requests on one connection, and the address of the client's socket."""
    with Client(server) as client:
        found = [ast.literal_eval(client.ask(octets).content.decode()) for octets in requests]
        return found, client.socket.getsockname()


@pytest.fixture
def believing(pool: Pool, loop_name: str) -> Iterator[Process]:
    """A server that believes all X-Forwarded-* of this machine."""
    yield from watched(pool.server(loop=loop_name, proxy_headers="x-forwarded"))


def test_the_application_sees_the_client_and_the_log_too(believing: Process) -> None:
    (scope,), ours = scopes(believing, get("/scope?a", *WHOLE, "X-Tell: scope"))
    assert scope["client"] == ("192.0.2.43", 4711)
    assert scope["server"] == ("127.0.0.1", believing.port)
    assert scope["scheme"] == "https"
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/scope", b"/api/scope")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"a.example:8443"]
    assert scope["extensions"]["whorl.proxy"] == {"peer": ours, "host": b"a"}
    believing.wait_for_line('192.0.2.43:4711 "GET /scope?a HTTP/1.1" 200', "stdout")


def test_each_request_of_a_connection_has_its_own_client(believing: Process) -> None:
    tell = get("/scope")
    told, ours = scopes(
        believing, tell, get("/scope", "X-Forwarded-For: 192.0.2.1"), tell, get("/scope", "X-Forwarded-For: 192.0.2.2")
    )
    assert [scope["client"] for scope in told] == [ours, ("192.0.2.1", 0), ours, ("192.0.2.2", 0)]
    assert [scope["scheme"] for scope in told] == ["http"] * 4
    assert ["whorl.proxy" in scope["extensions"] for scope in told] == [False, True, False, True]
    believing.wait_for_line('192.0.2.2 "GET /scope', "stdout")


def test_by_default_host_and_prefix_are_not_believed(server: Process) -> None:
    (scope,), _ = scopes(server, get("/scope", *WHOLE))
    assert (scope["client"], scope["scheme"], scope["root_path"]) == (("192.0.2.43", 4711), "https", "")
    assert (b"host", b"a") in scope["headers"]


def test_by_default_forwarded_is_read_where_it_stands_alone(server: Process) -> None:
    told, ours = scopes(
        server,
        get("/scope", 'Forwarded: for="[2001:db8::1]:80";proto=https'),
        get("/scope", "Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.2"),
        get("/scope", "Forwarded: for=nonsense"),
    )
    assert [scope["client"] for scope in told] == [("2001:db8::1", 80), ("192.0.2.2", 0), ours]
    assert [scope["scheme"] for scope in told] == ["https", "http", "http"]


def test_a_stranger_is_not_believed(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, forwarded_allow_ips="10.0.0.0/8", proxy_headers="x-forwarded")
    (scope,), ours = scopes(server, get("/scope", *WHOLE, "Forwarded: for=6.6.6.6"))
    assert (scope["client"], scope["scheme"], scope["root_path"]) == (ours, "http", "")
    assert "whorl.proxy" not in scope["extensions"]


def test_a_websocket_is_told_the_same(server: Process) -> None:
    with Peer(server, "/scope", "X-Forwarded-For: 192.0.2.43", "X-Forwarded-Proto: https") as peer:
        scope = ast.literal_eval(peer.text())
        assert (scope["type"], scope["scheme"], scope["client"]) == ("websocket", "wss", ("192.0.2.43", 0))
        assert scope["extensions"]["whorl.proxy"] == {"peer": peer.socket.getsockname()}


def test_off_is_off(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, proxy_headers="off")
    (scope,), ours = scopes(server, get("/scope", *WHOLE))
    assert (scope["client"], scope["scheme"]) == (ours, "http")


@pytest.mark.parametrize(("trusted", "client"), [("127.0.0.1", None), ("unix", ("192.0.2.43", 0))])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_over_a_Unix_socket(loop: str, trusted: str, client: object, tmp_path: Path) -> None:
    with serve("tests.apps:app", loop=loop, uds=tmp_path / "s", forwarded_allow_ips=trusted) as server:
        with Client(server) as connection:
            scope = ast.literal_eval(connection.ask(get("/scope", "X-Forwarded-For: 192.0.2.43")).content.decode())
        assert scope["client"] == client
        assert scope["extensions"].get("whorl.proxy") == ({"peer": None} if client else None)
        server.wait_for_line(f'{"192.0.2.43" if client else "unix"} "GET /scope', "stdout")


def test_a_prefix_takes_the_place_of_root_path(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, proxy_headers="x-forwarded", root_path="/own")
    told, _ = scopes(server, get("/a%20b", "X-Tell: scope"), get("/a%20b", "X-Tell: scope", "X-Forwarded-Prefix: /p"))
    assert [(scope["root_path"], scope["path"], scope["raw_path"]) for scope in told] == [
        ("/own", "/own/a b", b"/own/a%20b"),
        ("/p", "/p/a b", b"/p/a%20b"),
    ]


def test_what_was_malformed_is_counted(loop_name: str) -> None:
    """And told soon, at first; and once more at the end."""
    bad = get("/scope", "X-Forwarded-For: ?", "X-Forwarded-Proto: ?"), get("/scope", "X-Forwarded-For: ?")
    with serve("tests.apps:app", loop=loop_name, timeout_first_byte=1) as server:
        scopes(server, *bad)
        server.wait_for_line("malformed so far: ")
        scopes(server, bad[1])
        assert server.stop() == 0
        told = [line.partition("malformed so far: ")[2] for line in server.stderr if "malformed so far: " in line]
        assert [line.partition(",")[0] for line in told] == [told[0].partition(",")[0], "4 values of proxies' fields"]
        assert told[-1].startswith("4 values of proxies' fields, ignored; 0 preambles of the PROXY protocol, ")


def test_malformed_preambles_are_counted_beside_them(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name, proxy_protocol="allow") as server:
        for octets in (b"PROXY nonsense\r\n", b"PROXY TCP4 256.0.0.1 10.0.0.1 1 2\r\n", get()):
            with Client(server) as client:
                client.send(octets + get("/", "Connection: close"))
                assert client.rest().startswith(b"HTTP/1.1 200") is (octets == get())
        assert server.stop() == 0
        assert any("; 2 preambles of the PROXY protocol, " in line for line in server.stderr)


def test_strangers_cannot_make_it_count(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name, proxy_protocol="allow", forwarded_allow_ips="10.0.0.1") as server:
        scopes(server, get("/scope", "X-Forwarded-For: ?"))
        with Client(server) as client:
            assert client.ask(b"PROXY nonsense\r\n").status == 400
        assert server.stop() == 0
        assert not any("malformed" in line for line in server.stderr)


def test_each_worker_has_its_own_count(loop_name: str) -> None:
    """And believes the same peers."""
    with serve("tests.apps:app", loop=loop_name, workers=2, proxy_protocol="allow") as server:
        for _ in range(10):
            (scope,), _ = scopes(server, get("/scope", "X-Forwarded-For: 192.0.2.1, ?"))
            assert scope["client"][0] == "127.0.0.1"
            with Client(server) as client:
                preamble = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"
                scope = ast.literal_eval(client.ask(preamble + get("/scope")).content.decode())
                assert scope["client"] == ("192.0.2.1", 4711)
        assert server.stop() == 0
        counts: dict[str, int] = {}
        for found in re.finditer(r"malformed so far: (\d+) values.*process (\d+)", "\n".join(server.stderr)):
            counts[found[2]] = int(found[1])
        assert sum(counts.values()) == 10


def cpu_seconds(server: Process) -> float:
    """How much of a processor the server has used so far."""
    fields = Path(f"/proc/{server.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("value", ["a," + " " * 4000 + "@", "a," + " \t" * 2000 + "@", "," * 4000, '"\\"' * 1300])
def test_a_flood_of_malformed_forwarded_fields_takes_no_core(server: Process, value: str) -> None:
    """Each of the first took 0.16 s. Tests count the steps (tests/test_linear.py); this is the flood itself."""
    requests = 3000 if SOAK else 25
    before = cpu_seconds(server)
    with Client(server) as client:
        for _ in range(requests):
            assert client.ask(get("/", f"Forwarded: {value}")).status == 200
    each = (cpu_seconds(server) - before) / requests
    print(f"{requests} requests, {each * 1000:.2f} ms of the server's CPU each")
    assert each < 0.02


class TestLostUpgrade:
    """A WebSocket handshake of which a proxy passes on all but Upgrade gets a hint in the log."""

    HINT = "a WebSocket handshake came without Upgrade"
    KEY = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")

    def hints(self, server: Process) -> int:
        assert server.stop() == 0
        return sum(self.HINT in line for line in server.stderr)

    @pytest.mark.parametrize(
        ("version", "lines"),
        [
            ("1.1", ()),  # proxy_http_version 1.1 alone
            ("1.0", ("Connection: close",)),  # nothing, as nginx did by default until 1.29.7
            ("1.0", ("Connection: upgrade", "Upgrade: websocket")),  # both fields, and not the version
            ("1.1", ("Connection: close", "Upgrade: websocket")),
        ],
    )
    def test_is_said_once(self, loop_name: str, version: str, lines: tuple[str, ...]) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_first_byte=1) as server:
            for _ in range(2):
                with Client(server) as client:
                    assert client.ask(get("/", *self.KEY, *lines, version=version)).status == 200
            assert "proxy_http_version 1.1" in server.wait_for_line(self.HINT)
            with Client(server) as client:
                assert client.ask(get("/", *self.KEY, *lines, version=version)).status == 200
            assert self.hints(server) == 1

    def test_is_not_said_of_handshakes_or_where_none_is_served(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, timeout_first_byte=1) as server:
            with Client(server) as client:
                assert client.send(upgrade()).head().status == 101
            with Client(server) as client:
                assert client.ask(get()).status == 200
            assert self.hints(server) == 0
        with serve("tests.apps:app", loop=loop_name, timeout_first_byte=1, ws="none") as server:
            with Client(server) as client:
                assert client.ask(get("/", *self.KEY)).status == 200
            assert self.hints(server) == 0


class TestAllowedHosts:
    """Requests for hosts of others."""

    @pytest.fixture
    def listed(self, pool: Pool, loop_name: str) -> Iterator[Process]:
        yield from watched(
            pool.server(loop=loop_name, allowed_hosts="example.org,*.example.net", proxy_headers="x-forwarded")
        )

    @pytest.mark.parametrize(
        ("octets", "status"),
        [
            (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", 200),
            (b"GET / HTTP/1.1\r\nHost: EXAMPLE.org.:81\r\n\r\n", 200),
            (b"GET / HTTP/1.1\r\nHost: a.example.net\r\n\r\n", 200),
            (b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n", 400),
            (b"GET http://evil/ HTTP/1.1\r\nHost: example.org\r\n\r\n", 400),
            (b"GET http://example.org/ HTTP/1.1\r\nHost: evil\r\n\r\n", 200),
            (b"GET / HTTP/1.0\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: inside\r\nX-Forwarded-Host: example.org\r\n\r\n", 200),
            (b"GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-Host: evil\r\n\r\n", 400),
        ],
    )
    def test_only_these_are_served(self, listed: Process, octets: bytes, status: int) -> None:
        with Client(listed) as client:
            assert client.ask(octets).status == status

    def test_the_refusal_is_logged_with_its_client(self, listed: Process) -> None:
        with Client(listed) as client:
            client.ask(get("/evil", "X-Forwarded-For: 192.0.2.9"))
        listed.wait_for_line('192.0.2.9 "GET /evil HTTP/1.1" 400', "stdout")
