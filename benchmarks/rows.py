"""The rows of the benchmark: what is asked of every server, and what it must answer.

A row is data. How each kind of load is made and measured is `measure`'s matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from benchmarks.apps import plain
from benchmarks.fault import CannotRun

__all__ = ["BY_NAME", "FLOOR_ROWS", "ROWS", "TLS_ROWS", "WEBSOCKET_ROWS", "Load", "Profile", "Request", "Row", "choose"]


class Profile(Enum):
    """What a server is started with; the rows of one profile are measured on the same processes.

    Attributes:
        app: the application's import string.
        access_log: whether an access log is written.
        tls: whether the server speaks TLS.
        fresh: whether the row starts and stops the servers itself.
    """

    PLAIN = "benchmarks.apps.plain:app", False, False, False
    TLS = "benchmarks.apps.plain:app", False, True, False
    ACCESS_LOG = "benchmarks.apps.plain:app", True, False, False
    FASTAPI = "benchmarks.apps.fastapi_app:app", False, False, False
    DJANGO = "benchmarks.apps.django_app:app", False, False, False
    FRESH = "benchmarks.apps.plain:app", False, False, True

    def __init__(self, app: str, access_log: bool, tls: bool, fresh: bool) -> None:
        self.app = app
        self.access_log = access_log
        self.tls = tls
        self.fresh = fresh


class Load(Enum):
    """What is done to the server."""

    WRK = "as fast as it can"
    HALF = "at half its capacity"
    HANDSHAKES = "a TLS connection for each request"
    RESUMPTIONS = "a TLS connection for each request, with the session of the one before"
    EVENTS = "events to clients that stay"
    IDLE = "connections that do nothing"
    COLD = "starting"
    MILLION = "a million requests"
    TALK = "WebSocket clients that are answered"
    ROOM = "WebSocket clients that hear one of them"
    SILENCE = "WebSocket clients that do nothing"


@dataclass(frozen=True)
class Request:
    """Attributes: content: the bytes of its content, made of a pattern in wrk too if there are more than 1,023."""

    path: str
    method: str = "GET"
    fields: tuple[tuple[str, str], ...] = ()
    content: bytes = b""


@dataclass(frozen=True)
class Row:
    """One thing to measure.

    Attributes:
        name: what ROWS= calls it.
        title: what the results call it.
        request: what is asked.
        expected: the content that must come; None where the row compares it in its own way.
        connections: how many ask at the same time.
        pipeline: how many requests are sent together.
        unit: what the first figure counts.
        least_fields: how many fields the response must have.
        once: whether one round is enough, because nothing in it depends on the clock.
        deflate: whether a WebSocket client offers compression, and insists on it.
    """

    name: str
    title: str
    request: Request
    expected: bytes | None = plain.HELLO
    connections: int = 64
    pipeline: int = 1
    profile: Profile = Profile.PLAIN
    load: Load = Load.WRK
    unit: str = "µs"
    least_fields: int = 0
    once: bool = False
    deflate: bool = False


BROWSER = (
    # With Host, which every client adds, fourteen fields.
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", '"Chromium";v="128", "Not;A=Brand";v="24", "Google Chrome";v="128"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("Upgrade-Insecure-Requests", "1"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Safari/537.36"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Cookie", "session=6f1c2d9b4a7e; theme=dark; consent=1"),
)
GREETING = json.dumps({"message": "Hello, world"}).encode()
ITEM = json.dumps({"name": "whorl", "price": 1.5, "tags": ["turn", "spiral"]}, separators=(",", ":")).encode()
FILE_SMALL, FILE_LARGE = 64 * 1024, 100 * 1024 * 1024
HELLO = Request("/")


def echo(size_bytes: int) -> tuple[Request, bytes]:
    content = plain.content(size_bytes)
    return Request("/echo", "POST", content=content), content


MESSAGE = json.dumps([{"id": n, "symbol": f"WH{n % 7}", "price": 100 + n * 7 % 13} for n in range(25)]).encode()[:1024]
"""What JSON compresses to matters: a pattern would compress to nothing."""


def talk(name: str, title: str, content: bytes, **more: Any) -> Row:
    """WebSocket clients, each of which sends a text when its last one has come back."""
    settings = {"connections": 32, "load": Load.TALK, **more}
    return Row(name, title, Request("/room" if settings["load"] is Load.ROOM else "/ws", content=content), **settings)


def handshakes(name: str, title: str, load: Load) -> Row:
    """A connection for each request, a few at the same time."""
    request = Request("/", fields=(("Connection", "close"),))
    return Row(name, title, request, connections=8, profile=Profile.TLS, load=load)


def file_rows(size_bytes: int, text: str, label: str, connections: int) -> tuple[Row, Row]:
    """The same file sent by its path, and by reading it in the application."""
    return (
        Row(f"pathsend{label}", f"file of {text} by pathsend", Request(f"/path?{size_bytes}"), None, connections),
        Row(f"readsend{label}", f"file of {text} read and sent", Request(f"/read?{size_bytes}"), None, connections),
    )


ROWS = (
    Row("hello", "hello, world", HELLO),
    Row("json", "JSON", Request("/json"), GREETING),
    Row("headers14", "a browser's 14 request fields", Request("/", fields=BROWSER)),
    Row("response12", "12 response fields", Request("/fields"), least_fields=12),
    Row("body10k", "response of 10 KiB", Request("/10k"), plain.TEN_KIB),
    Row("body1m", "response of 1 MiB", Request("/1m"), plain.ONE_MIB, 16),
    Row("echo1k", "POST echo of 1 KiB", *echo(1024)),
    Row("echo64k", "POST echo of 64 KiB", *echo(64 * 1024), 16),
    Row("echo8m", "POST echo of 8 MiB", *echo(8 * 1024 * 1024), 2),
    Row("stream10", "stream of ten chunks", Request("/stream"), plain.CHUNK * plain.CHUNKS),
    Row("sleep0", "asyncio.sleep(0), then hello", Request("/sleep")),
    Row("pipeline16", "hello, 16 pipelined", HELLO, pipeline=16),
    Row("newconn", "hello, a connection each", Request("/", fields=(("Connection", "close"),))),
    *file_rows(FILE_SMALL, "64 KiB", "64k", 16),
    *file_rows(FILE_LARGE, "100 MiB", "100m", 2),
    Row("sse200", "an event to each of 200 clients", Request("/events"), None, 200, load=Load.EVENTS),
    Row("half", "hello at half the capacity", HELLO, connections=128, load=Load.HALF),
    Row("tls_hello", "TLS: hello, world", HELLO, profile=Profile.TLS),
    Row("tls_10k", "TLS: response of 10 KiB", Request("/10k"), plain.TEN_KIB, profile=Profile.TLS),
    Row("tls_1m", "TLS: response of 1 MiB", Request("/1m"), plain.ONE_MIB, 16, profile=Profile.TLS),
    Row("tls_echo64k", "TLS: POST echo of 64 KiB", *echo(64 * 1024), 16, profile=Profile.TLS),
    handshakes("tls_full", "TLS: hello, a full handshake each", Load.HANDSHAKES),
    handshakes("tls_resume", "TLS: hello, a resumed session each", Load.RESUMPTIONS),
    talk("ws32", "WebSocket echo of 32 bytes", plain.content(32)),
    talk("ws1k", "WebSocket echo of 1 KiB", plain.content(1024)),
    talk("ws64k", "WebSocket echo of 64 KiB", plain.content(64 * 1024)),
    talk("wsjson", "WebSocket echo of 1 KiB of JSON", MESSAGE),
    talk("wsdeflate", "WebSocket echo of 1 KiB of JSON, compressed", MESSAGE, deflate=True),
    talk("wsroom", "a WebSocket message to each of 500 clients", plain.content(32), connections=500, load=Load.ROOM),
    Row("accesslog", "hello, access log on", HELLO, profile=Profile.ACCESS_LOG),
    Row(
        "fastapi",
        "FastAPI with a Pydantic model",
        Request("/items", "POST", (("Content-Type", "application/json"),), ITEM),
        ITEM,
        profile=Profile.FASTAPI,
    ),
    Row("django", "Django, async view", HELLO, GREETING, profile=Profile.DJANGO),
    Row("coldstart", "start to first response", HELLO, profile=Profile.FRESH, load=Load.COLD, unit="s", once=True),
    Row(
        "idle10k",
        "idle keep-alive connection, of 10,000",
        HELLO,
        connections=10_000,
        profile=Profile.FRESH,
        load=Load.IDLE,
        unit="KiB",
        once=True,
    ),
    talk(
        "wsidle5k",
        "idle WebSocket, of 5,000",
        plain.content(32),
        connections=5_000,
        load=Load.SILENCE,
        profile=Profile.FRESH,
        unit="KiB",
        once=True,
    ),
    Row(
        "million",
        "memory after 1,000,000 requests, of that after 10,000",
        HELLO,
        profile=Profile.FRESH,
        load=Load.MILLION,
        unit="×",
        once=True,
    ),
)
FLOOR_ROWS = ("hello", "tls_hello")
TLS_ROWS = tuple(row.name for row in ROWS if row.profile is Profile.TLS)
WEBSOCKET_ROWS = tuple(row.name for row in ROWS if row.load in (Load.TALK, Load.ROOM, Load.SILENCE))
BY_NAME = {row.name: row for row in ROWS}


def choose(words: str) -> Sequence[Row]:
    """The rows that ROWS= names, in the order of the table.

    Args:
        words: names of rows, or how they begin ("echo"), with commas between; empty for all.

    Raises:
        CannotRun: a word fits no row.
    """
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    if not wanted:
        return ROWS
    for word in wanted:
        if not any(row.name.startswith(word) for row in ROWS):
            raise CannotRun(f'ROWS: there is no row "{word}"; the rows are {", ".join(BY_NAME)}')
    # A word that is a row's whole name means that row only.
    return [row for row in ROWS if any(row.name == w if w in BY_NAME else row.name.startswith(w) for w in wanted)]
