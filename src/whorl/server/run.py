"""Running one server as a process: the loop that was asked for, and signals.

`whorl.run` and the command line end here with one process, a worker does, and `Server.run` does. Nothing below knows
that it owns the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from whorl.asgi.application import import_target
from whorl.config import Config, load_env_file
from whorl.config.places import UnixPlace
from whorl.errors import StartError
from whorl.loops import Feature, LoopInfo, resolve
from whorl.observe import logs
from whorl.platform import HERE
from whorl.server.exception_handler import LoopExceptionHandler
from whorl.server.fd_budget import raise_limit
from whorl.server.hooks import HookedServer, ServerHooks
from whorl.server.nesting import refuse_nested, serving
from whorl.server.signals import handled, ignore
from whorl.server.systemd import Notifier

__all__ = [
    "flush_streams",
    "import_application",
    "leave_process",
    "require_no_running_loop",
    "run_server",
]

# How long tasks that are left over may take to clean up when they are cancelled.
CANCEL_SECONDS = 1.0


def run_server(server: HookedServer, keeper: ServerHooks) -> None:
    """Serve on a loop of its own until told to stop. In another thread than the main one no signal is touched, and the
    process never ends here."""
    refuse_nested()
    require_no_running_loop()
    with serving(whole_process=keeper.is_worker):
        run_alone(server, keeper)


def run_alone(server: HookedServer, keeper: ServerHooks) -> None:
    """What `run_server` does, in a thread that does nothing else."""
    config = server.config
    prepend_app_dir(config.app_dir)
    raise_limit()
    is_unix = any(isinstance(place, UnixPlace) for place in config.places)
    needs = [Feature.UNIX_SOCKETS] if is_unix else []
    made = resolve(config.loop).make(*needs)
    made.loop.set_exception_handler(LoopExceptionHandler(made.loop, logging.getLogger(logs.ERROR_LOGGER)))
    with handled(server.handle_signal, made, keeper.signals, other_signals(server)), made.runner() as runner:
        try:
            runner.run(serve(server, made, keeper))
        except KeyboardInterrupt:
            pass  # something held up the loop
        try:
            ended = runner.run(end_tasks())
        except KeyboardInterrupt:
            ended = False
        if (server.force_exit or not ended) and threading.current_thread() is threading.main_thread():
            ignore(keeper.signals)
            server.let_go()  # a third signal may have come in the midst of it
            leave_process(server.exit_status)


def require_no_running_loop() -> None:
    """Raises StartError in a thread whose loop is running, as in Jupyter: a second one cannot run inside it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StartError(
        "an event loop is running in this thread already: write `async with whorl.Server(whorl.Config(app)):`, or "
        "`await whorl.Server(whorl.Config(app)).serve()`"
    )


def other_signals(server: HookedServer) -> dict[str, Callable[[], None]]:
    """What SIGHUP, SIGUSR1 and SIGUSR2 do, which would otherwise end the process without a drain."""
    if not HERE.has_hangup:
        return {}

    def on_hangup() -> None:
        if not server.reload_files() and not server.handle_signal("SIGHUP"):
            raise KeyboardInterrupt

    def on_usr2() -> None:
        server.logger.warning("SIGUSR2 is ignored: only a server with workers starts a new one in its place")

    return {"SIGHUP": on_hangup, "SIGUSR1": server.reopen_logs, "SIGUSR2": on_usr2}


async def serve(server: HookedServer, made: LoopInfo, keeper: ServerHooks) -> None:
    """Serve, and keep the service manager informed."""
    if not keeper.tells_manager:
        await server.serve(made)
        return
    telling = asyncio.get_running_loop().create_task(tell(server, Notifier()))
    try:
        await server.serve(made)
    finally:
        telling.cancel()


async def tell(server: HookedServer, notifier: Notifier) -> None:
    """Tell the service manager when the server is ready and when it begins to leave, and in between that it lives."""
    try:
        await asyncio.wrap_future(server.ready)
    except Exception:
        return  # it could not start: its exit status tells
    notifier.ready(f"serving on {', '.join(server.urls)}")
    notifier.watch(asyncio.get_running_loop())
    await server.shutdown.wait()
    notifier.stopping()


async def end_tasks() -> bool:
    """Cancel the tasks that are left, the application's own among them, and wait for them; but not for ever, as
    `asyncio.Runner` would.

    Returns:
        Whether all have ended.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    return not tasks or not (await asyncio.wait(tasks, timeout=CANCEL_SECONDS))[1]


def leave_process(status: int = 0) -> NoReturn:
    """End at once, in order as far as that goes: Python itself would wait for tasks and threads without a bound.

    Args:
        status: the exit status.
    """
    logging.shutdown()
    flush_streams()
    os._exit(status)


def flush_streams() -> None:
    """Flush standard output and standard error. The application may have closed or replaced them."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def import_application(config: Config) -> None:
    """Do what a server does up to having imported its application, in a process whose forks will serve. A factory is
    imported and not called: what it opens would be shared.

    Raises:
        WhorlError: it cannot be imported, or logging cannot be configured.
    """
    prepend_app_dir(config.app_dir)
    logs.configure(config)
    if config.env_file is not None:
        load_env_file(config.env_file)
    with serving(whole_process=True):
        import_target(config.app, config.app_dir)


def prepend_app_dir(app_dir: str) -> None:
    """Put the application's directory first on `sys.path`: a loop of the user's own may live there too."""
    directory = app_dir or ""
    # Once an application is imported, its directory stands first by its full name, and this second (`import_target`).
    if directory not in sys.path[:2]:
        sys.path.insert(0, directory)
