"""Requests to begin with and ways to spoil them: what the property tests and the fuzzer feed on.

An `Edit` puts bytes in the place of others. Most requests with a few edits are nearly valid, which is where readers
differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.http1.vectors import CHUNKED, GET, HOST, POST, chunked, get, head

SEEDS: tuple[bytes, ...] = (
    get(),
    get(b"Accept: */*", b"User-Agent: x", b"Cookie: a=b"),
    get(b"Connection: close"),
    get(b"Connection: Upgrade", b"Upgrade: websocket"),
    head(b"GET / HTTP/1.0", b"Connection: keep-alive"),
    head(b"GET http://b:80/c?d HTTP/1.1", HOST),
    head(b"OPTIONS * HTTP/1.1", HOST),
    head(b"CONNECT a:443 HTTP/1.1", b"Host: a:443"),
    head(GET, b"Host: [::1]:8000", b"TE: trailers", b"Accept:"),
    head(POST, HOST, b"Content-Length: 5") + b"hello" + get(),
    head(POST, HOST, b"Expect: 100-continue", b"Content-Length: 2") + b"ok",
    chunked(b"5\r\nhello\r\n0\r\n\r\n") + get(),
    chunked(b'5;a=b;c="d\\"e" ; f\r\nhello\r\nA\r\n0123456789\r\n0;g\r\nX: y\r\nZ:\r\n\r\n') + get(),
    head(b"POST / HTTP/1.1", HOST, b"transfer-encoding:Chunked") + b"00\r\n\r\n",
)

FRAGMENTS: tuple[bytes, ...] = (
    b"",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xa0",
    b"\xff",
    b":",
    b";",
    b",",
    b"=",
    b'"',
    b"\\",
    b"/",
    b"@",
    b"#",
    b"?",
    b"*",
    b"%",
    b"[",
    b"]",
    b"_",
    b"+",
    b"-",
    b"0",
    b"1",
    b"2",
    b"9",
    b"f",
    b"0x",
    b"00000000000000000",
    b"ffffffffffffffff",
    b"99999999999999999999",
    b"chunked",
    b"gzip",
    b"identity",
    b"close",
    b"keep-alive",
    b"upgrade",
    b"http://b",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5, 5\r\n",
    CHUNKED + b"\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"0\r\n\r\n",
    b"1\r\nx\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
)

BOUNDARY = re.compile(rb"(?<=\n)|(?=[\r: ,;=])")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change.

    Attributes:
        place: where; counted round the bytes or, where `at_boundary`, round the starts of lines and the ends of words.
        cut_bytes: how many bytes go.
        put: what comes in their place.
    """

    place: int
    at_boundary: bool
    cut_bytes: int
    put: bytes

    def apply(self, octets: bytes) -> bytes:
        places = [match.start() for match in BOUNDARY.finditer(octets)] if self.at_boundary else []
        at = places[self.place % len(places)] if places else self.place % (len(octets) + 1)
        return octets[:at] + self.put + octets[at + self.cut_bytes :]


def spoil(octets: bytes, edits: list[Edit]) -> bytes:
    for edit in edits:
        octets = edit.apply(octets)
    return octets
