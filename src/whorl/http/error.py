"""The one way in which the wire rules say no.

A peer that breaks RFC 9112, or passes a limit, is answered with a status and the connection ends. Whoever reads bytes
raises a `Refusal`; the connection decides whether it can still be written (never into a response under way). The text
ends with the section that was broken, or that says what to do instead.
"""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):
    """The peer's message is not served.

    Args:
        status: the status code that answers it, RFC 9110 section 15.
        reason: one sentence for the peer, ending with the section that it broke. It never repeats the peer's own
            octets.
        lines: further field lines of the response, such as Retry-After, each with its CRLF.
    """

    def __init__(self, status: int, reason: str, lines: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.lines = lines
