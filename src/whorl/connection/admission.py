"""Admits a request of any version of HTTP: resolves its client, checks its host, and whether there is capacity.

What is admitted is an exchange, which the connection starts. What is not is an `HttpError`.
"""

from __future__ import annotations

from typing import Protocol

from whorl.asgi.exchange import Exchange
from whorl.asgi.scope import ConnectionInfo, http_scope, websocket_scope
from whorl.asgi.websocket import WebSocketSession
from whorl.asgi.websocket_transport import WebSocketTransport
from whorl.connection.context import ServerContext
from whorl.connection.listener_policy import ListenerPolicy
from whorl.http.error import HttpError
from whorl.http.request import NEEDS_INSPECTION, Request
from whorl.observe.escaping import escape_text
from whorl.wire.websocket.handshake import Handshake

__all__ = ["RequestCarrier", "admit", "body_too_large", "log_error"]


class RequestCarrier(WebSocketTransport, Protocol):
    """What carries the request, and where it comes from."""

    context: ServerContext
    peer: ConnectionInfo
    policy: ListenerPolicy


def admit(request: Request, carrier: RequestCarrier, handshake: Handshake | None = None) -> Exchange:
    """Make the exchange of a request.

    Args:
        request: the request.
        carrier: what carries the exchange. Its `client` becomes the request's.
        handshake: what a client asks for that opens a WebSocket; None for a plain request.

    Raises:
        HttpError: the request is not served.
    """
    context = carrier.context
    client = carrier.peer
    if request.flags & NEEDS_INSPECTION or client.needs_inspection:
        client = carrier.policy.resolve_client(request, client)
        carrier.client = client
        carrier.policy.check_host(request)
    app_context = context.app_context
    limits = context.limits
    if limits.limit_concurrency is not None and len(app_context.active) >= limits.limit_concurrency:
        raise overloaded()
    if limits.limit_body_size is not None and request.body_bytes > limits.limit_body_size:
        raise body_too_large()
    app_context.request_count = count = app_context.request_count + 1
    if count == app_context.limit_requests:
        app_context.limit_reached()
    if handshake is None:
        return Exchange(app_context, carrier, request, http_scope(request, client, app_context))
    assert context.websocket_limits is not None
    scope = websocket_scope(request, client, app_context, handshake.subprotocols)
    return WebSocketSession(app_context, carrier, request, scope, handshake.extensions, context.websocket_limits)


def overloaded() -> HttpError:
    """Answer a request above `limit_concurrency`."""
    reason = "More requests are in flight than this server takes; try again (RFC 9110 section 15.6.4)."
    return HttpError(503, reason, [(b"retry-after", b"1")])


def body_too_large() -> HttpError:
    """Answer a request body above `limit_body_size`."""
    return HttpError(413, "The request body is longer than this server takes (RFC 9110 section 15.5.14).")


def log_error(
    context: ServerContext,
    client: ConnectionInfo,
    error: HttpError,
    exchange: Exchange | None,
    request: Request | bytes,
    content_bytes: int,
) -> None:
    """Log the response to a request that is not served.

    Args:
        context: the server's.
        client: the request's.
        error: the response.
        exchange: the request's, which logs the response when it ends; None if it had not begun.
        request: the request; or the beginning of its request line, if it could not be parsed.
        content_bytes: the length of the response's content.
    """
    app_context = context.app_context
    label, status, log = client.client_label, error.status, app_context.access_log
    app_context.logger.debug("%s was refused with %d: %s", escape_text(label) or "a client", status, error.reason)
    if exchange is not None:
        exchange.status, exchange.content_bytes = status, content_bytes
    elif log is None:
        pass
    elif isinstance(request, bytes):
        log.request_refused(label, request, status, content_bytes)
    else:
        log.response_ended(label, request.method, request.target, request.version, status, content_bytes, 0.0)
