"""What a client sends reaches the application, whatever framework reads it."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.frameworks.conftest import Served
from tests.frameworks.contract import COOKIES, digest
from tests.harness import read_response

MIB = 1024 * 1024
CONTENT = bytes(range(251)) * (3 * MIB // 251)


def answer(client: http.client.HTTPConnection, method: str, path: str, *more: Any, **most: Any) -> Any:
    """One request, and the JSON of its 200."""
    client.request(method, path, *more, **most)
    response = client.getresponse()
    content = response.read()
    assert response.status == 200, content
    return json.loads(content)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_path_query_and_field(client: http.client.HTTPConnection, method: str) -> None:
    target = f"/echo/{quote('süß & sauer')}?{urlencode({'q': ['a b', 'ü&=']}, doseq=True)}"
    asked = {"method": method, "word": "süß & sauer", "q": ["a b", "ü&="], "header": "said, twice"}
    assert answer(client, method, target, headers={"X-Word": "said, twice"}) == asked


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_body_of_every_size_on_one_connection(client: http.client.HTTPConnection, method: str) -> None:
    for size in (0, 1, 64 * 1024, len(CONTENT)):
        assert answer(client, method, "/body", CONTENT[:size]) == digest(CONTENT[:size])


def test_body_in_chunks(client: http.client.HTTPConnection) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(CONTENT), 50_000):
            yield CONTENT[start : start + 50_000]

    assert answer(client, "POST", "/body/pieces", chunks(), encode_chunked=True) == digest(CONTENT)
    assert answer(client, "POST", "/body/pieces", CONTENT) == digest(CONTENT)


def test_expectation_is_met_when_the_application_reads(served: Served) -> None:
    with served.process.connect() as client:
        client.sendall(b"POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert read_response(client)[0] == 100
        client.sendall(b"hello")
        status, _, content = read_response(client)
        assert (status, json.loads(content)) == (200, digest(b"hello"))


def test_form(client: http.client.HTTPConnection) -> None:
    fields = urlencode({"name": "Zoë & Co", "word": ["ä", "b=c"]}, doseq=True)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert answer(client, "POST", "/form", fields, kind) == {"name": "Zoë & Co", "word": ["ä", "b=c"]}


def test_multipart_upload(client: http.client.HTTPConnection) -> None:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="title"\r\n\r\nA title\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="three.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + CONTENT,
        b"\r\n--edge--\r\n",
    ]
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    got = answer(client, "POST", "/upload", b"".join(parts), kind)
    assert got == {"title": "A title", "filename": "three.bin", **digest(CONTENT)}


def test_cookies_there_and_back(client: http.client.HTTPConnection) -> None:
    client.request("GET", "/cookies/set")
    response = client.getresponse()
    response.read()
    lines = response.headers.get_all("set-cookie") or []
    assert all("httponly" in line.lower() for line in lines)
    pairs = [line.partition(";")[0] for line in lines]
    assert dict(pair.split("=") for pair in pairs) == COOKIES
    assert answer(client, "GET", "/cookies", headers={"Cookie": "; ".join(pairs)}) == COOKIES


def test_requests_in_one_breath_are_answered_in_order(served: Served) -> None:
    request = "POST /body HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{}"
    last = "GET /body HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    sizes = [5, 1, 4, 2, 3]
    received = served.process.exchange(("".join(request.format(size, "x" * size) for size in sizes) + last).encode())
    assert [int(size) for size in re.findall(rb'"size": ?(\d+)', received)] == [*sizes, 0]
