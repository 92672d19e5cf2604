"""A strict client: it reads responses by RFC 9112 and takes nothing for granted. No tests in this file.

client = Client(server)
client.send(get("/", script=[start(), body(b"x")]))
response = client.response()
"""

from __future__ import annotations

import ast
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.harness import Process

PATIENCE_SECONDS = 20.0


class Cut(Exception):
    """The connection ended inside a response. Holds what had come."""


@dataclass
class Response:
    """One response.

    Attributes:
        version: as in "1.1".
        fields: names in lower case, in order.
        interim: the responses with a status of 1xx before it.
    """

    version: str
    status: int
    fields: list[tuple[str, str]]
    content: bytes = b""
    chunks: int = 0
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)

    def __getitem__(self, name: str) -> str | None:
        """The value of the only field of this name, None without one."""
        values = [value for other, value in self.fields if other == name]
        assert len(values) < 2, self.fields
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return self["connection"] == "close"


class Client:
    """A connection.

    Args:
        server: whom to connect to.
        receive_bytes: size of the socket's receive buffer, for one that reads slowly.
    """

    def __init__(self, server: Process, receive_bytes: int | None = None) -> None:
        if receive_bytes is None:
            self.socket = server.connect(PATIENCE_SECONDS)
        else:
            self.socket = socket.socket()
            self.socket.settimeout(PATIENCE_SECONDS)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            assert isinstance(server.address, tuple)
            self.socket.connect(server.address)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> Self:
        self.socket.sendall(b"".join(pieces))
        return self

    def half_close(self) -> Self:
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """End the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def drip(self, octets: bytes) -> None:
        """Send, if the server still listens."""
        try:
            self.socket.send(octets)
        except OSError:
            pass

    def was_left(self) -> bool:
        """Whether the server has ended the connection; nothing is read for it."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    # Reading

    def more(self) -> bool:
        """Receive something. Returns False at the end."""
        data = self.socket.recv(256 * 1024)
        self.buffer += data
        return bool(data)

    def line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if not self.more():
                raise Cut(self.buffer)
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        assert b"\n" not in line
        assert b"\r" not in line
        return line

    def exactly(self, count: int) -> bytes:
        pieces = [self.buffer[:count]]
        self.buffer = self.buffer[count:]
        missing = count - len(pieces[0])
        while missing:
            piece = self.socket.recv(min(missing, 1024 * 1024))
            if not piece:
                raise Cut(b"".join(pieces))
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def fields(self) -> list[tuple[str, str]]:
        found = []
        while line := self.line():
            name, colon, value = line.decode("latin-1").partition(": ")
            assert colon, line
            found.append((name.lower(), value))
        return found

    def head(self) -> Response:
        version, status, _ = self.line().decode().split(" ", 2)
        assert version == "HTTP/1.1", version
        return Response(version, int(status), self.fields())

    def response(self, method: str = "GET") -> Response:
        """The next final response, whole.

        Raises:
            Cut: the connection ended before it was complete.
            ConnectionResetError: the same, with RST.
        """
        interim = []
        while (response := self.head()).status < 200:
            interim.append(response)
        response.interim = interim
        coding, length = response["transfer-encoding"], response["content-length"]
        assert coding is None or (coding == "chunked" and length is None)
        if method == "HEAD" or response.status in (204, 304):
            assert coding is None
        elif coding:
            pieces = list(self.chunks())
            response.content = b"".join(pieces)
            response.chunks = len(pieces)
            response.trailers = self.fields()
        elif length is not None:
            response.content = self.exactly(int(length))
        else:
            assert response.closes
            while self.more():
                pass
            response.content, self.buffer = self.buffer, b""
        return response

    def chunks(self) -> Iterator[bytes]:
        """Content in chunks, up to the trailer section (RFC 9112 section 7.1)."""
        while size := int(self.line(), 16):
            yield self.exactly(size)
            assert self.line() == b""

    def ask(self, request: bytes, method: str = "GET") -> Response:
        """Send a request and read its response."""
        return self.send(request).response(method)

    def rest(self) -> bytes:
        """Whatever still comes until the server ends the connection."""
        while self.more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def is_open(self) -> bool:
        """Whether the server has not ended the connection, as far as is known now."""
        self.socket.setblocking(False)
        try:
            self.buffer += self.socket.recv(65536) or b""
            return bool(self.buffer)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(PATIENCE_SECONDS)


# What is said


def request(
    method: str = "GET",
    target: str = "/",
    *lines: str,
    version: str = "1.1",
    script: Iterable[Any] | None = None,
    name: str = "",
    content: bytes | None = None,
) -> bytes:
    """A request, with Host; with content it has Content-Length."""
    head = [f"{method} {target} HTTP/{version}", "Host: a", *lines]
    if script is not None:
        head.append(f"X-Script: {list(script)!a}")
    if name:
        head.append(f"X-Id: {name}")
    if content is not None:
        head.append(f"Content-Length: {len(content)}")
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + (content or b"")


def get(target: str = "/", *lines: str, **more: Any) -> bytes:
    return request("GET", target, *lines, **more)


def post(content: bytes | None, target: str = "/echo", *lines: str, **more: Any) -> bytes:
    return request("POST", target, *lines, content=content, **more)


def start(status: Any = 200, *headers: Any, **more: Any) -> dict[str, Any]:
    """http.response.start"""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(content: Any = b"", more: bool = False) -> dict[str, Any]:
    """http.response.body"""
    return {"type": "http.response.body", "body": content, "more_body": more}


# What is seen from the side


def ask(server: Process, target: str) -> bytes:
    """Content of a GET on a connection of its own."""
    with Client(server) as client:
        response = client.ask(get(target, "Connection: close"))
        assert response.status == 200
        return response.content


def events(server: Process, name: str, count: int = 0) -> list[Any]:
    """What the requests of this name have noted; waits until there are `count` events."""
    found = ast.literal_eval(ask(server, f"/events?name={name}&count={count}").decode())
    assert isinstance(found, list)
    return found


def open_gate(server: Process, name: str) -> None:
    ask(server, f"/open?name={name}")


def until(
    condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS, otherwise: Callable[[], Any] = lambda: "never"
) -> Any:
    """Wait until something is so, and return it.

    Args:
        condition: asked again and again.
        seconds: for how long.
        otherwise: what to say if it never is so.
    """
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, otherwise()
        time.sleep(0.005)
    return found


def descriptors(server: Process) -> int:
    """How many file descriptors the process has open."""
    return len(os.listdir(f"/proc/{server.popen.pid}/fd"))


def resident_bytes(server: Process) -> int:
    """How much memory the process uses."""
    pages = Path(f"/proc/{server.popen.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")
