"""How the end of a response's content is told (RFC 9110 sections 6.4.1 and 8.6): decided by the exchange, written by
each version of HTTP in its own way."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "LENGTH_COMPUTED",
    "LENGTH_DECLARED",
    "LENGTH_UNKNOWN",
    "NO_CONTENT",
    "NO_CONTENT_COMPUTED",
    "Framing",
    "framing_without_content",
]


class Framing(IntEnum):
    """How the end of a response's content is told (RFC 9110 sections 6.4.1 and 8.6)."""

    NO_CONTENT = 0
    """No content, and the server adds no length. The application's own may be among the fields."""
    NO_CONTENT_COMPUTED = 1
    """No content; the server adds the length that it would have had."""
    LENGTH_DECLARED = 2
    """The application's Content-Length is among the fields."""
    LENGTH_COMPUTED = 3
    """The content is complete: the server adds its length."""
    LENGTH_UNKNOWN = 4
    """The version of HTTP marks the end (chunks, END_STREAM, or the end of the connection)."""


NO_CONTENT: Final = Framing.NO_CONTENT
NO_CONTENT_COMPUTED: Final = Framing.NO_CONTENT_COMPUTED
LENGTH_DECLARED: Final = Framing.LENGTH_DECLARED
LENGTH_COMPUTED: Final = Framing.LENGTH_COMPUTED
LENGTH_UNKNOWN: Final = Framing.LENGTH_UNKNOWN


def framing_without_content(status: int, declared_bytes: int, ends: bool) -> Framing:
    """Decide the framing of a response without content: to HEAD, or with status 204, 205 or 304 (RFC 9110 sections
    6.4.1, 8.6, 9.3.2 and 15.3.6).

    Args:
        status: the final status code.
        declared_bytes: the application's Content-Length; -1 without one.
        ends: whether the first piece of content is the only one, and no trailers follow.
    """
    # 204 and 304 get no length; 205 gets 0; HEAD gets the length that GET would have, if it is known.
    if status in (204, 304) or declared_bytes >= 0:
        return NO_CONTENT
    return NO_CONTENT_COMPUTED if ends or status == 205 else NO_CONTENT
