"""One process: loop, sockets, lifespan, the set of open connections, deadlines, drain. See README.md."""

from whorl.server.run import run, run_config
from whorl.server.server import Server

__all__ = ["Server", "run", "run_config"]
