"""The PROXY protocol in front of a connection: to the loop it is a protocol, and it passes on what comes behind the
preamble to the connection, or to the TLS below that.

The connection is there from the beginning, waits in its first phase, and so has its deadline in the server's sweep: the
whole preamble has to come within `timeout_first_byte`, or with TLS within `timeout_tls_handshake`.
"""

from __future__ import annotations

import asyncio

from whorl.asgi.forwarded import EXTENSION
from whorl.asgi.scope import ConnectionInfo
from whorl.connection.http1 import Http1Connection
from whorl.connection.http1_state import ENDING
from whorl.proxy.proxy_protocol import MalformedProxyHeader, NoPreamble, ProxyHeader, read_preamble

__all__ = ["ProxyProtocolReader"]


class ProxyProtocolReader(asyncio.Protocol):
    """Reads the preamble of one connection.

    Args:
        inner: who gets what comes behind it: the connection, or its TLS.
        connection: whose peer it tells.
        required: whether a connection without one is closed.
    """

    __slots__ = ("_connection", "_inner", "_octets", "_required", "_waits")

    def __init__(self, inner: asyncio.Protocol, connection: Http1Connection, required: bool) -> None:
        self._inner = inner
        self._connection = connection
        self._required = required
        self._octets = b""
        self._waits = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)
        connection = self._connection
        if not connection.policy.trusts(connection.peer):
            self._waits = False
            if self._required:
                self._close("its address is not one of forwarded_allow_ips")

    def data_received(self, data: bytes) -> None:
        if not self._waits:
            self._inner.data_received(data)
            return
        if self._connection.phase in ENDING:
            return
        octets = self._octets + data
        try:
            introduction = read_preamble(octets)
        except NoPreamble:
            if self._required:
                self._close("it sent no preamble of the PROXY protocol")
                return
            self._pass_on(octets)
        except MalformedProxyHeader as error:
            self._connection.policy.malformed_counts.preambles += 1
            self._close(f"its preamble is malformed: {error}")
        else:
            if introduction is None:
                self._octets = octets
                return
            self._introduce(introduction)
            self._pass_on(octets[introduction.length_bytes :])

    def _introduce(self, introduction: ProxyHeader) -> None:
        connection = self._connection
        peer = connection.peer
        told = {"peer": peer.client, "protocol": introduction.version, **introduction.facts}
        if introduction.source is None:
            client, server = peer.client, peer.server
        else:
            client, server = introduction.source, introduction.destination
        scheme = "https" if introduction.over_tls else peer.scheme
        seen = ConnectionInfo(client, server, scheme, extensions={EXTENSION: told})
        connection.peer = connection.client = connection.policy.mark_inspected(seen)

    def _pass_on(self, octets: bytes) -> None:
        self._waits = False
        self._octets = b""
        self._connection.restart_deadline()
        if octets:
            self._inner.data_received(octets)

    def _close(self, reason: str) -> None:
        connection = self._connection
        self._octets = b""
        connection.context.app_context.logger.debug("%s was closed: %s", connection.peer.client_label, reason)
        connection.close()

    def eof_received(self) -> bool | None:
        if self._waits:
            self._connection.close()
            return True
        return self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
