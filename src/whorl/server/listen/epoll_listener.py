"""A listener whose connections are served by Whorl's own poller (listen(2), accept(2)).

A connection is accepted, gets its protocol and its transport, and is registered, all in one callback: with a task or a
second iteration in between, it could be lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from whorl.net.epoll import READABLE, Poller
from whorl.net.epoll_transport import EpollTransport
from whorl.observe.failures import log_internal_error
from whorl.server.exception_handler import DIED_BEFORE
from whorl.server.listen.loop_listener import PAUSE_SECONDS

__all__ = ["EpollListener", "adopt_socket"]


class EpollListener:
    """Accepts connections until `close`.

    Args:
        poller: serves them.
        handle: a bound, non-blocking socket; the listener closes it.
        is_unix: whether it is a Unix socket.
        admit: makes the protocol of a new connection; that must not raise.
        backlog: how many connections the kernel queues.
        batch: how many are accepted in one iteration of the loop.
        logger: reports that the system has no resources.
    """

    __slots__ = ("_admit", "_batch", "_handle", "_is_unix", "_logger", "_poller", "_retry")

    def __init__(
        self,
        poller: Poller,
        handle: socket.socket,
        is_unix: bool,
        admit: Callable[[], asyncio.Protocol],
        backlog: int,
        batch: int,
        logger: logging.Logger,
    ) -> None:
        self._poller = poller
        self._handle = handle
        self._is_unix = is_unix
        self._admit = admit
        self._batch = batch
        self._logger = logger
        self._retry: asyncio.TimerHandle | None = None
        handle.listen(backlog)
        self._update_registration()

    def _update_registration(self) -> None:
        self._poller.register(self._handle.fileno(), self, READABLE)

    def on_events(self, events: int) -> None:
        """Accept what waits in the queue."""
        for _ in range(self._batch):
            try:
                client, peername = self._handle.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in DIED_BEFORE:
                    continue  # the client disconnected before it was accepted
                self._pause(error)
                return
            adopt_socket(self._poller, client, peername, self._is_unix, self._admit(), self._logger)

    def _pause(self, error: OSError) -> None:
        """The system has no resources: try again later."""
        self._logger.error("no more connections can be accepted for now: %s", error.strerror or error)
        self._poller.register(self._handle.fileno(), self, 0)
        self._retry = self._poller.loop.call_later(PAUSE_SECONDS, self._update_registration)

    def close(self) -> None:
        """Stop accepting."""
        if self._retry is not None:
            self._retry.cancel()
        if self._handle.fileno() >= 0:
            self._poller.register(self._handle.fileno(), self, 0)
            self._handle.close()


def adopt_socket(
    poller: Poller,
    client: socket.socket,
    peername: Any,
    is_unix: bool,
    protocol: asyncio.Protocol,
    logger: logging.Logger,
) -> None:
    """Serve a connection that was accepted. Raises nothing: others follow in the queue."""
    try:
        client.setblocking(False)
        if not is_unix:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        EpollTransport(poller, client, peername, protocol).start()
    except OSError:  # the client has disconnected
        client.close()
    except Exception as error:
        client.close()
        log_internal_error(logger, error)
