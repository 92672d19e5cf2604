"""Connections that a proxy begins with a preamble of the PROXY protocol."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Process
from tests.proxy.test_preamble import TLS, V4, binary
from tests.server.client import Client, get
from tests.server.conftest import HASTY_SECONDS, Pool, watched

LINE = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"


@pytest.fixture(params=["allow", "require"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def introduced(pool: Pool, loop_name: str, mode: str) -> Iterator[Process]:
    yield from watched(pool.server(loop=loop_name, proxy_protocol=mode, timeout_first_byte=HASTY_SECONDS))


def scope_of(server: Process, *pieces: bytes) -> dict[str, Any]:
    with Client(server) as client:
        for piece in pieces:
            client.send(piece)
        scope = ast.literal_eval(client.response().content.decode())
        assert isinstance(scope, dict)
        return scope


@pytest.mark.parametrize("preamble", [LINE, binary(V4)])
def test_the_client_is_who_connected_to_the_proxy(introduced: Process, preamble: bytes) -> None:
    scope = scope_of(introduced, preamble + get("/scope"))
    assert (scope["client"], scope["server"], scope["scheme"]) == (("192.0.2.1", 4711), ("10.0.0.1", 443), "http")
    told = scope["extensions"]["whorl.proxy"]
    assert told["peer"][0] == "127.0.0.1"
    assert told["protocol"] == (1 if preamble is LINE else 2)
    introduced.wait_for_line('192.0.2.1:4711 "GET /scope', "stdout")


def test_it_may_come_in_pieces(introduced: Process) -> None:
    scope = scope_of(introduced, *(bytes([octet]) for octet in LINE + get("/scope")))
    assert scope["client"] == ("192.0.2.1", 4711)


def test_the_tls_of_the_proxy_is_told(introduced: Process) -> None:
    scope = scope_of(introduced, binary(V4 + TLS) + get("/scope"))
    assert scope["scheme"] == "https"
    assert scope["extensions"]["whorl.proxy"]["tls_client_name"] == b"joe"


def test_the_fields_of_one_who_is_introduced_are_a_strangers(introduced: Process) -> None:
    scope = scope_of(introduced, LINE + get("/scope", "X-Forwarded-For: 6.6.6.6"))
    assert scope["client"] == ("192.0.2.1", 4711)


def test_a_health_check_of_the_proxy_speaks_for_itself(introduced: Process) -> None:
    assert scope_of(introduced, binary(command=0x20) + get("/scope"))["client"][0] == "127.0.0.1"


def test_without_one(introduced: Process, mode: str) -> None:
    with Client(introduced) as client:
        client.send(get("/"))
        if mode == "allow":
            assert client.response().status == 200
        else:
            assert ended(client)


@pytest.mark.parametrize("octets", [b"PROXY nonsense\r\n", binary(command=0x2F)])
def test_a_malformed_one_ends_the_connection(introduced: Process, octets: bytes) -> None:
    with Client(introduced) as client:
        client.send(octets + get("/"))
        assert ended(client)


def test_half_of_one_has_the_deadline_of_a_first_octet(introduced: Process) -> None:
    began = time.monotonic()
    with Client(introduced) as client:
        client.send(LINE[:20])
        assert ended(client)
    assert HASTY_SECONDS <= time.monotonic() - began < 5


def test_of_a_stranger(pool: Pool, loop_name: str, mode: str) -> None:
    server = pool.server(loop=loop_name, proxy_protocol=mode, forwarded_allow_ips="10.0.0.0/8")
    with Client(server) as client:
        client.drip(LINE + get("/"))
        if mode == "allow":
            assert client.response().status == 400, "what is no preamble has to be HTTP"
        else:
            assert ended(client)


def ended(client: Client) -> bool:
    """Whether the server closes without a word."""
    try:
        return not client.more()
    except ConnectionResetError:
        return True
