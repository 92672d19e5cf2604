"""Who is measured: each server with the command that starts it, on each event loop.

All of them are told the same: one process that serves, no facts from proxies, the same patience with idle connections,
warnings only, and an access log only where the row is about it. Everything else is as it comes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.certificate import Certificate
from benchmarks.rows import FLOOR_ROWS, ROWS, TLS_ROWS, WEBSOCKET_ROWS, Row

__all__ = ["OLD_UVLOOP", "Contender", "Group", "Start", "groups", "whorl"]

ROOT = Path(__file__).resolve().parents[1]
OLD_UVLOOP = "0.22.1"
PATIENCE_SECONDS = 75
CONNECTIONS = 20_000
"""What servers that have such a limit are to bear."""


@dataclass(frozen=True)
class Start:
    """What a server is to serve.

    Attributes:
        app: its import string.
        port: where.
        access_log: whether a line per request is written.
        folder: for files of its own.
        certificate: what it shows to its clients; None without TLS.
    """

    app: str
    port: int
    access_log: bool
    folder: Path
    certificate: Certificate | None = None

    def tls(self, certfile: str = "--ssl-certfile", keyfile: str = "--ssl-keyfile") -> list[str]:
        """The options for TLS, by the names that a server has for them; none without it."""
        found = self.certificate
        return [] if found is None else [certfile, str(found.certfile), keyfile, str(found.keyfile)]


@dataclass(frozen=True)
class Contender:
    """A server on a loop.

    Attributes:
        name: the server's, as the results call it.
        loop: the loop's, as the results call it.
        command: what starts it.
        path: put first on the import path.
        rows: the only rows that it takes part in; None for all.
    """

    name: str
    loop: str
    command: Callable[[Start], list[str]]
    path: tuple[str, ...] = ()
    rows: tuple[str, ...] | None = None

    def takes_part(self, row: Row) -> bool:
        return self.rows is None or row.name in self.rows

    def __str__(self) -> str:
        return f"{self.name}, {self.loop}" if self.loop else self.name


@dataclass(frozen=True)
class Group:
    """Contenders that are compared with one another: they run on the same loop.

    Attributes:
        rows: the names of the rows that this loop is measured on; None for all.
    """

    loop: str
    contenders: Sequence[Contender] = field(default=())
    rows: tuple[str, ...] | None = None

    def wants(self, row: Row) -> bool:
        return self.rows is None or row.name in self.rows


HTTP_ROWS = tuple(row.name for row in ROWS if row.name not in WEBSOCKET_ROWS + TLS_ROWS)
LARGE_ROWS = ("body1m", "echo8m", "pathsend64k", "pathsend100m", "readsend64k", "readsend100m")
ZTTP_ROWS = tuple(name for name in HTTP_ROWS if name not in (*LARGE_ROWS, "half"))
"""What Uvicorn's newer parser is measured on: where much is sent, a parser does little, and no bar speaks of it."""
ASYNCIO_ROWS = (
    *("hello", "headers14", "echo1k", "stream10", "ws32", "ws1k", "ws64k"),
    *("tls_hello", "tls_10k", "tls_full", "tls_resume"),
)
SOME_ROWS = ("hello", "ws32")
"""What is measured on the other loops."""
WSPROTO_ROWS = ("ws1k", "wsdeflate", "wsidle5k")
FEW_ROWS = ("hello",)
"""And of Gunicorn and Hypercorn."""
BROAD_ROWS = ("hello", "echo1k", "stream10", "accesslog", "coldstart", "ws32")
"""What Gunicorn and Hypercorn are measured on: no bar speaks of them, and time is short."""
COMPILED_ROWS = (
    *("hello", "json", "headers14", "response12", "body10k", "echo1k", "stream10", "sleep0", "pipeline16", "accesslog"),
    *("newconn", "sse200", "ws32", "ws1k", "ws64k", "fastapi", "tls_hello", "tls_10k", "tls_full", "tls_resume"),
)
"""And Whorl with compiled modules: what is small enough that Whorl's own code is much of it."""
COMPILED_FEW_ROWS = ("hello", "tls_hello", "tls_10k")
"""And on asyncio."""


def groups(newest_uvloop: Path, compiled: Path, floor: Path | None, nginx: Path | None) -> list[Group]:
    """All there is to measure here.

    Args:
        compiled: a folder with Whorl in it, its hot modules compiled, if they could be.
        newest_uvloop: a folder with the newest uvloop in it.
        floor: the C program; None if there is no compiler.
        nginx: its program; None if it could not be had.
    """
    old = f"uvloop {OLD_UVLOOP}"
    floors = []
    if floor is not None:
        rows = FLOOR_ROWS[:1]
        floors.append(Contender("C, epoll, no HTTP", "", lambda start: [str(floor), str(start.port)], (), rows))
    if nginx is not None:
        floors.append(Contender("nginx return 200", "", lambda start: nginx_command(nginx, start), (), FLOOR_ROWS))
    found = [
        Group(old, [*servers(old, "uvloop"), *compiled_whorl(old, "uvloop", compiled), *floors]),
        Group(
            "asyncio",
            [
                *servers("asyncio", "asyncio", few=FEW_ROWS, zttp=FEW_ROWS),
                *compiled_whorl("asyncio", "asyncio", compiled, COMPILED_FEW_ROWS),
            ],
            ASYNCIO_ROWS,
        ),
    ]
    newest = version_in(newest_uvloop)
    if newest not in (None, OLD_UVLOOP):
        label = f"uvloop {newest}"
        found.append(Group(label, servers(label, "uvloop", (str(newest_uvloop),), few=()), SOME_ROWS))
    zuvloop = installed("zuvloop")
    if zuvloop:
        label = f"zuvloop {zuvloop}"
        three = [
            whorl("Whorl", label, "zuvloop:new_event_loop"),
            *(uvicorn(parser, label, "zuvloop", rows=HTTP_ROWS) for parser in ("httptools", "zttp")),
        ]
        found.append(Group(label, three, SOME_ROWS))
    return found


def servers(
    label: str,
    loop: str,
    path: tuple[str, ...] = (),
    few: tuple[str, ...] = BROAD_ROWS,
    zttp: tuple[str, ...] = ZTTP_ROWS,
) -> list[Contender]:
    """Every server on one loop, those that matter most first.

    Args:
        few: what the last two are measured on.
        zttp: and Uvicorn with its newer parser.
    """
    return [
        whorl("Whorl", label, loop, path=path),
        uvicorn("httptools", label, loop, path),
        uvicorn("zttp", label, loop, path, rows=zttp),
        uvicorn("httptools", label, loop, path, ws="wsproto", rows=WSPROTO_ROWS),
        Contender("Granian", label, lambda start: granian_command(start, loop), path),
        Contender("Gunicorn asgi", label, lambda start: gunicorn_command(start, loop), path, few),
        Contender("Hypercorn", label, lambda start: hypercorn_command(start, loop), path, few),
    ]


def compiled_whorl(label: str, loop: str, folder: Path, rows: tuple[str, ...] = COMPILED_ROWS) -> list[Contender]:
    """Whorl with compiled modules, if there is such a build."""
    if not folder.exists():
        return []
    return [replace(whorl("Whorl, compiled", label, loop, folder), rows=rows)]


def whorl(
    name: str,
    label: str,
    loop: str,
    source: Path = ROOT / "src",
    path: tuple[str, ...] = (),
    options: Sequence[str] = (),
) -> Contender:
    """Whorl as it stands in a folder.

    Args:
        name: what the results call it.
        label: what they call the loop.
        loop: the value of --loop.
        source: the folder that holds the package.
        path: further folders to import from.
        options: what else it is told.
    """

    def command(start: Start) -> list[str]:
        words = ["--port", start.port, "--loop", loop, *options, *start.tls()]
        return python("whorl", start.app, *words, *quiet(start, "--no-access-log"))

    return Contender(name, label, command, (*path, str(source)))


def uvicorn(
    parser: str,
    label: str,
    loop: str,
    path: tuple[str, ...] = (),
    ws: str = "websockets-sansio",
    rows: tuple[str, ...] | None = None,
) -> Contender:
    def command(start: Start) -> list[str]:
        words = ["--port", start.port, "--loop", loop, "--http", parser, "--no-proxy-headers"]
        words += ["--ws", ws, "--timeout-keep-alive", PATIENCE_SECONDS, *start.tls()]
        return python("uvicorn", start.app, *words, *quiet(start, "--no-access-log"))

    return Contender(f"Uvicorn {ws if rows is WSPROTO_ROWS else parser}", label, command, path, rows)


def granian_command(start: Start, loop: str) -> list[str]:
    log = ["--access-log"] if start.access_log else quiet(start)
    words = ["--interface", "asgi", "--workers", 1, "--port", start.port, "--loop", loop]
    # Its backpressure counts connections, idle ones too, and its longest patience with them is a minute.
    words += ["--backpressure", CONNECTIONS, "--http1-header-read-timeout", 60_000]
    words += start.tls("--ssl-certificate")
    return python("granian", start.app, *words, *log)


def gunicorn_command(start: Start, loop: str) -> list[str]:
    log = ["--access-logfile", "-"] if start.access_log else quiet(start)
    return python(
        "gunicorn",
        *("-k", "asgi", "-w", 1, "-b", f"127.0.0.1:{start.port}", "--asgi-loop", loop, "--http-parser", "fast"),
        *("--keep-alive", PATIENCE_SECONDS, "--worker-connections", CONNECTIONS, "--no-control-socket", *log),
        *start.tls("--certfile", "--keyfile"),
        start.app,
    )


def hypercorn_command(start: Start, loop: str) -> list[str]:
    log = ["--access-logfile", "-"] if start.access_log else quiet(start)
    words = ["-k", loop, "-w", 1, "-b", f"127.0.0.1:{start.port}", "--keep-alive", PATIENCE_SECONDS]
    words += start.tls("--certfile", "--keyfile")
    return python("hypercorn", *words, *log, start.app)


def quiet(start: Start, *words: str) -> list[str]:
    """The options of a server that shall write no more than warnings. Access lines are of level info everywhere."""
    return [] if start.access_log else ["--log-level", "warning", *words]


def nginx_command(nginx: Path, start: Start) -> list[str]:
    """One process of nginx that answers every request itself."""
    temporary = "".join(
        f"{kind}_temp_path {start.folder}/nginx-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    certificate = start.certificate
    tls = f"ssl_certificate {certificate.certfile}; ssl_certificate_key {certificate.keyfile};\n" if certificate else ""
    file = start.folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {start.folder}/nginx.pid; error_log stderr crit;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 1000000000;\n{temporary}"
        f"server {{ listen 127.0.0.1:{start.port} {'ssl ' if tls else ''}backlog=2048; default_type text/plain;\n{tls}"
        'location / { return 200 "Hello, world"; } } }\n'
    )
    return [str(nginx), "-e", "stderr", "-p", str(start.folder), "-c", str(file)]


def python(module: str, *words: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, words)]


def installed(distribution: str) -> str | None:
    """The version of a distribution in this environment."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def version_in(folder: Path) -> str | None:
    """The version of the uvloop that a folder holds."""
    found = sorted(folder.glob("uvloop-*.dist-info"))
    return found[-1].name.removeprefix("uvloop-").removesuffix(".dist-info") if found else None
