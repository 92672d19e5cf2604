"""How long a WebSocket waits for its peer (RFC 6455 sections 5.5.2 and 7.1.1), asked by the one sweep.

| state of the closing handshake | waits for | at most | then |
|---|---|---|---|
| OPEN | anything to come | ping_interval | a ping |
| OPEN, pinged | anything to come | ping_timeout | 1011 |
| OPEN, pinged, but we do not read | anything to be acknowledged | ping_timeout | 1011 |
| CLOSING_OURS | their Close frame | close_handshake | closed |
| CLOSING_THEIRS | the application to deal with what came before | a second | answered |

Whatever comes shows that the peer is there, so who talks is never pinged. The closing handshake is measured in all: who
goes on talking does not lengthen it. While we ourselves do not read, because the application has enough to do, its
answer cannot be seen, and may find no room in the kernel. Then it is enough that its system acknowledges the ping; one
whose peer has closed resets the connection instead, and one that is gone is silent. Called by `patience`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whorl.asgi.websocket import Session
from whorl.platform import peer_acknowledges
from whorl.wire.websocket.protocol import State

if TYPE_CHECKING:
    from whorl.connection.http1 import Connection

__all__ = ["check_websocket"]

# A peer that has closed waits for our Close frame. An application that holds a message may still answer it.
ANSWER_SECONDS = 1.0


def check_websocket(connection: Connection, session: Session, noted: float, now: float) -> None:
    """Look whether a WebSocket's peer took too long. `connection.since` is never 0 here.

    Args:
        connection: which one.
        session: its WebSocket.
        noted: a time in seconds, on any clock that does not go back; what came before it has been read.
        now: the time, on the same clock.
    """
    deadlines = connection.shared.deadlines
    state = session.closing_state
    if state is State.OPEN:
        waited_seconds = noted - connection.since
        if session.was_pinged:
            if waited_seconds > deadlines.ping_timeout:
                if connection.reading_paused and peer_acknowledges(connection.fileno(), now - connection.since):
                    connection.progressed()
                else:
                    session.ping_unanswered()
        elif waited_seconds > deadlines.ping_interval:
            session.ping()
            connection.since = now
    elif session.closing_since == 0.0:
        session.closing_since = now
    elif state is State.CLOSING_OURS:
        if noted - session.closing_since > deadlines.close_handshake:
            connection.leave_exchange()
            connection.close()
    elif noted - session.closing_since > ANSWER_SECONDS:
        session.answer_close()
