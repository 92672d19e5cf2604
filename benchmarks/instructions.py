"""`make bench-instructions`: how many instructions Whorl executes for 2,000 requests, counted by callgrind.

In the rows about WebSocket, for 2,000 messages. The kernel's are not among them, and a cache miss costs nothing here;
in return the count comes out the same, to the digit or nearly (two in ten thousand have been seen), so that a change of
a thousandth shows on a busy machine. ROWS= are the rows, LOOP= is the loop, uvloop by default; BASE= is an earlier
commit to count as well; COMPILED=1 compiles the hot modules. What callgrind wrote stays in .venv-bench/callgrind, for
callgrind_annotate.
"""

from __future__ import annotations

import compileall
import http.client
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.__main__ import prepared, tell
from benchmarks.check import examine_response
from benchmarks.checkout import checkout, source_of
from benchmarks.contenders import ROOT, Contender, Start, python
from benchmarks.facts import commit
from benchmarks.fault import CannotRun, Fault
from benchmarks.install import HOME
from benchmarks.measure import Terms
from benchmarks.process import Server, running
from benchmarks.report import table
from benchmarks.rows import Load, Profile, Request, Row, choose
from benchmarks.talkers import Talker

__all__ = ["main"]

ROWS = "hello,json,headers14,response12,body10k,echo1k,stream10,sleep0"
MORE_ROWS = "tls_hello,tls_10k,ws32,ws1k,ws64k,wsdeflate"
REQUESTS = 2_000
PATIENCE_SECONDS = 60.0
"""Under callgrind, everything takes fifty times as long."""
WARM_REQUESTS = 1_000
"""Sent before: the interpreter has specialised what it runs, and caches are filled."""
STEADY = ("PYTHONHASHSEED=0", "PYTHONMALLOC=malloc", "GLIBC_TUNABLES=glibc.malloc.tcache_count=1000")
"""What makes one run like another: hashes, and an allocator that hands out what was last given back. In Python's own,
what an allocation costs depends on how full a pool happens to be."""
PROFILES = (Profile.PLAIN, Profile.TLS)
LOADS = (Load.WRK, Load.TALK)
MARK = Row("mark", "", Request("/mark"), b"")
FOLDER = HOME / "callgrind"


def main() -> None:
    rows = choose(os.environ.get("ROWS", "") or ROWS)
    unfit = [row.name for row in rows if row.load not in LOADS or row.profile not in PROFILES]
    if unfit:
        raise CannotRun(
            f"ROWS: {', '.join(unfit)} cannot be counted; these can: {ROWS},tls_hello,tls_10k,ws32,ws1k,ws64k,wsdeflate"
        )
    loop = os.environ.get("LOOP", "") or "uvloop"
    base = os.environ.get("BASE", "")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with prepared(1) as terms, ExitStack() as stack:
        sources = {"here": ROOT}
        if base:
            sources = {"base": stack.enter_context(checkout(base, terms.folder)), **sources}
        paths = {name: source_of(tree, terms.folder, name) for name, tree in sources.items()}
        for path in paths.values():  # or callgrind would be the first to do it
            compileall.compile_dir(path, quiet=1)
        names = {name: f"{name} ({commit(tree)})" for name, tree in sources.items()}
        lines = []
        for row in rows:
            counts = [count(row, name, loop, path, terms) for name, path in paths.items()]
            tell(f"  {row.name}: {', '.join(f'{number:,}' for number in counts)}")
            ratio = [f"{counts[-1] / counts[0]:.4f}"] if base else []
            lines.append((row.title, *(f"{number:,}" for number in counts), f"{counts[-1] / REQUESTS:,.0f}", *ratio))
    print(f"Instructions for {REQUESTS:,} requests, {loop}, Python {sys.version.split()[0]}\n")
    print(table(("row", *names.values(), "each", *(["ratio"] if base else [])), lines))


def count(row: Row, name: str, loop: str, source: Path, terms: Terms) -> int:
    """Count one row on one version of Whorl.

    Raises:
        CannotRun: a response was wrong, or callgrind has not counted.
    """
    file = FOLDER / f"{row.name}-{name}.out"

    def command(start: Start) -> list[str]:
        words = ["env", *STEADY, "setarch", "-R"]
        words += ["valgrind", "--quiet", "--tool=callgrind", "--dump-before=getppid"]
        words += [f"--callgrind-out-file={file}", *python("benchmarks.counted", loop, start.port)]
        found = start.certificate
        return words if found is None else [*words, str(found.certfile), str(found.keyfile)]

    contender = Contender(name, loop, command, (str(source),))
    try:
        with running(contender, row.profile, terms.cores, terms.folder) as server:
            with server.connect(PATIENCE_SECONDS) as client, ready(server, client, row) as go:
                go(WARM_REQUESTS)
                ask(server, client, MARK)
                go(REQUESTS)
                ask(server, client, MARK)
    except Fault as fault:
        raise CannotRun(f"void: {row.name}: {fault}") from None
    # The first part is what came before the first mark, the second what lies between the two.
    for line in Path(f"{file}.2").read_text().splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise CannotRun(f"callgrind has not counted: {file}.2 has no sum")


@contextmanager
def ready(server: Server, client: socket.socket, row: Row) -> Iterator[Callable[[int], None]]:
    """What sends so many requests of a row, or messages, one after the other, and looks at what comes back."""
    if row.load is Load.TALK:
        with Talker(server, row, PATIENCE_SECONDS) as talker:
            yield talker.talk
    else:
        yield partial(ask, server, client, row)


def ask(server: Server, client: socket.socket, row: Row, times: int = 1) -> None:
    """Send a request in one piece and wait for its response, again and again: each is one turn of the server's loop."""
    request = octets(row.request)
    for _ in range(times):
        client.sendall(request)
        response = http.client.HTTPResponse(client, method=row.request.method)
        try:
            response.begin()
            examine_response(server, row, response, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Fault(f"{server.contender}: {error!r}") from None
        finally:
            response.close()


def octets(request: Request) -> bytes:
    fields = [("Host", "127.0.0.1"), *request.fields]
    if request.content:
        fields.append(("Content-Length", str(len(request.content))))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + request.content


if __name__ == "__main__":
    try:
        main()
    except CannotRun as error:
        sys.exit(f"error: {error}")
