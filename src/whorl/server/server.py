"""One process's server: sockets, application, lifespan, connections, and the way out.

    server = Server(Config("main:app"))
    server.run()                            # or, in a running loop: await server.serve(), async with server: …

`serve` runs in whatever loop is running and touches no signals, so a server can live inside somebody else's program,
and two of them side by side; `run` adds the loop and, in the main thread, the signals. Everything a server
owns hangs from this object.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, Literal, Self, TypeVar, cast

from whorl.asgi.app_context import AppContext
from whorl.asgi.application import load
from whorl.asgi.interface import Interface
from whorl.asgi.lifespan import Lifespan
from whorl.asgi.shutdown import SHUTDOWN, Shutdown
from whorl.asgi.websocket import WebSocketLimits
from whorl.config import Config, load_env_file
from whorl.connection.context import Http1Caches, ServerContext
from whorl.connection.limits import Limits
from whorl.errors import SHUTDOWN_FAILED_STATUS, ServeError, StartError
from whorl.loops import Feature, LoopInfo, resolve
from whorl.observe import access, logs
from whorl.server.acceptor import Acceptor
from whorl.server.background import InTask, InThread
from whorl.server.drain import drain
from whorl.server.factory import ConnectionFactory, require_hosts, url_of
from whorl.server.hooks import EmbeddedHooks, ServerHooks
from whorl.server.listen import ListenSocket
from whorl.server.malformed import MalformedReporter
from whorl.server.run import run_server
from whorl.server.signals import ExitSignals
from whorl.server.sweep import Sweep
from whorl.tls.certificates import Certificates
from whorl.wire.websocket.deflate import DeflateSettings

__all__ = ["Server", "serve_config"]

Result = TypeVar("Result")

# Requests may be given no time at all to end; the application's own shutdown gets this much at least.
LIFESPAN_SECONDS = 5.0


class LeftEarly(Exception):
    """The server was asked to leave before it had started."""


class Server:
    """Serves one application, once.

    Args:
        config: what the user asked for.
        keeper: where its sockets come from, and who is told how it fares; without one it is a server inside a program.

    Attributes:
        config: the same.
        started: whether clients are being accepted.
        urls: where, once the sockets are bound.
        ready: done when clients are accepted, failed where the server could not start. Another thread waits with
            `server.ready.result(seconds)`, a task with `await asyncio.wrap_future(server.ready)`.
        shutdown: begins when the server does leave; applications find it with `whorl.shutdown()`.
        exit_status: of the process, once `serve` has returned: 0, or 1 where the application failed in its shutdown.
    """

    def __init__(self, config: Config, keeper: ServerHooks | None = None) -> None:
        self.config = config
        self._keeper = keeper or EmbeddedHooks()
        self.started: bool = False
        self.urls: list[str] = []
        self.ready: Future[None] = Future()
        self.ready.set_running_or_notify_cancel()  # one who waits for it and gives up must not cancel it for the others
        self.shutdown: Shutdown = Shutdown()
        self.exit_status: int = 0
        self.logger: logging.Logger = logging.getLogger(logs.ERROR_LOGGER)
        self._certificates: Certificates | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Future[None] | None = None
        self._hurry: asyncio.Future[None] | None = None
        self._exit_signals = ExitSignals()
        self._should_exit = False
        self._force_exit = False
        self._background: InTask | InThread | None = None
        self._app_context: AppContext | None = None
        self._bounds: list[ListenSocket] = []
        self._keeper.adopt(self)

    @property
    def requests(self) -> int:
        """How many requests have begun."""
        return 0 if self._app_context is None else self._app_context.request_count

    # Leaving

    @property
    def should_exit(self) -> bool:
        """Whether the server was asked to leave. Set it, from any thread, to ask."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value:
            self._tell(self._note_exit)

    @property
    def force_exit(self) -> bool:
        """Whether the server was asked to leave without finishing what is under way."""
        return self._force_exit

    @force_exit.setter
    def force_exit(self, value: bool) -> None:
        self._force_exit = value
        if value:
            self._tell(self._note_force)

    def handle_signal(self, name: str) -> bool:
        """A signal came: leave, and at the second one leave at once.

        The first one does no more than ask, even if the server leaves already: a worker gets the signal of its process
        group and, for the same signal, a message of its parent.

        Returns:
            False where an earlier signal was not noticed, because something blocks the loop, or did not help.
        """
        if not self._exit_signals.receive():
            return True
        if self._exit_signals.count == 1:
            self.should_exit = True
            return True
        stuck = self._leave is None or not self._leave.done() or self._force_exit
        self.force_exit = True
        return not stuck

    def let_go(self) -> None:
        """Close the listening sockets, and remove the paths of those that are Unix sockets. Once more does no harm."""
        for bound in self._bounds:
            bound.close()

    def reload_files(self) -> bool:
        """Read the files of certificates and keys again, and reopen log files; from any thread. Open connections go on
        as they are. Returns whether there are any such files."""
        certificates = self._certificates if self.config.renews_certificates else None
        if certificates is not None:
            self._tell(certificates.reload)
        has_logs = logs.writes_files()
        if has_logs:
            self.reopen_logs()
        return certificates is not None or has_logs

    def reopen_logs(self) -> None:
        """Reopen log files, from any thread."""
        self._tell(logs.reopen)

    def _tell(self, note: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(note)

    def _note_exit(self) -> None:
        if self._leave is not None and not self._leave.done():
            self._leave.set_result(None)

    def _note_force(self) -> None:
        self._note_exit()
        if self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(None)

    # Beside other code

    async def __aenter__(self) -> Self:
        """Serve in a task of the running loop, from when clients are accepted to the end of the block.

        Raises:
            WhorlError: the server could not start.
        """
        self._background = InTask(self.serve())
        await self._background.start(self.ready)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.should_exit = True
        assert isinstance(self._background, InTask)
        await self._background.end()

    def __enter__(self) -> Self:
        """Serve in a thread, on a loop of its own, from when clients are accepted to the end of the block.

        Raises:
            WhorlError: the server could not start.
        """
        self._background = InThread(resolve(self.config.loop).make(), self.serve)
        try:
            self.ready.result()
        except BaseException:
            self.should_exit = True
            self._background.end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.should_exit = True
        assert isinstance(self._background, InThread)
        self._background.end()

    # Serving

    def run(self) -> None:
        """Serve on the loop that the configuration asks for. In the main thread until a signal ends the process, as
        `whorl.run` does; in another thread until `should_exit` is set. `exit_status` says how it ended.

        Raises:
            WhorlError: the server could not start.
        """
        run_server(self, self._keeper)

    async def serve(self, made: LoopInfo | None = None) -> None:
        """Serve until asked to leave.

        Args:
            made: the running loop, if the caller knows more of it than can be seen.

        Raises:
            WhorlError: the server could not start, or go on.
        """
        if self.ready.done():
            raise RuntimeError("a Server serves once: make another one")
        loop = self._loop = asyncio.get_running_loop()
        self._leave = loop.create_future()
        self._hurry = loop.create_future()
        if self._should_exit:
            self._note_exit()
        made = made or LoopInfo.of(loop)
        token = SHUTDOWN.set(self.shutdown)
        try:
            await self._serve(made)
        except Exception as error:
            self._fail(error)
            raise
        finally:
            SHUTDOWN.reset(token)
            self._fail(StartError("the server was told to stop before it had started"))

    def _fail(self, error: Exception) -> None:
        """Tell who waits for the start that there is none."""
        if not self.ready.done():
            self.ready.set_exception(error)

    async def _serve(self, made: LoopInfo) -> None:
        logs.configure(self.config)
        self._keeper.configured(self)
        if self.config.speaks_tls:
            self._certificates = Certificates(self.config, self.logger)
            require_hosts(self.config, self._certificates)
        bounds = self._bounds = self._keeper.bind(self.config)
        try:
            if any(bound.is_unix for bound in bounds):
                made.require(Feature.UNIX_SOCKETS)
            self.urls = [url_of(bound, self._certificates is not None) for bound in bounds]
            await self._serve_bound(made, bounds)
        finally:
            self.started = False
            self._loop = None
            self.let_go()

    async def _serve_bound(self, made: LoopInfo, bounds: list[ListenSocket]) -> None:
        config = self.config
        if config.env_file is not None:
            load_env_file(config.env_file)
        try:
            application = await self._unless_leaving(
                load(
                    config.app,
                    factory=config.factory,
                    app_dir=config.app_dir,
                    interface=cast("Interface", config.interface),
                )
            )
            mode = "off" if application.interface == "wsgi" else config.lifespan
            lifespan = Lifespan(application.app, cast("Literal['auto', 'on', 'off']", mode))
            logs.keep_enabled()  # importing an application may configure logging, and so may its start-up
            await self._unless_leaving(lifespan.startup())
            logs.keep_enabled()
        except LeftEarly:
            self.logger.info("Whorl was told to stop before it had started")
            return
        try:
            context = self._build_context(made, application.app, lifespan.state)
            await self._accept(made, bounds, context, application.name)
        finally:
            if not self._force_exit:
                await self._end_lifespan(lifespan)
            self._keeper.stopped(self)

    async def _unless_leaving(self, starting: Coroutine[Any, Any, Result]) -> Result:
        """Await something that may take long at the start. Raises LeftEarly if the user loses patience first."""
        assert self._leave is not None
        task = asyncio.get_running_loop().create_task(starting)
        either: set[asyncio.Future[Any]] = {task, self._leave}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise LeftEarly
        return task.result()

    async def _accept(self, made: LoopInfo, bounds: list[ListenSocket], context: ServerContext, name: str) -> None:
        assert self._leave is not None
        assert self._hurry is not None
        config = self.config
        certificates = self._certificates
        entrances = ConnectionFactory(made, context, config, certificates)
        acceptor = Acceptor(made, bounds, entrances.connector, config.backlog, context.batch, self.logger)
        malformed = MalformedReporter(entrances.tally, self.logger, context.websocket_limits is not None)
        looks: list[Callable[[], None]] = [
            malformed.look,
            partial(self._leave_if_deaf, acceptor),
            logs.keep_enabled,
        ]
        if certificates is not None:
            looks.append(certificates.reload_if_changed)
        sweep = Sweep(context, looks)
        try:
            await acceptor.start()
            sweep.start()
            self.started = True
            self._keeper.started(self, name, made.describe())
            self.ready.set_result(None)
            await self._leave
            self.shutdown.begin()
            await self._delay_drain()
        finally:
            self.started = False
            self.shutdown.begin()
            await acceptor.stop()
            self.logger.debug("draining")
            self._keeper.draining(self)
            await drain(context, config.timeout_graceful_shutdown, self._hurry, self._keeper.idle_seconds)
            acceptor.close()
            sweep.stop()
            if context.app_context.access_log is not None:
                context.app_context.access_log.flush()
            malformed.tell()

    def _leave_if_deaf(self, acceptor: Acceptor) -> None:
        """A server that hears nothing of its sockets lives and serves nobody: have it end, with an error."""
        assert self._leave is not None
        if not self._leave.done() and acceptor.is_deaf():
            reason = "the application closed the file descriptor that tells of all sockets (epoll)"
            remedy = "look for what closes descriptors that it did not open, such as os.closerange"
            self.logger.error("%s: leaving", reason)
            self._leave.set_exception(ServeError(f"{reason}: {remedy}"))

    async def _delay_drain(self) -> None:
        """Go on accepting for `drain_delay`, until the load balancer has noticed that this server is about to leave;
        not if another process accepts in its place."""
        assert self._hurry is not None
        delay_seconds = self.config.drain_delay
        if delay_seconds and not self._keeper.is_replaced and not self._hurry.done():
            self.logger.info("the drain begins in %g s (drain_delay): still accepting", delay_seconds)
            await asyncio.wait({self._hurry}, timeout=delay_seconds)

    async def _end_lifespan(self, lifespan: Lifespan) -> None:
        """Have the application shut down, within the same bound as its requests; a second signal ends that too."""
        assert self._hurry is not None
        bound_seconds = self.config.timeout_graceful_shutdown
        if bound_seconds is not None:
            bound_seconds = max(bound_seconds, LIFESPAN_SECONDS)
        task = asyncio.get_running_loop().create_task(lifespan.shutdown())
        either: set[asyncio.Future[Any]] = {task, self._hurry}
        try:
            await asyncio.wait(either, timeout=bound_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                self.logger.error("the application's lifespan did not end in time: cancelled")
                task.cancel()
                await asyncio.wait({task})
            if task.cancelled() or not task.result():
                self.exit_status = SHUTDOWN_FAILED_STATUS

    def _build_context(self, made: LoopInfo, app: Any, state: dict[str, Any] | None) -> ServerContext:
        """Put together what connections share, from the configuration: each layer gets only its part."""
        config = self.config
        loop = asyncio.get_running_loop()
        limit_requests = config.limit_max_requests or 0
        if limit_requests:
            from random import randint  # here, because most servers have no such limit

            limit_requests += randint(0, config.limit_max_requests_jitter)
        app_context = self._app_context = AppContext(
            app,
            loop,
            copy_context(),
            self.logger,
            state=state,
            root_path=config.root_path,
            limit_body_bytes=config.limit_body_size,
            request_buffer_bytes=config.buffer_request_body,
            access_log=access.create(loop, config),
            limit_requests=limit_requests,
            on_limit=lambda: self._keeper.limit_reached(self),
        )
        return ServerContext(
            app_context,
            Limits.of(config),
            Http1Caches(b"whorl" if config.server_header else b"", config.date_header, config.headers),
            websocket_limits(config),
            made.can(Feature.PROMPT_CLOSE),
        )


def websocket_limits(config: Config) -> WebSocketLimits | None:
    """What a WebSocket may cost; None where none is served."""
    if config.ws == "none":
        return None
    return WebSocketLimits(
        config.ws_max_size, config.ws_max_queue, DeflateSettings() if config.ws_per_message_deflate else None
    )


def serve_config(config: Config, keeper: ServerHooks | None = None) -> int:
    """Serve until told to stop.

    Args:
        config: what the user asked for.
        keeper: who keeps the server; without one it keeps itself.

    Returns:
        The exit status of the process: 0 after an orderly end, 1 where the application failed in its shutdown. Where
        the user lost patience, or something of the application's cannot be ended, the process ends here, and this does
        not return.

    Raises:
        WhorlError: the server could not start.
    """
    keeper = keeper or ServerHooks()
    server = Server(config, keeper)
    run_server(server, keeper)
    return server.exit_status
