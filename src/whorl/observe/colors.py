"""Whether log lines are colored, and how (ECMA-48 SGR; no-color.org and force-color.org for the two variables).

The stream that is written decides, not standard output in general: `whorl main:app 2>errors.txt` colors the access
lines and keeps the file plain.
"""

from __future__ import annotations

import logging
import os
from typing import TextIO

__all__ = ["paint_level", "paint_status", "wants_colors"]

RESET = "\x1b[0m"
LEVEL_COLORS = {
    logging.DEBUG: "\x1b[36m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
STATUS_COLORS = {1: "\x1b[37m", 2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}


def wants_colors(stream: TextIO, use_colors: bool | None) -> bool:
    """Decide for one stream: the setting, then NO_COLOR, then FORCE_COLOR, then whether it is a terminal that can.

    Args:
        stream: where the lines go.
        use_colors: the setting; None leaves it to the rest.
    """
    if use_colors is not None:
        return use_colors
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    is_terminal = getattr(stream, "isatty", None)  # an application may have put an object of its own there
    return is_terminal is not None and is_terminal() and os.environ.get("TERM") != "dumb"


def paint_level(number: int, text: str) -> str:
    """A level's word in its color; a level that is not one of logging's own stays plain."""
    color = LEVEL_COLORS.get(number)
    return f"{color}{text}{RESET}" if color else text


def paint_status(status: int) -> str:
    """A status code in the color of its class (RFC 9110 section 15)."""
    color = STATUS_COLORS.get(status // 100)
    return f"{color}{status}{RESET}" if color else str(status)
