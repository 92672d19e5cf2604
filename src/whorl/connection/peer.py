"""Who is at the other end of a transport, in ASGI's words. Called once per connection."""

from __future__ import annotations

import asyncio

from whorl.asgi.scope import PeerFacts

__all__ = ["peer_facts"]


def peer_facts(transport: asyncio.BaseTransport, ours: tuple[str, int] | None, scheme: str) -> PeerFacts:
    """The two ends of a connection.

    Args:
        transport: tells what is not known yet.
        ours: our own address; None if the transport is to tell.
        scheme: "http" or "https".
    """
    if ours is None:
        server = transport.get_extra_info("sockname")
        if not isinstance(server, tuple):
            path = server.decode("utf-8", "surrogateescape") if isinstance(server, bytes) else server
            return PeerFacts(None, (path, None) if path else None, scheme)
        ours = (str(server[0]), int(server[1]))
    client = transport.get_extra_info("peername")
    return PeerFacts((str(client[0]), int(client[1])) if isinstance(client, tuple) else None, ours, scheme)
