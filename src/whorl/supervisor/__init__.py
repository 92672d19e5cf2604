"""Several processes that serve together: the parent starts, watches and replaces workers. See README.md."""

from whorl.supervisor.run import run, run_config

__all__ = ["run", "run_config"]
