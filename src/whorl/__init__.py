"""Whorl: an ASGI server for Python whose event loop you choose.

import whorl

if __name__ == "__main__":
    whorl.run("main:app", port=8000, loop="uvloop")
"""

from typing import TYPE_CHECKING, Any

from whorl.errors import ConfigError, ServeError, StartError, WhorlError
from whorl.version import __version__

if TYPE_CHECKING:
    from whorl.asgi.shutdown import shutdown
    from whorl.config import Config
    from whorl.entry import run
    from whorl.server import Server

__all__ = [
    "Config",
    "ConfigError",
    "ServeError",
    "Server",
    "StartError",
    "WhorlError",
    "__version__",
    "run",
    "shutdown",
]


def __getattr__(name: str) -> Any:
    """Import what serves when it is first asked for: `whorl --help` needs no event loop."""
    if name == "Config":
        from whorl.config import Config

        return Config
    if name == "shutdown":
        from whorl.asgi.shutdown import shutdown

        return shutdown
    if name == "Server":
        from whorl.server import Server

        return Server
    if name == "run":
        from whorl.entry import run

        return run
    raise AttributeError(f"module 'whorl' has no attribute {name!r}")
