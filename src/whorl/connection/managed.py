"""What the sweep and the drain of a server know of a connection of any kind."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Managed"]


class Managed(Protocol):
    """A connection, from accept to close."""

    def check_deadlines(self, read_up_to: float, now: float) -> None:
        """End the present wait if the client took too long.

        Args:
            read_up_to: a time in seconds of a monotonic clock; what clients sent before it has been read.
            now: the time on the same clock.
        """

    def start_drain(self) -> None:
        """Serve what is in flight, and then close. A WebSocket is closed with 1012."""

    def close_if_idle(self) -> None:
        """Close if the connection waits for another request."""

    def close_if_new(self) -> None:
        """Close if the client has sent nothing yet."""

    def close_if_handshaking(self) -> None:
        """Close if the TLS handshake is not complete."""

    def reset(self) -> None:
        """Close at once, so that the client sees an error (RST)."""
