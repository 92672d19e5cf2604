"""What becomes of whoever comes in by a listening socket: the rules that hold there, and what makes the connection.

Most sockets have one set of rules. Those whose clients are sent on to TLS have each their own (`redirect_http`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from whorl.config import Config
from whorl.connection.buffered import BufferedConnection, BufferedProxyProtocolReader, BufferedTlsTransport
from whorl.connection.context import ServerContext
from whorl.connection.http1 import Http1Connection
from whorl.connection.listener_policy import ListenerPolicy
from whorl.connection.proxy_protocol import ProxyProtocolReader
from whorl.connection.redirect import CertificateHosts, HttpsRedirectPolicy
from whorl.connection.tls_transport import TlsTransport
from whorl.connection.windows import WindowsConnection
from whorl.errors import StartError
from whorl.loops import Feature, LoopInfo
from whorl.proxy.headers import ProxyHeaders, ProxyHeadersMode
from whorl.proxy.hosts import HostList
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers
from whorl.server.listen import ListenSocket
from whorl.tls.certificates import Certificates

__all__ = ["ConnectionFactory", "require_hosts", "url_of"]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What connections are made of.

    Attributes:
        connection: of plain HTTP.
        under_tls: above TLS.
        tls: that TLS.
        introduced: what reads the preamble of the PROXY protocol before either.
    """

    connection: type[Http1Connection] = Http1Connection
    under_tls: type[Http1Connection] = Http1Connection
    tls: type[TlsTransport] = TlsTransport
    introduced: type[ProxyProtocolReader] = ProxyProtocolReader


USUAL = Kinds()
BUFFERED = Kinds(BufferedConnection, Http1Connection, BufferedTlsTransport, BufferedProxyProtocolReader)
ON_WINDOWS = Kinds(WindowsConnection, WindowsConnection)


class ConnectionFactory:
    """All ways into a server.

    Args:
        made: the loop, and what it can do.
        context: what all connections share.
        config: what the user asked for.
        certificates: the server's, None where it speaks plain HTTP.

    Attributes:
        tally: of what proxies said and nobody can read.
    """

    __slots__ = ("_certificates", "_config", "_context", "_headers", "_hosts", "_kinds", "_ours", "_trust", "tally")

    def __init__(
        self, made: LoopInfo, context: ServerContext, config: Config, certificates: Certificates | None
    ) -> None:
        believed = ProxyHeadersMode(config.proxy_headers)
        self._config = config
        self._context = context
        self._certificates = certificates
        self._kinds = kinds_for(made)
        self._trust = TrustedPeers(config.forwarded_allow_ips)
        self.tally = MalformedCounts()
        self._headers = None if believed is ProxyHeadersMode.OFF else ProxyHeaders(believed, self._trust, self.tally)
        self._hosts = hosts = HostList(config.allowed_hosts) if config.allowed_hosts else None
        self._ours: Callable[[], HostList] | None = None
        if hosts is not None:
            self._ours = lambda: hosts
        elif certificates is not None:
            self._ours = CertificateHosts(certificates)

    def connector(self, bound: ListenSocket) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of a new connection to a socket."""
        context = self._context
        certificates = self._certificates if bound.leads_to is None else None
        policy = self._policy(bound)
        proxy_protocol = self._config.proxy_protocol
        kinds = self._kinds

        def introduced() -> asyncio.Protocol:
            kind = kinds.connection if certificates is None else kinds.under_tls
            connection = kind(context, policy)
            inner = connection if certificates is None else kinds.tls(connection, certificates)
            return kinds.introduced(inner, connection, proxy_protocol == "require")

        if proxy_protocol != "off":
            return introduced
        if certificates is None:
            return lambda: kinds.connection(context, policy)
        return lambda: kinds.tls(kinds.under_tls(context, policy), certificates)

    def _policy(self, bound: ListenSocket) -> ListenerPolicy:
        scheme = "https" if self._certificates is not None and bound.leads_to is None else "http"
        rules = (self._trust, self.tally, self._headers, self._hosts, bound.address, scheme)
        if bound.leads_to is None or self._ours is None:
            return ListenerPolicy(*rules)
        return HttpsRedirectPolicy(*rules, self._ours, bound.port, bound.leads_to)


def kinds_for(made: LoopInfo) -> Kinds:
    """Those that make up for what a loop, or the system below it, does differently."""
    if made.platform.is_windows:
        return ON_WINDOWS
    return USUAL if made.can(Feature.PROMPT_PAUSE) else BUFFERED


def require_hosts(config: Config, certificates: Certificates) -> None:
    """Raise StartError where clients are to be redirected and nobody knows to which hosts."""
    if config.redirect_http is not None and not config.allowed_hosts and not certificates.contexts.names:
        raise StartError("redirect_http leads to no host, because no certificate names one: give allowed_hosts")


def url_of(bound: ListenSocket, speaks_tls: bool) -> str:
    """Where clients find a socket, for a line of the log."""
    if bound.leads_to is not None:
        return f"{bound.url} (redirects)"
    return bound.url.replace("http://", "https://", 1) if speaks_tls else bound.url
