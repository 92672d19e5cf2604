"""One process: loop, sockets, lifespan, the set of open connections, deadlines, drain. See README.md."""

from whorl.server.run import serve_config
from whorl.server.server import Server

__all__ = ["Server", "serve_config"]
