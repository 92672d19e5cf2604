"""The one way in which the wire rules say no, and the one that says the caller came too late.

A peer that breaks RFC 6455, or passes a limit, fails the connection (section 7.1.7): it is told by a Close frame with
a code of section 7.4.1, and nothing more that it sends is read. What reads raises a `Failure`; `Connection` catches it
and gives it to its caller as the last event.
"""

from __future__ import annotations

__all__ = ["CANNOT_READ", "NOT_UTF8", "TOO_BIG", "VIOLATION", "Failure", "NotOpen"]

# RFC 6455 section 7.4.1
VIOLATION = 1002
CANNOT_READ = 1007
TOO_BIG = 1009

NOT_UTF8 = "The text is not UTF-8 (RFC 6455 section 8.1)."


class Failure(Exception):
    """The peer broke the protocol or passed a limit.

    Args:
        code: the status code of the Close frame that answers it, RFC 6455 section 7.4.1.
        reason: one sentence for the peer, ending with the section that it broke, of at most 123 bytes. It never
            repeats the peer's own bytes.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NotOpen(Exception):
    """A frame was to be sent after our Close frame, or after the connection ended (RFC 6455 section 5.5.1)."""
