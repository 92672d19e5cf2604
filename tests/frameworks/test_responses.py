"""What the application answers reaches the client, and the connection goes on as HTTP says."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.frameworks.conftest import Served
from tests.frameworks.contract import GREETING
from tests.harness import read_all


def exchange(client: http.client.HTTPConnection, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    client.request(method, path)
    response = client.getresponse()
    return response, response.read()


def test_json(client: http.client.HTTPConnection) -> None:
    response, content = exchange(client, "GET", "/json")
    assert response.status == 200
    assert response.headers.get_content_type() == "application/json"
    assert len(response.headers.get_all("date") or []) == 1
    assert len(response.headers.get_all("content-length") or []) == 1
    assert json.loads(content) == GREETING


def test_one_connection_lasts_through_everything(served: Served, client: http.client.HTTPConnection) -> None:
    """`client` cannot open a second connection: each of these leaves it usable."""
    expected = {
        ("GET", "/json"): 200,
        ("HEAD", "/json"): 200,
        ("GET", "/empty"): 204,
        ("GET", "/missing"): 404,
        ("POST", "/json"): 405,
        ("GET", "/redirect"): 302,
        ("GET", "/file"): 200,
        ("GET", "/fail"): 500,
    }
    if served.framework == "django":
        del expected["POST", "/json"]  # its views take every method
    elif served.framework == "blacksheep":
        expected["POST", "/json"] = 404
    for _ in range(2):
        for (method, path), status in expected.items():
            response, _content = exchange(client, method, path)
            assert (method, path, response.status) == (method, path, status)
            assert not response.will_close


def test_a_body_that_nobody_reads_does_not_end_the_connection(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/missing", b"x" * 500_000)
    response = client.getresponse()
    response.read()
    assert response.status == 404
    assert json.loads(exchange(client, "GET", "/json")[1]) == GREETING


def test_head_is_get_without_content(served: Served, client: http.client.HTTPConnection) -> None:
    for path in ("/json", "/file"):
        got, content = exchange(client, "GET", path)
        headed, nothing = exchange(client, "HEAD", path)
        assert (headed.status, nothing) == (200, b"")
        assert headed.headers.get_content_type() == got.headers.get_content_type()
        length = headed.headers["content-length"]
        if served.framework != "litestar" or path != "/json":  # where a handler of HEAD may not make the content
            assert length in (None, str(len(content)))


def test_redirect(client: http.client.HTTPConnection) -> None:
    response, _ = exchange(client, "GET", "/redirect")
    assert (response.status, response.headers["location"]) == (302, "/json")


def test_204_has_no_content_and_no_length(client: http.client.HTTPConnection) -> None:
    response, content = exchange(client, "GET", "/empty")
    assert (response.status, content) == (204, b"")
    assert response.headers["transfer-encoding"] is None
    assert response.headers["content-length"] is None


def test_failure_is_500_and_told(served: Served, client: http.client.HTTPConnection) -> None:
    response, content = exchange(client, "GET", "/fail?once")
    assert response.status == 500
    assert b"failed, as asked" not in content  # it is nobody's business
    if served.framework in ("starlette", "fastapi"):  # the others tell it themselves, or keep it to themselves
        served.process.wait_for_line('on "GET /fail?once"')
        served.process.wait_for_line("RuntimeError: failed, as asked")


def test_failure_midway_cuts_the_response(served: Served, client: http.client.HTTPConnection) -> None:
    """The client can tell that this was not the whole."""
    client.request("GET", "/fail/midway")
    response = client.getresponse()
    assert response.status == 200
    if served.framework == "fastapi":  # Starlette's middleware functions end the response before they raise
        assert response.read() == b"the first piece\n"
    else:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_file(served: Served, client: http.client.HTTPConnection) -> None:
    response, content = exchange(client, "GET", "/file")
    assert response.status == 200
    assert content == served.file.read_bytes()
    if served.framework in ("starlette", "fastapi"):  # only theirs leaves the file to the server
        assert response.headers["content-length"] == str(len(content))
        assert json.loads(exchange(client, "GET", "/noticed/pathsend")[1]) == {"noticed": True}


def test_http_1_0_gets_plain_content_and_the_end(served: Served) -> None:
    for path in ("/json", "/file"):
        received = served.process.exchange(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head, _, content = received.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower()
        if path == "/json":
            assert json.loads(content) == GREETING
        else:
            assert content == served.file.read_bytes()


def test_slow_reader_gets_the_whole_file(served: Served) -> None:
    """The application has to wait: what it sends is more than the buffers on the way hold."""
    with served.process.connect() as slow:
        slow.sendall(b"GET /file HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        first = slow.recv(1)
        with served.process.connect() as other:  # others are served meanwhile
            other.sendall(b"GET /json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert read_all(other).startswith(b"HTTP/1.1 200")
        received = first + read_all(slow)
    _head, _, content = received.partition(b"\r\n\r\n")
    assert len(content) >= served.file.stat().st_size
