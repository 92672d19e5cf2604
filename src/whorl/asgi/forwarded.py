"""Tells the application the client that a trusted proxy names (RFC 7239, X-Forwarded-*).

It goes where the application looks without knowing of proxies: `client`, `scheme`, the Host field, `root_path`. The
address of the proxy itself stays in the extension `whorl.proxy`.
"""

from __future__ import annotations

from typing import Any

from whorl.asgi.scope import ConnectionInfo
from whorl.http.request import Request
from whorl.proxy.forwarded_info import ForwardedInfo

__all__ = ["EXTENSION", "apply_forwarded"]

EXTENSION = "whorl.proxy"

# Ports that a URL leaves out. A proxy behind another one may name either of them with either scheme.
DEFAULT_PORTS = (80, 443)


def apply_forwarded(facts: ForwardedInfo, request: Request, peer: ConnectionInfo) -> ConnectionInfo:
    """Return the two ends that a trusted proxy names.

    Args:
        facts: what its fields say.
        request: its Host is replaced by the one that the client sent.
        peer: the two ends of the connection.
    """
    client = peer.client if facts.client is None else (str(facts.client.address), facts.client.port)
    extension: dict[str, Any] = {"peer": peer.client, **peer.extensions.get(EXTENSION, {})}
    if facts.host or facts.port:
        replace_host(facts, request, extension)
    extensions = {**peer.extensions, EXTENSION: extension}
    client_info = ConnectionInfo(
        client, peer.server, facts.scheme or peer.scheme, extensions=extensions, prefix=facts.prefix
    )
    client_info.tls = peer.tls
    return client_info


def replace_host(facts: ForwardedInfo, request: Request, extension: dict[str, Any]) -> None:
    """Replace the proxy's Host by the client's, and keep the proxy's in the extension."""
    proxy_host = next((value for name, value in request.fields if name == b"host"), b"")
    host = facts.host or proxy_host
    if host and facts.port and facts.port not in DEFAULT_PORTS and not has_port(host):
        host = b"%s:%d" % (host, facts.port)
    if host != proxy_host:
        extension["host"] = proxy_host
        request.fields = [(b"host", host), *(field for field in request.fields if field[0] != b"host")]


def has_port(host: bytes) -> bool:
    """Return whether a Host names a port."""
    return host.rpartition(b"]")[2].find(b":") >= 0
