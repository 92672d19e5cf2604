"""How the end of a response's content is told (RFC 9110 sections 6.4.1 and 8.6).

An `Exchange` decides it, and its carrier writes it in its own way. It must not know either.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "LENGTH_COUNTED",
    "LENGTH_DECLARED",
    "LENGTH_UNKNOWN",
    "NO_CONTENT",
    "NO_CONTENT_COUNTED",
    "Framing",
    "frame_nothing",
]


class Framing(IntEnum):
    """How the end of a response's content is told (RFC 9110 sections 6.4.1 and 8.6)."""

    NO_CONTENT = 0
    """No content follows, and the carrier tells no length; the application's own may stand among the fields."""
    NO_CONTENT_COUNTED = 1
    """No content follows, and the carrier tells how long it would have been."""
    LENGTH_DECLARED = 2
    """The application's own Content-Length stands among the fields."""
    LENGTH_COUNTED = 3
    """The content is all here: the carrier tells its length."""
    LENGTH_UNKNOWN = 4
    """The carrier marks the end in its own way."""


NO_CONTENT: Final = Framing.NO_CONTENT
NO_CONTENT_COUNTED: Final = Framing.NO_CONTENT_COUNTED
LENGTH_DECLARED: Final = Framing.LENGTH_DECLARED
LENGTH_COUNTED: Final = Framing.LENGTH_COUNTED
LENGTH_UNKNOWN: Final = Framing.LENGTH_UNKNOWN


def frame_nothing(status: int, declared_bytes: int, ends: bool) -> Framing:
    """How a response without content is framed: one to HEAD, or with status 204, 205 or 304 (RFC 9110 sections 6.4.1,
    8.6, 9.3.2 and 15.3.6).

    Args:
        status: the final status code.
        declared_bytes: the application's Content-Length, -1 without one.
        ends: whether the first piece of content is the only one, and no trailers follow.
    """
    # 204 and 304 tell no length of their own; 205 tells 0; HEAD tells what GET would have told, if that is known.
    if status in (204, 304) or declared_bytes >= 0:
        return NO_CONTENT
    return NO_CONTENT_COUNTED if ends or status == 205 else NO_CONTENT
