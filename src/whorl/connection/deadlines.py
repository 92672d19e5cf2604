"""How long a connection waits for its client, and what happens then (RFC 9110 section 15.5.9, RFC 9112 section 9.5).

A connection only says what it waits for, in `Phase`, and sets `since` to 0 when something moved; nothing on the way
of a request looks at a clock. The server's sweep comes by now and then with the time and calls `check`. So a deadline
is never early, and late by two periods at most.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from whorl.connection.phase import CLOSING, EXCHANGE, HEAD, LINGERING, UPGRADED
from whorl.connection.websocket_deadlines import check_websocket
from whorl.http.error import Refusal
from whorl.platform import peer_is_gone

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["check"]


def check(connection: Connection, noted: float, now: float) -> None:
    """Look whether a connection's client took too long.

    Args:
        connection: which one.
        noted: a time in seconds, on any clock that does not go back; what clients sent before it has been read.
        now: the time, on the same clock.
    """
    websocket = connection.websocket
    if connection.since == 0.0:
        connection.since = now
        if websocket is not None:
            websocket.was_pinged = False
    if connection.reading_paused or connection.their_eof or not connection.shared.prompt_close:
        look_for_client(connection)
    if connection.writing_blocked or connection.phase is CLOSING:
        check_reader(connection, noted, now)  # even where the application has said it all: the client is not idle yet
    elif websocket is not None and connection.phase is UPGRADED:
        check_websocket(connection, websocket, noted, now)
    elif noted - connection.since > patience_seconds(connection) or has_lingered(connection, noted, now):
        lose_patience(connection)


def check_reader(connection: Connection, noted: float, now: float) -> None:
    """See whether the client has taken some of what waits for it. What it sends meanwhile is no progress, nor is what
    that adds to what waits."""
    unsent_bytes = connection.transport.get_write_buffer_size()
    if connection.untaken_since == 0.0 or unsent_bytes < connection.unsent_bytes:
        connection.untaken_since = now
        connection.unsent_bytes = unsent_bytes
    elif noted - connection.untaken_since > connection.shared.deadlines.response:
        connection.leave_exchange()
        connection.reset()


def patience_seconds(connection: Connection) -> float:
    """How long the present wait may take."""
    phase = connection.phase
    return body_patience_seconds(connection) if phase is EXCHANGE else connection.shared.deadlines.by_phase[phase]


def has_lingered(connection: Connection, noted: float, now: float) -> bool:
    """Whether a client has gone on sending for too long after it took our last words."""
    if connection.phase is not LINGERING or connection.writing_blocked:
        return False
    if connection.lingering_since == 0.0:
        connection.lingering_since = now
    return noted - connection.lingering_since > connection.shared.deadlines.linger


def body_patience_seconds(connection: Connection) -> float:
    """How long the client may take with the next piece of its body: for ever, where it is we who keep it waiting."""
    exchange = connection.exchange
    ours = connection.reading_paused or exchange is None or exchange.expects_continue
    return inf if ours or connection.reader.body_complete else connection.shared.deadlines.request_body


def lose_patience(connection: Connection) -> None:
    """End the wait."""
    phase = connection.phase
    if phase is HEAD:
        connection.refuse(Refusal(408, "The request head took too long (RFC 9110 section 15.5.9)."))
    elif phase is EXCHANGE:
        connection.refuse(Refusal(408, "The request body took too long (RFC 9110 section 15.5.9)."))
    else:
        connection.close()


def look_for_client(connection: Connection) -> None:
    """Find a client that has gone where the loop does not tell: most loops watch nothing while they do not read, and
    there is one that does not notice a reset."""
    exchange = connection.exchange
    if peer_is_gone(connection.fileno()):
        connection.reset()
    elif exchange is not None and exchange.awaits_disconnect and connection.client_ended():
        exchange.client_ended()
