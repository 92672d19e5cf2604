"""Two other readers of HTTP/1.1, h11 and httptools (llhttp), and Whorl, asked the same question: which request do these
bytes begin with, and where does it end?

What differs only in spelling (the case of names, the white space around values) is made equal here; what differs in
meaning is left to `differences`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import h11
import httptools
from httptools.parser.errors import HttpParserError, HttpParserUpgrade

from tests.http1.vectors import play
from whorl.http.request import Field


class Verdict(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WAITING = "waiting for more"


@dataclass(slots=True)
class Reading:
    """What a reader makes of the first request.

    Attributes:
        reason: why it was refused, in the reader's words.
        end: the number of bytes that the request takes.
    """

    verdict: Verdict
    reason: str = ""
    method: bytes = b""
    target: bytes = b""
    version: str = ""
    fields: list[Field] = field(default_factory=list)
    body: bytes = b""
    end: int = 0

    def values(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.fields if known == name]

    def framing(self) -> tuple[bytes, int]:
        """What must never differ: smuggling is a difference here."""
        return self.body, self.end


def read_whorl(octets: bytes) -> Reading:
    outcome = play([octets])
    if outcome.messages:
        message = outcome.messages[0]
        return Reading(
            Verdict.ACCEPTED,
            "",
            message.method.encode(),
            message.target,
            message.version,
            list(message.fields),
            message.body,
            message.end,
        )
    if outcome.status is not None:
        return Reading(Verdict.REFUSED, outcome.reason)
    return Reading(Verdict.WAITING)


def read_h11(octets: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(octets)
    reading = Reading(Verdict.WAITING)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Reading(Verdict.REFUSED, str(error))
        if isinstance(event, h11.Request):
            reading.method = event.method
            reading.target = event.target
            reading.version = event.http_version.decode()
            reading.fields = list(event.headers)
        elif isinstance(event, h11.Data):
            reading.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            reading.verdict = Verdict.ACCEPTED
            reading.end = len(octets) - len(connection.trailing_data[0])
            return reading
        else:
            return Reading(Verdict.WAITING)


class Collector:
    """The callbacks of httptools."""

    def __init__(self) -> None:
        self.reading = Reading(Verdict.WAITING)
        self.in_body = False

    def on_url(self, url: bytes) -> None:
        self.reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body:  # httptools gives trailers in the same way
            self.reading.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_body = True

    def on_body(self, body: bytes) -> None:
        self.reading.body += body

    def on_message_complete(self) -> None:
        self.reading.verdict = Verdict.ACCEPTED


def read_httptools(octets: bytes) -> Reading:
    """Byte by byte, which is the only way to learn where a request ended."""
    collector = Collector()
    parser = httptools.HttpRequestParser(collector)
    reading = collector.reading
    for at in range(len(octets)):
        try:
            parser.feed_data(octets[at : at + 1])
        except HttpParserUpgrade:
            pass  # the request was complete before it was raised
        except HttpParserError as error:
            return Reading(Verdict.REFUSED, str(error) or type(error).__name__)
        if reading.verdict is Verdict.ACCEPTED:
            reading.method = parser.get_method()
            reading.version = parser.get_http_version()
            reading.end = at + 1
            return reading
    return Reading(Verdict.WAITING)


ORACLES = {"h11": read_h11, "httptools": read_httptools}
