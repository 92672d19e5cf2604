"""`whorl.run` and the command line end here: one process, a parent with workers, or one that starts again.

With one worker and without reload there is no parent: the process that was started is the server. But one that takes
over from a parent (SIGUSR2) is a parent too, because only that knows how.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from whorl.config import Config
from whorl.errors import StartError, WhorlError
from whorl.observe import logs
from whorl.platform import open_standard_fds
from whorl.server.nesting import refuse_nested
from whorl.server.run import require_no_running_loop
from whorl.server.server import serve_config
from whorl.supervisor.frozen import VARIABLE, become_worker
from whorl.supervisor.handover import Inheritance

__all__ = ["run", "run_config"]


def run(app: Any, **options: Any) -> None:
    """Serve an application until the process is told to stop.

    Args:
        app: the application, or its import string, "main:app"; with workers it has to be the string.
        options: the settings of docs/settings.md, by name.

    Raises:
        SystemExit: with status 3 where the configuration cannot be served, which was said in one line each; with
            status 1 where the application failed in its shutdown.
        StartError: the application calls this while a server imports it.
    """
    if VARIABLE in os.environ:
        become_worker(os.environ)
    refuse_nested()  # outside of what follows, which would end the process in the midst of an import
    try:
        status = run_config(Config(app, **options))
    except WhorlError as error:
        complain(error)
        status = error.exit_status
    if status:
        raise SystemExit(status)


def run_config(config: Config) -> int:
    """Serve until told to stop.

    Args:
        config: what the user asked for.

    Returns:
        The exit status of the process: 0 after an orderly end, 1 where the application failed in its shutdown.

    Raises:
        WhorlError: the server could not start.
    """
    refuse_nested()
    require_no_running_loop()
    open_standard_fds()
    log_notes(config)
    if config.reload:
        return reload(config)
    inheritance = Inheritance.taken(os.environ)
    if config.workers == 1 and inheritance is None:
        return serve_config(config)
    require_main_thread("workers")
    from whorl.supervisor.supervisor import Supervisor  # one process has no use for it

    return Supervisor.of(config, inheritance).run()


def reload(config: Config) -> int:
    """Serve, and start again when files change, until told to stop. Returns the exit status."""
    require_main_thread("reload")
    from whorl.reload.reloader import Reloader  # nobody but a developer has use for it

    return Reloader.of(config).run()


def log_notes(config: Config) -> None:
    """Log what was accepted and has no effect: once, here, and not in each worker."""
    if config.notes:
        logs.configure(config)
        for note in config.notes:
            logging.getLogger(logs.ERROR_LOGGER).info("%s", note)


def require_main_thread(name: str) -> None:
    """Raises StartError in another thread."""
    if threading.current_thread() is not threading.main_thread():
        raise StartError(f"{name} needs signals, which only the main thread gets: call whorl.run there, or do without")


def complain(error: WhorlError) -> None:
    """Say what is wrong, one line for each thing."""
    for problem in getattr(error, "problems", (str(error),)):
        print(f"whorl: error: {problem}", file=sys.stderr)
