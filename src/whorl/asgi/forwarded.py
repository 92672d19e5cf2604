"""Telling the application whom a request comes from, where a proxy stands in between.

What is believed of a proxy's word (`whorl.proxy`) goes where the application looks for it without knowing of proxies:
`client`, `scheme`, the Host field, `root_path`. Who really is at the other end stays in the extension `whorl.proxy`.
The same for every kind of scope and every version of HTTP. Called by a connection, for requests that need it only.
"""

from __future__ import annotations

from typing import Any

from whorl.asgi.scope import PeerFacts
from whorl.proxy.facts import Facts
from whorl.wire.http1.head import RequestHead

__all__ = ["EXTENSION", "believe"]

EXTENSION = "whorl.proxy"

# Ports that a URL leaves out. A proxy behind another one tells either of them with either scheme.
USUAL_PORTS = (80, 443)


def believe(facts: Facts, head: RequestHead, peer: PeerFacts) -> PeerFacts:
    """The two ends of a request's way, as a trusted proxy tells them.

    Args:
        facts: what is believed.
        head: the request's head; its Host becomes the one that the client sent.
        peer: the two ends of the connection.
    """
    client = peer.client if facts.client is None else (str(facts.client.address), facts.client.port)
    told: dict[str, Any] = {"peer": peer.client, **peer.extensions.get(EXTENSION, {})}
    if facts.host or facts.port:
        replace_host(facts, head, told)
    extensions = {**peer.extensions, EXTENSION: told}
    seen = PeerFacts(client, peer.server, facts.scheme or peer.scheme, extensions=extensions, prefix=facts.prefix)
    seen.tls = peer.tls
    return seen


def replace_host(facts: Facts, head: RequestHead, told: dict[str, Any]) -> None:
    """Put the Host that the client sent in the place of the proxy's, which goes into the extension."""
    own = next((value for name, value in head.fields if name == b"host"), b"")
    host = facts.host or own
    if host and facts.port and facts.port not in USUAL_PORTS and not has_port(host):
        host = b"%s:%d" % (host, facts.port)
    if host != own:
        told["host"] = own
        head.fields = [(b"host", host), *(field for field in head.fields if field[0] != b"host")]


def has_port(host: bytes) -> bool:
    """Whether a Host names a port."""
    return host.rpartition(b"]")[2].find(b":") >= 0
