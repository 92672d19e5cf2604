"""The sockets a server listens on: bound from the configuration, before anything else starts. See README.md."""

from whorl.server.listen.bind import bind
from whorl.server.listen.bound import Bound

__all__ = ["Bound", "bind"]
