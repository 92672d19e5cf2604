"""Choose between a single process, a supervisor with workers, and a reloader. `whorl.run` and the command line end
here.

A single worker without reload needs no parent: the started process is the server. Only one that takes over from a
supervisor (SIGUSR2) is a supervisor, too, because the old one waits for its message.
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
from whorl.supervisor.frozen import become_worker
from whorl.supervisor.handover import InheritedServer
from whorl.supervisor.messages import BOOTSTRAP_VARIABLE

__all__ = ["run", "run_config"]


def run(app: Any, **options: Any) -> None:
    """Serve an application until the process is told to stop.

    Args:
        app: the application, or its import string, "main:app"; with workers it has to be the string.
        options: the settings of docs/settings.md, by name.

    Raises:
        SystemExit: with status 3 if the server cannot start, after one line for each problem; with status 1 if the
            application failed in its shutdown.
        StartError: the application calls this while a server imports it.
    """
    if BOOTSTRAP_VARIABLE in os.environ:
        become_worker(os.environ)
    refuse_nested()  # outside the try, which would end the process in the middle of an import
    try:
        status = run_config(Config(app, **options))
    except WhorlError as error:
        print_problems(error)
        status = error.exit_status
    if status:
        raise SystemExit(status)


def run_config(config: Config) -> int:
    """Serve until told to stop.

    Args:
        config: the settings.

    Returns:
        The exit status of the process: 0 after an orderly shutdown, 1 if the application failed in its shutdown.

    Raises:
        WhorlError: the server could not start.
    """
    refuse_nested()
    require_no_running_loop()
    open_standard_fds()
    log_notes(config)
    if config.reload:
        return reload(config)
    inherited = InheritedServer.from_env(os.environ)
    if config.workers == 1 and inherited is None:
        return serve_config(config)
    require_main_thread("workers")
    from whorl.supervisor.supervisor import Supervisor  # a single process does not need it

    return Supervisor.create(config, inherited).run()


def reload(config: Config) -> int:
    """Serve, and restart when files change, until told to stop. Returns the exit status."""
    require_main_thread("reload")
    from whorl.reload.reloader import Reloader  # only development needs it

    return Reloader.create(config).run()


def log_notes(config: Config) -> None:
    """Log the settings that were accepted and have no effect: once here, and not in each worker."""
    if config.notes:
        logs.configure(config)
        for note in config.notes:
            logging.getLogger(logs.ERROR_LOGGER).info("%s", note)


def require_main_thread(name: str) -> None:
    """Raise StartError in any other thread."""
    if threading.current_thread() is not threading.main_thread():
        raise StartError(f"{name} needs signals, which only the main thread gets: call whorl.run there, or do without")


def print_problems(error: WhorlError) -> None:
    """Print one line for each problem."""
    for problem in getattr(error, "problems", (str(error),)):
        print(f"whorl: error: {problem}", file=sys.stderr)
