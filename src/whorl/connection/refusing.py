"""The refusals that a connection decides on by itself, and the word about any refusal to who keeps a log.

Called by `connection`, which writes the response and ends. It must not know how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whorl.http.error import Refusal
from whorl.observe.quoting import quote_text
from whorl.wire.http1.head import RequestHead

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["busy", "tell", "too_long"]


def too_long() -> Refusal:
    """What answers a request body beyond the limit."""
    return Refusal(413, "The request body is longer than this server takes (RFC 9110 section 15.5.14).")


def busy() -> Refusal:
    """What answers a request beyond `limit_concurrency`."""
    reason = "More requests are in flight than this server takes; try again (RFC 9110 section 15.6.4)."
    return Refusal(503, reason, b"retry-after: 1\r\n")


def tell(connection: Connection, refusal: Refusal, head: RequestHead | None, content_bytes: int) -> None:
    """Tell the access log, and the reason to whoever wants to know, which is nobody as a rule.

    Args:
        connection: who refuses.
        refusal: why.
        head: of the request, where it was read.
        content_bytes: how long the content of the response is.
    """
    service = connection.shared.service
    exchange = connection.exchange
    client = (connection.peer if head is None else connection.seen).client_text
    status, log = refusal.status, service.access_log
    service.logger.debug("%s was refused with %d: %s", quote_text(client) or "a client", status, refusal.reason)
    if exchange is not None:  # it has its line when it ends, which is now
        exchange.status, exchange.content_bytes = status, content_bytes
    elif log is None:
        pass
    elif head is None:
        log.request_refused(client, connection.reader.request_line(), status, content_bytes)
    else:
        log.response_ended(client, head.method, head.target, head.version, status, content_bytes, 0.0)
