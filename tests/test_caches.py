"""What a server remembers of its clients has a bound in bytes, however many there are and however long their words."""

from __future__ import annotations

import ast
import asyncio
import logging
import tracemalloc
from collections.abc import Callable

import pytest

from tests.harness import ROOT
from whorl.http.encoder import ResponseFieldEncoder
from whorl.observe.access import AccessLog
from whorl.proxy.hosts import HostList
from whorl.proxy.trusted_peers import TrustedPeers
from whorl.wire.http1.fields import FieldLineCache
from whorl.wire.http1.writer import encode_field

MAX_CACHE_BYTES = 2 * 1024 * 1024

# Enough to fill any of the caches, of each length.
ENTRIES = 4500
LENGTHS = (20, 60, 64, 250, 259, 260, 490, 500, 511, 512, 20_000)


def field_lines() -> Callable[[bytes], object]:
    lines = FieldLineCache()
    return lambda word: lines.parse(b"Accept:" + word[7:])


def response_fields() -> Callable[[bytes], object]:
    table = ResponseFieldEncoder(encode_field)
    return lambda word: table.encode(b"vary", word[4:])


def hosts() -> Callable[[bytes], object]:
    return HostList(["*.example"]).admits


def trusted_addresses() -> Callable[[bytes], object]:
    trust = TrustedPeers(["10.0.0.0/8"])
    return lambda word: trust.contains_peer(word.decode())


def access_log() -> Callable[[bytes], object]:
    loop = asyncio.new_event_loop()
    loop.close()
    log = AccessLog(loop, logging.Logger("test"))
    return lambda word: log._remember(word.decode())


CACHES = {
    "FieldLineCache.known": field_lines,
    "ResponseFieldEncoder.known": response_fields,
    "HostList._known": hosts,
    "TrustedPeers._known": trusted_addresses,
    "AccessLog._words": access_log,
}

# Tables that no client's words are the keys of.
BOUNDED_OTHERWISE = {
    "AccessLog._statuses": "the statuses that there are",
    "Contexts.by_name": "names of certificates",
    "Contexts.certificates": "certificates",
    "Contexts.cipher_numbers": "what OpenSSL has",
    "Lifespan.state": "the application's",
    "ConnectionInfo.tls": "made anew for each connection, of a few facts",
    "ProxyHeader.facts": "made anew for each connection, of 8 KiB",
    "Poller._handlers": "fds",
    "ActiveCall.scope": "one request",
    "AppContext.active": "requests in flight",
    "ServerContext.connections": "open connections",
}


@pytest.mark.parametrize("name", CACHES)
def test_what_is_remembered_is_bounded_in_bytes(name: str) -> None:
    remember = CACHES[name]()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for length in LENGTHS:
            for number in range(ENTRIES):
                remember(b"%0*d" % (length, number))
            _, peak = tracemalloc.get_traced_memory()  # a cache that is full is emptied
            assert peak - before <= MAX_CACHE_BYTES, (length, peak - before)
    finally:
        tracemalloc.stop()


def test_every_table_that_lives_as_long_as_the_server_is_here() -> None:
    """Where a client's words can be keys, it is filled above; all others say what bounds them."""
    found = set()
    for folder in ("asgi", "connection", "http", "net", "observe", "proxy", "server", "tls", "wire"):
        for path in (ROOT / "src" / "whorl" / folder).rglob("*.py"):
            for kind in ast.walk(ast.parse(path.read_text())):
                if isinstance(kind, ast.ClassDef):
                    found |= {f"{kind.name}.{name}" for name in tables(kind)}
    assert found == CACHES.keys() | BOUNDED_OTHERWISE.keys()


def tables(kind: ast.ClassDef) -> set[str]:
    """The attributes of a class that are dicts or sets."""
    found = set()
    for node in ast.walk(kind):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).startswith(("dict[", "set[")):
            target = node.target
            if isinstance(target, ast.Attribute):
                found.add(target.attr)
            elif isinstance(target, ast.Name) and node in kind.body:
                found.add(target.id)
    return found
