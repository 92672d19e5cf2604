"""The ASGI scope of a request (ASGI HTTP and WebSocket 2.5): what the application is told before it reads.

Built once per request from the head and from what the connection knows. Facts of the connection are computed once per
connection (`PeerFacts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from whorl.asgi.app_context import Service
from whorl.wire.http1.head import RequestHead

__all__ = ["SPEC_VERSION", "PeerFacts", "http_scope", "websocket_scope"]

SPEC_VERSION: Final = "2.5"

NOTHING: Final[Mapping[str, Mapping[str, Any]]] = {}

SCOPE: Final[dict[str, Any]] = {
    "type": "http",
    "asgi": None,
    "http_version": "1.1",
    "method": None,
    "scheme": None,
    "path": None,
    "raw_path": None,
    "query_string": None,
    "root_path": "",
    "headers": None,
    "client": None,
    "server": None,
    "extensions": None,
}
"""What each scope begins as: to copy one and to fill it costs less than to make it."""


class PeerFacts:
    """Who is at the two ends of a connection.

    Attributes:
        client: address and port of the client; None where it has none (a Unix socket).
        server: address and port of the server, or path and None for a Unix socket.
        scheme: "http" or "https".
        tls: what its TLS handshake came to (ASGI TLS extension); None without TLS.
        extensions: what else the scope's extensions tell of the connection, by name.
        prefix: the path that a proxy took off the target's front; None where nobody says so.
        trusted: whether the peer may speak for another client; None while nobody has asked.
        special: whether there is more to a request of this peer than its head tells.
        client_text: the client for a log line.
    """

    __slots__ = ("client", "client_text", "extensions", "prefix", "scheme", "server", "special", "tls", "trusted")

    def __init__(
        self,
        client: tuple[str, int] | None,
        server: tuple[str, int | None] | None,
        scheme: str,
        *,
        extensions: Mapping[str, Mapping[str, Any]] = NOTHING,
        prefix: str | None = None,
    ) -> None:
        self.client = client
        self.server = server
        self.scheme = scheme
        self.tls: dict[str, Any] | None = None
        self.extensions = extensions
        self.prefix = prefix
        self.trusted: bool | None = None
        self.special = bool(extensions) or prefix is not None
        if client is None:
            self.client_text = "unix"
        elif not client[1]:  # a proxy told an address without a port
            self.client_text = client[0]
        elif ":" in client[0]:
            self.client_text = f"[{client[0]}]:{client[1]}"
        else:
            self.client_text = f"{client[0]}:{client[1]}"


def http_scope(head: RequestHead, peer: PeerFacts, service: Service) -> dict[str, Any]:
    """The scope of one HTTP request.

    Args:
        head: the request's head.
        peer: the connection's two ends.
        service: the server's application, its mount point and state.

    Returns:
        A scope of its own: nothing mutable in it is shared with another request, but the values in `state`, which
            are meant to be.
    """
    raw_path, _, query = head.target.partition(b"?")
    # Not `b"%" in raw_path`: that tries an integer first, and costs seven times as much.
    path = raw_path.decode() if raw_path.find(b"%") < 0 else decode_path(raw_path)
    scope = SCOPE.copy()
    scope["asgi"] = {"version": "3.0", "spec_version": SPEC_VERSION}
    scope["method"] = head.method
    scope["scheme"] = peer.scheme
    scope["path"] = path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = head.fields
    scope["client"] = peer.client
    scope["server"] = peer.server
    extensions: dict[str, dict[str, Any]]
    scope["extensions"] = extensions = {
        "http.response.trailers": {},
        "http.response.early_hint": {},
        "http.response.pathsend": {},
    }
    if peer.tls is not None:
        extensions["tls"] = peer.tls.copy()
    if head.version != "1.1":  # HTTP/1.0 has neither interim responses nor trailers
        scope["http_version"] = head.version
        del extensions["http.response.trailers"], extensions["http.response.early_hint"]
    if service.root_path:
        scope["root_path"] = root_path = service.root_path
        scope["path"] = root_path + path
        scope["raw_path"] = root_path.encode("ascii") + raw_path
    if peer.special:
        _complete(scope, peer, service)
    if service.state is not None:
        scope["state"] = service.state.copy()
    return scope


def _complete(scope: dict[str, Any], peer: PeerFacts, service: Service) -> None:
    """Add to a scope what only some peers have to tell. A prefix that a proxy took off takes the place of ours."""
    for name, content in peer.extensions.items():
        scope["extensions"][name] = dict(content)
    prefix = peer.prefix
    if prefix is not None:
        own = len(service.root_path)
        scope["root_path"] = prefix
        scope["path"] = prefix + scope["path"][own:]
        scope["raw_path"] = prefix.encode("ascii") + scope["raw_path"][own:]


def websocket_scope(
    head: RequestHead, peer: PeerFacts, service: Service, subprotocols: Iterable[str]
) -> dict[str, Any]:
    """The scope of a request that asks for WebSocket; arguments and result are as for `http_scope`.

    Args:
        subprotocols: what the client offers, in its order.
    """
    scope = http_scope(head, peer, service)
    del scope["method"]
    extensions = {name: facts for name, facts in scope["extensions"].items() if not name.startswith("http.")}
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = list(subprotocols)
    scope["extensions"] = {**extensions, "websocket.http.response": {}}
    return scope


def decode_path(raw_path: bytes) -> str:
    """Percent-decode a path; octets that are no UTF-8 become U+FFFD, and `raw_path` keeps them."""
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")
