"""The preamble of the PROXY protocol comes before the TLS handshake."""

from __future__ import annotations

import ast
import ssl

from tests.harness import read_response
from tests.server.client import get
from tests.server.conftest import Pool


def test_it_comes_before_the_handshake(
    pool: Pool, loop_name: str, certificate: dict[str, object], trusting: ssl.SSLContext
) -> None:
    server = pool.server(loop=loop_name, proxy_protocol="require", **certificate)
    with server.connect() as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n")
        with trusting.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(get("/scope"))
            scope = ast.literal_eval(read_response(client)[2].decode())
    assert (scope["client"], scope["server"]) == (("192.0.2.1", 4711), ("10.0.0.1", 443))
    assert scope["scheme"] == "https"
    assert "tls" in scope["extensions"]
    assert scope["extensions"]["whorl.proxy"]["protocol"] == 1


def test_a_handshake_without_it_is_not_answered(pool: Pool, loop_name: str, certificate: dict[str, object]) -> None:
    server = pool.server(loop=loop_name, proxy_protocol="require", **certificate)
    for octets in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"PROXY nonsense\r\n"):
        with server.connect() as client:
            client.sendall(octets)
            try:
                assert client.recv(100) == b""
            except ConnectionResetError:
                pass
