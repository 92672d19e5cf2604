"""Who is at the other end of a transport, in ASGI's words. Called once per connection."""

from __future__ import annotations

import asyncio

from whorl.asgi.scope import PeerFacts

__all__ = ["peer_facts"]


def peer_facts(transport: asyncio.BaseTransport) -> PeerFacts:
    """The two ends of a connection, as its transport tells them."""
    client = transport.get_extra_info("peername")
    server = transport.get_extra_info("sockname")
    scheme = "https" if transport.get_extra_info("sslcontext") is not None else "http"
    if isinstance(server, tuple):
        client_address = (str(client[0]), int(client[1])) if isinstance(client, tuple) else None
        return PeerFacts(client_address, (str(server[0]), int(server[1])), scheme)
    path = server.decode("utf-8", "surrogateescape") if isinstance(server, bytes) else server
    return PeerFacts(None, (path, None) if path else None, scheme)
