"""The sockets a server listens on: bound from the configuration, before anything else starts. See README.md."""

from whorl.server.listen.bind import bind
from whorl.server.listen.listen_socket import ListenSocket

__all__ = ["ListenSocket", "bind"]
