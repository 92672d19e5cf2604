"""What holds for all clients of one listening socket: the proxies that are trusted, and the hosts that are served."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from whorl.asgi.forwarded import apply_forwarded
from whorl.asgi.scope import ConnectionInfo
from whorl.http.error import HttpError
from whorl.http.request import FORWARDED, UPGRADE_DROPPED, Request
from whorl.proxy.headers import ProxyHeaders
from whorl.proxy.hosts import HostList
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers

__all__ = ["ListenerPolicy", "require_host"]


@dataclass(frozen=True, slots=True)
class ListenerPolicy:
    """The rules of one listening socket.

    Attributes:
        trust: the peers that may speak for other clients.
        malformed_counts: counts the fields and headers of proxies that cannot be read.
        headers: reads the fields of a trusted proxy; None if they are not used.
        hosts: the hosts that are served; None for all.
        address: the TCP address of all connections; None if each has its own.
        scheme: "https" with TLS.
    """

    trust: TrustedPeers
    malformed_counts: MalformedCounts
    headers: ProxyHeaders | None = None
    hosts: HostList | None = None
    address: tuple[str, int] | None = None
    scheme: str = "http"

    def peer_of(self, transport: asyncio.BaseTransport) -> ConnectionInfo:
        """Return the two ends of a new connection."""
        ours = self.address
        client = transport.get_extra_info("peername")
        if ours is None:
            server = transport.get_extra_info("sockname")
            if not isinstance(server, tuple):
                path = server.decode("utf-8", "surrogateescape") if isinstance(server, bytes) else server
                return self.mark_inspected(ConnectionInfo(None, (path, None) if path else None, self.scheme))
            ours = (str(server[0]), int(server[1]))
        peer = (str(client[0]), int(client[1])) if isinstance(client, tuple) else None
        return self.mark_inspected(ConnectionInfo(peer, ours, self.scheme))

    def mark_inspected(self, peer: ConnectionInfo) -> ConnectionInfo:
        """Mark a peer whose requests have to be inspected, and return it."""
        peer.needs_inspection = peer.needs_inspection or self.hosts is not None
        return peer

    def trusts(self, peer: ConnectionInfo) -> bool:
        """Return whether the peer may speak for other clients."""
        return self.trust.unix if peer.client is None else self.trust.contains_peer(peer.client[0])

    def resolve_client(self, request: Request, peer: ConnectionInfo) -> ConnectionInfo:
        """Return the client of a request: the peer, or the one that a trusted proxy names.

        Args:
            request: its Host may be replaced.
            peer: of the connection. Once it has spoken for another client, each of its requests is inspected.
        """
        if request.flags & UPGRADE_DROPPED:
            self.malformed_counts.handshakes += 1
        if not request.flags & FORWARDED or self.headers is None:
            return peer
        if peer.trusted is None:
            peer.trusted = self.trusts(peer)
        if not peer.trusted:
            return peer
        peer.needs_inspection = True
        return apply_forwarded(self.headers.read(request.fields), request, peer)

    def check_host(self, request: Request) -> None:
        """Refuse a request for a host that is not served.

        Raises:
            HttpError: 400.
        """
        if self.hosts is not None:
            require_host(request, self.hosts)


def require_host(request: Request, hosts: HostList) -> bytes:
    """Return the Host of a request.

    Raises:
        HttpError: 400, it is not in the list.
    """
    host = next((value for name, value in request.fields if name == b"host"), b"")
    if not hosts.admits(host):
        raise HttpError(400, "This server has no such host (RFC 9110 section 7.4).")
    return host
