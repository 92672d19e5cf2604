"""The ASGI scope of a request (ASGI HTTP and WebSocket 2.5).

What all requests of a connection share is computed once (`ConnectionInfo`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from whorl.asgi.app_context import AppContext
from whorl.http.request import Request

__all__ = ["SPEC_VERSION", "ConnectionInfo", "http_scope", "websocket_scope"]

SPEC_VERSION: Final = "2.5"

NO_EXTENSIONS: Final[Mapping[str, Mapping[str, Any]]] = {}

# To copy a template and fill it costs less than to build a dict.
SCOPE_TEMPLATE: Final[dict[str, Any]] = {
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


class ConnectionInfo:
    """The two ends of a connection, or those that a proxy names.

    Attributes:
        client: address and port of the client; None over a Unix socket.
        server: address and port of the server, or path and None for a Unix socket.
        scheme: "http" or "https".
        tls: the ASGI TLS extension; None without TLS.
        extensions: further extensions for the scope, by name.
        prefix: the path that a proxy removed from the target; None if no proxy names one.
        trusted: whether the peer may speak for other clients; None if that has not been checked.
        needs_inspection: whether every request of this peer has to be inspected (`ListenerPolicy`).
        client_label: the client for a log line.
    """

    __slots__ = (
        "client",
        "client_label",
        "extensions",
        "needs_inspection",
        "prefix",
        "scheme",
        "server",
        "tls",
        "trusted",
    )

    def __init__(
        self,
        client: tuple[str, int] | None,
        server: tuple[str, int | None] | None,
        scheme: str,
        *,
        extensions: Mapping[str, Mapping[str, Any]] = NO_EXTENSIONS,
        prefix: str | None = None,
    ) -> None:
        self.client = client
        self.server = server
        self.scheme = scheme
        self.tls: dict[str, Any] | None = None
        self.extensions = extensions
        self.prefix = prefix
        self.trusted: bool | None = None
        self.needs_inspection = bool(extensions) or prefix is not None
        if client is None:
            self.client_label = "unix"
        elif not client[1]:  # a proxy named an address without a port
            self.client_label = client[0]
        elif ":" in client[0]:
            self.client_label = f"[{client[0]}]:{client[1]}"
        else:
            self.client_label = f"{client[0]}:{client[1]}"


def http_scope(request: Request, client: ConnectionInfo, app_context: AppContext) -> dict[str, Any]:
    """Build the scope of one HTTP request. Requests share nothing mutable but the values in `state`.

    Args:
        request: the request.
        client: the two ends of its connection.
        app_context: the application, its mount point and state.
    """
    raw_path, _, query = request.target.partition(b"?")
    # Not `b"%" in raw_path`: that tries an integer first, and costs seven times as much.
    path = raw_path.decode() if raw_path.find(b"%") < 0 else decode_path(raw_path)
    scope = SCOPE_TEMPLATE.copy()
    scope["asgi"] = {"version": "3.0", "spec_version": SPEC_VERSION}
    scope["method"] = request.method
    scope["scheme"] = client.scheme
    scope["path"] = path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = request.fields
    scope["client"] = client.client
    scope["server"] = client.server
    extensions: dict[str, dict[str, Any]]
    scope["extensions"] = extensions = {
        "http.response.trailers": {},
        "http.response.early_hint": {},
        "http.response.pathsend": {},
    }
    if client.tls is not None:
        extensions["tls"] = client.tls.copy()
    if request.version != "1.1":
        scope["http_version"] = request.version
        if request.version == "1.0":  # it has neither interim responses nor trailers
            del extensions["http.response.trailers"], extensions["http.response.early_hint"]
    if app_context.root_path:
        scope["root_path"] = root_path = app_context.root_path
        scope["path"] = root_path + path
        scope["raw_path"] = root_path.encode("ascii") + raw_path
    if client.needs_inspection:
        _add_proxy_facts(scope, client, app_context)
    if app_context.state is not None:
        scope["state"] = app_context.state.copy()
    return scope


def _add_proxy_facts(scope: dict[str, Any], client: ConnectionInfo, app_context: AppContext) -> None:
    """Add what only some clients have. A prefix that a proxy removed replaces root_path."""
    for name, content in client.extensions.items():
        scope["extensions"][name] = dict(content)
    prefix = client.prefix
    if prefix is not None:
        root_length = len(app_context.root_path)
        scope["root_path"] = prefix
        scope["path"] = prefix + scope["path"][root_length:]
        scope["raw_path"] = prefix.encode("ascii") + scope["raw_path"][root_length:]


def websocket_scope(
    request: Request, client: ConnectionInfo, app_context: AppContext, subprotocols: Iterable[str]
) -> dict[str, Any]:
    """Build the scope of a WebSocket handshake. Arguments are those of `http_scope`.

    Args:
        subprotocols: what the client offers, in its order.
    """
    scope = http_scope(request, client, app_context)
    del scope["method"]
    extensions = {name: facts for name, facts in scope["extensions"].items() if not name.startswith("http.")}
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = list(subprotocols)
    scope["extensions"] = {**extensions, "websocket.http.response": {}}
    return scope


def decode_path(raw_path: bytes) -> str:
    """Percent-decode a path. Bytes that are not UTF-8 become U+FFFD; `raw_path` keeps them."""
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")
