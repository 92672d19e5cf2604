"""What Whorl says to the person who started it.

Everybody but the wire rules may raise these. Each carries a finished sentence: what is wrong, and what to write
instead. The command line prints it as one line and leaves with `exit_status`; a program that embeds Whorl catches it.
No traceback belongs to it, because the mistake is not in the code.
"""

from __future__ import annotations

__all__ = ["SHUTDOWN_FAILED_STATUS", "ConfigError", "ServeError", "StartError", "WhorlError"]

SHUTDOWN_FAILED_STATUS = 1
"""Exit status of a process whose application failed in its shutdown: what it had to save may be lost, and a service
manager can only tell by the status."""


class WhorlError(Exception):
    """The root of what Whorl raises on purpose. Its text is one line, complete in itself."""

    exit_status = 3


class ConfigError(WhorlError, ValueError):
    """The configuration cannot be served: an unknown name, a value out of range, a combination that cannot work.

    Args:
        problems: one sentence per mistake; all of them are reported at once.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ServeError(WhorlError):
    """The server had started, and cannot serve any more."""


class StartError(WhorlError):
    """The configuration is sound, but the server cannot start: an address in use, an application that does not load."""
