"""How long a WebSocket waits for its peer (RFC 6455 sections 5.5.2 and 7.1.1).

| state | waits for | at most | then |
|---|---|---|---|
| OPEN | anything from the peer | ws_ping_interval | ping |
| OPEN, pinged | anything from the peer | ws_ping_timeout | close with 1011 |
| OPEN, pinged, reading paused | the kernel's acknowledgement | ws_ping_timeout | close with 1011 |
| CLOSING_OURS | the peer's Close frame | 10 s | close the connection |
| CLOSING_THEIRS | the application's last messages | 1 s | send the Close frame |

The closing handshake is measured as a whole: messages do not lengthen it. While reading is paused, a pong cannot be
read, and may find no space in the kernel. Then the acknowledgement of the ping is enough: a peer that has closed sends
RST instead, and one that is gone sends nothing.
"""

from __future__ import annotations

from typing import Final, Protocol

from whorl.asgi.websocket import WebSocketSession
from whorl.connection.limits import Limits
from whorl.platform import peer_acknowledges
from whorl.wire.websocket.protocol import State

__all__ = ["WebSocketDeadlines"]

CLOSE_TIMEOUT_SECONDS: Final = 10.0
CLOSE_REPLY_SECONDS: Final = 1.0
"""A peer that has closed waits for the Close frame. An application that holds a message may still answer it."""


class WebSocketConnection(Protocol):
    """A connection that has become a WebSocket."""

    reading_paused: bool
    waiting_since: float

    def fileno(self) -> int: ...
    def restart_deadline(self) -> None: ...
    def disconnect_exchange(self) -> None: ...
    def close(self) -> None: ...


class WebSocketDeadlines:
    """The clock of one WebSocket.

    Args:
        connection: whose.
        session: its WebSocket.
        limits: the server's.
    """

    __slots__ = ("_closing_since", "_connection", "_limits", "_pinged_since", "_session")

    def __init__(self, connection: WebSocketConnection, session: WebSocketSession, limits: Limits) -> None:
        self._connection = connection
        self._session = session
        self._limits = limits
        self._pinged_since = 0.0
        self._closing_since = 0.0

    def restart(self) -> None:
        """Note that the peer has sent something."""
        self._pinged_since = 0.0

    def check(self, read_up_to: float, now: float) -> None:
        """End a wait that takes too long. Arguments as for `Managed.check_deadlines`."""
        session = self._session
        state = session.closing_state
        if state is State.OPEN:
            self._check_open(read_up_to, now)
        elif self._closing_since == 0.0:
            self._closing_since = now
        elif state is State.CLOSING_OURS:
            if read_up_to - self._closing_since > CLOSE_TIMEOUT_SECONDS:
                self._connection.disconnect_exchange()
                self._connection.close()
        elif read_up_to - self._closing_since > CLOSE_REPLY_SECONDS:
            session.send_close_reply()

    def _check_open(self, read_up_to: float, now: float) -> None:
        connection = self._connection
        if self._pinged_since == 0.0:
            if read_up_to - connection.waiting_since > self._limits.ws_ping_interval:
                self._session.ping()
                self._pinged_since = now
        elif read_up_to - self._pinged_since > self._limits.ws_ping_timeout:
            if connection.reading_paused and peer_acknowledges(connection.fileno(), now - self._pinged_since):
                connection.restart_deadline()
            else:
                self._session.ping_timed_out()
