"""What happens over time: streams, clients that leave, work after the response, start-up, and many at once."""

from __future__ import annotations

import http.client
import json
import socket
import struct

import pytest

from tests.frameworks.conftest import Served
from tests.frameworks.contract import PARALLEL, PIECES

RESET = struct.pack("ii", 1, 0)


def answer(client: http.client.HTTPConnection, path: str, method: str = "GET") -> object:
    """One request, and the JSON of its answer; None without content."""
    client.request(method, path)
    response = client.getresponse()
    content = response.read()
    assert response.status in (200, 204), content
    return json.loads(content) if content else None


def leave(client: socket.socket, way: str) -> None:
    """Close a connection, by FIN or by RST."""
    if way == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def test_pieces_arrive_one_by_one(served: Served, client: http.client.HTTPConnection) -> None:
    """The application makes the next piece only after we have read the one before."""
    second = served.client()
    client.request("GET", "/drip")
    response = client.getresponse()
    assert response.headers["transfer-encoding"] == "chunked"
    for number in range(PIECES):
        if number:
            answer(second, "/release", "POST")
        assert response.readline() == b"piece %d\n" % number
    assert response.read() == b""
    second.close()


@pytest.mark.parametrize("way", ["close", "reset"])
def test_events_end_when_the_client_leaves(served: Served, client: http.client.HTTPConnection, way: str) -> None:
    with served.process.connect() as listener:
        listener.sendall(f"GET /events/events-{way} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        received = b""
        while b"data: 5\n\n" not in received:
            piece = listener.recv(65536)
            received += piece
            assert piece
            assert received.startswith(b"HTTP/1.1 200 ")
        leave(listener, way)
    assert answer(client, f"/noticed/events-{way}") == {"noticed": True}


@pytest.mark.parametrize("way", ["close", "reset"])
def test_handler_learns_that_the_client_left(served: Served, client: http.client.HTTPConnection, way: str) -> None:
    with served.process.connect() as waiting:
        waiting.sendall(f"GET /wait/wait-{way} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert answer(client, f"/noticed/wait-{way}%20entered") == {"noticed": True}
        leave(waiting, way)
    assert answer(client, f"/noticed/wait-{way}") == {"noticed": True}


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("path", ["/body", "/body/pieces", "/upload"])
def test_upload_that_breaks_off_harms_nobody(
    served: Served, client: http.client.HTTPConnection, path: str, way: str
) -> None:
    """What it must not leave behind is asked when the server stops: see the fixture."""
    kind, part = b"", b""
    if path == "/upload":
        kind = b"Content-Type: multipart/form-data; boundary=edge\r\n"
        part = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    with served.process.connect() as breaking:
        breaking.sendall(b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%b" % (path.encode(), kind))
        breaking.sendall(b"Content-Length: 900000\r\n\r\n" + part + b"x" * 70_000)
        answer(client, "/json")
        leave(breaking, way)
    assert answer(client, "/json")


def test_work_after_the_response_holds_up_nothing(client: http.client.HTTPConnection) -> None:
    """The response comes first, and the same connection serves the request that lets the work go on."""
    client.request("GET", "/background")
    assert client.getresponse().read() == b"answered"
    answer(client, "/release", "POST")
    assert answer(client, "/noticed/background") == {"noticed": True}


def test_start_up_has_run(served: Served, client: http.client.HTTPConnection) -> None:
    if served.framework == "django":
        served.process.wait_for_line("the application has no lifespan")
    else:
        assert answer(client, "/state") == {"started": 1}


def test_many_at_once(served: Served) -> None:
    """None of them is answered before all of them are in their handlers."""
    clients = [served.client() for _ in range(PARALLEL)]
    for client in clients:
        client.request("GET", "/meet")
    for client in clients:
        response = client.getresponse()
        assert (response.status, json.loads(response.read())) == (200, {"met": PARALLEL})
        client.close()


def test_deadlines_of_the_application_work(client: http.client.HTTPConnection) -> None:
    assert answer(client, "/time-out") == {"timed_out": True}


def test_requests_do_not_see_each_others_context(served: Served, client: http.client.HTTPConnection) -> None:
    for _ in range(3):
        assert answer(client, "/context") == {"before": None}
    pipelined = b"GET /context HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 3
    last = b"GET /context HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    received = served.process.exchange(pipelined + last)
    assert received.count(b"null") == 4


def test_handler_in_a_thread(served: Served, client: http.client.HTTPConnection) -> None:
    assert answer(client, "/thread") == {"main": False}
