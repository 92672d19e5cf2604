"""What the application is told of a request (ASGI HTTP 2.5, "HTTP Connection Scope")."""

from __future__ import annotations

import ast
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, read_response, serve
from tests.server.client import Client, get, post, request
from tests.server.conftest import Pool

EXTENSIONS = {"http.response.trailers": {}, "http.response.early_hint": {}, "http.response.pathsend": {}}


def scope_of(server: Process, octets: bytes) -> dict[str, Any]:
    with Client(server) as client:
        scope = ast.literal_eval(client.ask(octets).content.decode())
        assert isinstance(scope, dict)
        return scope


def test_every_key_and_its_type(server: Process) -> None:
    with Client(server) as client:
        client.send(get("/scope?a=%20b", "X-Two: 1", "x-two:  2 ", "Cookie: a=b"))
        scope = ast.literal_eval(client.response().content.decode())
        ours = client.socket.getsockname()
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/scope",
        "raw_path": b"/scope",
        "query_string": b"a=%20b",
        "root_path": "",
        "headers": [(b"host", b"a"), (b"x-two", b"1"), (b"x-two", b"2"), (b"cookie", b"a=b")],
        "client": (ours[0], ours[1]),
        "server": ("127.0.0.1", server.port),
        "extensions": EXTENSIONS,
        "state": {"shared": ["from the lifespan"]},
    }
    assert type(scope["client"][1]) is int


def test_nothing_is_shared_with_the_next_request(server: Process) -> None:
    """The application under test changes its scope; the next one on the connection is untouched."""
    with Client(server) as client:
        first, second = (client.ask(get("/scope")).content for _ in range(2))
        assert first == second


def test_of_HTTP_1_0(server: Process) -> None:
    scope = scope_of(server, b"GET /scope HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["headers"] == []
    assert scope["extensions"] == {"http.response.pathsend": {}}, "it has neither interim responses nor trailers"


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/scope?", "/scope", b"/scope", b""),
        ("/scope??a=b?c", "/scope", b"/scope", b"?a=b?c"),
        ("/%73cope", "/scope", b"/%73cope", b""),
        ("/scope?q=%73", "/scope", b"/scope", b"q=%73"),
        ("http://other:81/scope?a", "/scope", b"/scope", b"a"),
        ("/%2Fscope", "//scope", b"/%2Fscope", b""),
        ("//scope", "//scope", b"//scope", b""),
        ("/%C3%BC%e2%82%ac", "/ü€", b"/%C3%BC%e2%82%ac", b""),
        ("/%FF%00%0d%0A%zz%2", "/\ufffd\0\r\n%zz%2", b"/%FF%00%0d%0A%zz%2", b""),
        ("/a/../b/./;c=d+e", "/a/../b/./;c=d+e", b"/a/../b/./;c=d+e", b""),
    ],
)
def test_targets(server: Process, target: str, path: str, raw_path: bytes, query: bytes) -> None:
    scope = scope_of(server, get(target, "X-Tell: scope"))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_the_authority_of_an_absolute_target_is_the_host(server: Process) -> None:
    """RFC 9112 section 3.2.2."""
    scope = scope_of(server, get("http://other:81/scope"))
    assert scope["headers"][0] == (b"host", b"other:81")


def test_asterisk(server: Process) -> None:
    scope = scope_of(server, request("OPTIONS", "*", "X-Tell: scope"))
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("OPTIONS", "*", b"*")


@pytest.mark.parametrize("method", ["get", "PURGE", "M-SEARCH", "!#$%&'*+-.^_`|~"])
def test_methods_are_passed_on_as_they_are(server: Process, method: str) -> None:
    assert scope_of(server, request(method, "/scope"))["method"] == method


def test_fields_keep_their_octets(server: Process) -> None:
    fields = b"X-Latin: caf\xe9\r\nX-Utf8: \xc3\xbc\r\nX_Under: 1\r\nX-Empty:\r\nX-Tab: a\tb\r\n"
    scope = scope_of(server, b"GET /scope HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert scope["headers"][1:] == [
        (b"x-latin", b"caf\xe9"),
        (b"x-utf8", b"\xc3\xbc"),
        (b"x_under", b"1"),
        (b"x-empty", b""),
        (b"x-tab", b"a\tb"),
    ]


def test_framing_fields_are_told(server: Process) -> None:
    scope = scope_of(server, post(None, "/scope", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert (b"transfer-encoding", b"chunked") in scope["headers"]


def test_root_path(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, root_path="/api/v1")
    scope = scope_of(server, get("/a%20b?c", "X-Tell: scope"))
    assert scope["root_path"] == "/api/v1"
    assert scope["path"] == "/api/v1/a b"
    assert scope["raw_path"] == b"/api/v1/a%20b"


def test_without_a_lifespan_there_is_no_state_of_it(loop_name: str) -> None:
    with serve("tests.apps:app", loop=loop_name, lifespan="off") as server:
        assert not scope_of(server, get("/scope")).get("state")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_over_IPv6(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, host="::1")
    scope = scope_of(server, get("/scope"))
    assert scope["client"][0] == "::1"
    assert len(scope["client"]) == 2
    assert scope["server"] == ("::1", server.port)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, 127.0.0.2 is no address of this machine")
def test_where_every_address_of_the_machine_is_served(pool: Pool, loop_name: str) -> None:
    server = pool.server(loop=loop_name, host="0.0.0.0")
    for address in ("127.0.0.1", "127.0.0.2"):
        with socket.create_connection((address, server.port), 10) as client:
            client.sendall(get("/scope"))
            assert ast.literal_eval(read_response(client)[2].decode())["server"] == (address, server.port)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_over_a_Unix_socket(loop: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve("tests.apps:app", loop=loop, uds=path) as server:
        scope = scope_of(server, get("/scope"))
        assert scope["client"] is None
        assert scope["server"] == (str(path), None)
        server.wait_for_line('unix "GET /scope HTTP/1.1" 200', "stdout")
