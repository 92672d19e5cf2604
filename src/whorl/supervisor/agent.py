"""The worker's side of its channel: it reports to the parent and does what the parent asks.

The event loop itself sends heartbeats, so they stop if it is blocked. A thread receives messages, so even a blocked
worker can report its stack, and stops when its parent has died. The thread sleeps in recv(2).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from whorl.config import Config
from whorl.observe import logs
from whorl.platform import HERE
from whorl.server.hooks import HookedServer, ServerHooks
from whorl.server.listen import ListenSocket
from whorl.supervisor.messages import BlockingChannel, MalformedMessage, Message, MessageType

__all__ = ["WorkerAgent"]

RETIRING_IDLE_SECONDS = 1.0
"""How long a worker that is replaced keeps idle connections."""

DEBUGGERS = frozenset({"bdb", "code", "pydevd", "_pydevd_bundle"})
"""Modules that wait for a user: pdb, ipdb and pudb are built on bdb, `code.interact` on code, debugpy on pydevd."""

STATM = Path("/proc/self/statm")


class WorkerAgent(ServerHooks):
    """The hooks of a server whose process has a parent.

    Args:
        channel: to the parent.
        number: of the worker's slot.
        sockets: the listening sockets, and for each whether it outlives all workers.
        heartbeat_seconds: the interval between heartbeats.
        kill_timeout: how long stopping may take after the parent has died, None for no limit.
    """

    is_worker = True
    signals = ("SIGTERM",)
    tells_manager = False
    idle_seconds = RETIRING_IDLE_SECONDS

    def __init__(
        self,
        channel: BlockingChannel,
        number: int,
        sockets: Sequence[tuple[ListenSocket, bool]],
        heartbeat_seconds: float,
        kill_timeout: float | None,
    ) -> None:
        self._channel = channel
        self._number = number
        self._sockets = sockets
        self._heartbeat_seconds = heartbeat_seconds
        self._kill_timeout = kill_timeout
        self._has_logged_malformed = False
        self.send = channel.send

    # What the server calls

    def adopt(self, server: HookedServer) -> None:
        threading.Thread(target=self._receive, args=(server,), name="whorl supervisor", daemon=True).start()

    def bind(self, config: Config) -> list[ListenSocket]:
        return [listen_socket for listen_socket, _ in self._sockets]

    def started(self, server: HookedServer, name: str, loop: str) -> None:
        self.send(MessageType.READY, name, loop, server.urls)
        self._send_heartbeat(asyncio.get_running_loop())

    def draining(self, server: HookedServer) -> None:
        self.send(MessageType.DRAINING)

    def limit_reached(self, server: HookedServer) -> None:
        self.send(MessageType.REPLACE_ME)

    def stopped(self, server: HookedServer) -> None:
        server.logger.debug("worker %d has stopped", self._number)

    def _send_heartbeat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send a heartbeat now and at each interval."""
        self._channel.try_send(MessageType.HEARTBEAT, resident_bytes())
        loop.call_later(self._heartbeat_seconds, self._send_heartbeat, loop)

    # What the parent asks for, in a thread

    def _receive(self, server: HookedServer) -> None:
        while (message := self._next_message(server)) is not None:
            kind, items = message
            if kind is MessageType.DUMP_STACK:
                self._dump_stack()
            elif kind is MessageType.REOPEN_LOGS:
                logs.reopen()
            else:
                self._stop(server, kind, *items)
        self._on_parent_death(server)

    def _next_message(self, server: HookedServer) -> Message | None:
        """Wait for a valid message. A malformed one is dropped, and the first is logged: the application may have read
        a part of it from an fd that is not its own."""
        while True:
            try:
                return self._channel.receive()
            except MalformedMessage as error:
                if not self._has_logged_malformed:
                    self._has_logged_malformed = True
                    logging.getLogger(logs.ERROR_LOGGER).error("a malformed message from the parent: %s", error)

    def _dump_stack(self) -> None:
        ident = threading.main_thread().ident
        assert ident is not None
        if is_in_debugger(ident):
            self.send(MessageType.IN_DEBUGGER)
        else:
            self.send(MessageType.STACK, stack_of(ident))

    def _stop(self, server: HookedServer, kind: MessageType, empty_queues: bool = True) -> None:
        """Stop the server.

        Args:
            server: the server.
            kind: RETIRE, STOP or STOP_NOW.
            empty_queues: whether nothing else accepts from the queues, so that this worker has to serve what waits
            there.
        """
        self.is_replaced = kind is MessageType.RETIRE
        if not self.is_replaced:
            self.idle_seconds = 0.0
        if empty_queues:
            for listen_socket, externally_owned in self._sockets:
                listen_socket.inherited = externally_owned
        server.should_exit = True
        if kind is MessageType.STOP_NOW:
            server.force_exit = True

    def _on_parent_death(self, server: HookedServer) -> None:
        """Finish the requests in progress, and end the process if that takes too long."""
        self._stop(server, MessageType.STOP)
        if self._kill_timeout is not None:
            threading.Event().wait(self._kill_timeout)
            os._exit(1)


def is_in_debugger(ident: int) -> bool:
    """Whether a thread waits for the user of a debugger, for example after `breakpoint()`.

    Args:
        ident: the thread's identifier.
    """
    frame = sys._current_frames().get(ident)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def stack_of(ident: int) -> str:
    """Format the stack of a thread, innermost call last."""
    frame = sys._current_frames().get(ident)
    return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()


def resident_bytes() -> int:
    """Return the resident memory of this process; where the system does not report it, the peak."""
    try:
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * HERE.peak_memory_unit_bytes
