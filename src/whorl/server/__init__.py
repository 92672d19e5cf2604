"""One process: loop, sockets, lifespan, the set of open connections, deadlines, drain. See README.md."""

from whorl.server.server import Server, serve_config

__all__ = ["Server", "serve_config"]
