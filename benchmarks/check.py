"""One whole response, looked at: its status, its fields and every byte of its content.

With the client of the standard library, so that no code of ours decides what is right; there is none for WebSocket, so
there it is `talkers`. Called before and after each
measurement; between them wrk counts what failed.
"""

from __future__ import annotations

import http.client
from contextlib import closing

from benchmarks.apps import plain
from benchmarks.certificate import HOST
from benchmarks.fault import Fault
from benchmarks.process import Server
from benchmarks.rows import WEBSOCKET_ROWS, Load, Request, Row
from benchmarks.talkers import check_talk

__all__ = ["check", "examine_response", "warm_up"]

TIMEOUT_SECONDS = 20.0
WARM_BYTES = 4 * 1024 * 1024
WARM_REQUESTS = 100
"""Enough for the interpreter to specialise what it runs."""


def check(server: Server, row: Row) -> int:
    """Ask once, and look at all of it.

    Returns:
        How many bytes the content has.

    Raises:
        Fault: what came is not what the row expects.
    """
    if row.name in WEBSOCKET_ROWS:
        return check_talk(server, row)
    with closing(connect(server)) as client:
        return examine(server, row, client)


def connect(server: Server) -> http.client.HTTPConnection:
    context = server.client_context
    if context is None:
        return http.client.HTTPConnection(HOST, server.port, timeout=TIMEOUT_SECONDS)
    return http.client.HTTPSConnection(HOST, server.port, timeout=TIMEOUT_SECONDS, context=context)


def examine(server: Server, row: Row, client: http.client.HTTPConnection) -> int:
    request = asked_once(row)
    fields = dict(request.fields)
    try:
        client.request(request.method, request.path, request.content or None, fields)
        response = client.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Fault(f"{server.contender}: {error!r}") from None
    finally:
        if row.load is not Load.WRK or "Connection" in fields:
            client.close()
    examine_response(server, row, response, content)
    return len(content)


def examine_response(server: Server, row: Row, response: http.client.HTTPResponse, content: bytes) -> None:
    """Look at the status, the fields and the content of a response.

    Raises:
        Fault: they are not what the row expects.
    """
    if response.status != 200:
        raise Fault(f"{server.contender}: status {response.status}, {content[:60].decode(errors='replace')}")
    if len(response.getheaders()) < row.least_fields:
        raise Fault(f"{server.contender}: {len(response.getheaders())} fields, not {row.least_fields}")
    examine_content(server, row, content)


def asked_once(row: Row) -> Request:
    """The row's request; of events, a few."""
    return Request(f"{row.request.path}?2") if row.load is Load.EVENTS else row.request


def examine_content(server: Server, row: Row, content: bytes) -> None:
    if row.load is Load.EVENTS:
        right = content == plain.EVENT * 2
    elif row.expected is not None:
        # Spaces in JSON are the framework's choice.
        right = content == row.expected or (content[:1] == b"{" and spaceless(content) == spaceless(row.expected))
    else:
        size = int(row.request.path.partition("?")[2])
        right = len(content) == size and content[:4096] == plain.content(4096) and content[-16:] == plain.content(16)
    if not right:
        raise Fault(f"{server.contender}: wrong content, {len(content)} bytes: {content[:60]!r}")


def spaceless(text: bytes) -> bytes:
    return text.replace(b" ", b"")


def warm_up(server: Server, row: Row, size_bytes: int) -> None:
    """Ask so often that what is measured next is the usual case."""
    volume = size_bytes + len(row.request.content)
    times = max(1, min(WARM_REQUESTS, WARM_BYTES // max(volume, 1)))
    if row.name in WEBSOCKET_ROWS:
        check_talk(server, row, times)
        return
    with closing(connect(server)) as client:
        for _ in range(times):
            examine(server, row, client)
