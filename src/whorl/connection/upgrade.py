"""From HTTP/1.1 to WebSocket on one connection (RFC 9110 section 7.8, RFC 6455 section 4.2).

`begin` makes a session of a request that asks for one, or refuses it; `switch` writes the 101. From then on the
connection hands what it reads to the session as it comes. Called by `connection`. It must not know frames, nor ASGI's
messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whorl.asgi.scope import websocket_scope
from whorl.asgi.websocket import Session
from whorl.connection.phase import UPGRADED
from whorl.http.encoder import HAS_CLOSE
from whorl.http.error import Refusal
from whorl.wire.http1.head import RequestHead
from whorl.wire.http1.writer import STATUS_LINES, encode_field
from whorl.wire.websocket.deflate import Deflate
from whorl.wire.websocket.handshake import Handshake, HandshakeRefusal, is_upgrade, read_handshake, response_fields

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["begin", "refuse", "switch"]


def begin(connection: Connection, head: RequestHead) -> Session | None:
    """Make a session of a request, if it asks for WebSocket and that is served.

    Returns:
        The session; None where the request is to be served as plain HTTP.

    Raises:
        HandshakeRefusal: it asks for WebSocket and cannot have it.
    """
    limits = connection.shared.websocket
    if limits is None or not is_upgrade(head.version, head.fields):
        return None
    handshake = read_handshake(head.method, head.fields)
    service = connection.shared.service
    scope = websocket_scope(head, connection.seen, service, handshake.subprotocols)
    return Session(service, connection, head, scope, handshake, limits)


def refuse(connection: Connection, refusal: HandshakeRefusal, head: RequestHead) -> None:
    """Answer a handshake that is none."""
    lines = b"".join(encode_field(name, value) for name, value in refusal.fields)
    connection.refuse(Refusal(refusal.status, refusal.reason, lines), head)


def switch(
    connection: Connection,
    session: Session,
    handshake: Handshake,
    subprotocol: str | None,
    deflate: Deflate | None,
    lines: list[bytes],
    flags: int,
) -> None:
    """Answer 101, and give the session what the client sent ahead of it. Arguments as for `Carrier`."""
    fields = [encode_field(name, value) for name, value in response_fields(handshake, subprotocol, deflate)]
    shared = connection.shared
    connection.phase = UPGRADED
    connection.websocket = session
    defaults = shared.defaults.last_lines(flags & ~HAS_CLOSE)
    connection.write(b"".join((STATUS_LINES[101], *fields, *lines, defaults)))
    session.accepted()
    rest = connection.reader.take_rest()
    if connection.their_eof:
        connection.leave_exchange()
        connection.close()
        return
    connection.resume_reading()
    connection.since = 0.0
    if rest:
        session.receive_octets(rest)
    if shared.leaving:
        session.server_leaves()
