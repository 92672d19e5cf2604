"""The sockets a server listens on: bound from the configuration, before anything else starts. See README.md."""

from whorl.server.sockets.bind import bind
from whorl.server.sockets.bound import Bound

__all__ = ["Bound", "bind"]
