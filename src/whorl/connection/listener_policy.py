"""What holds for everybody who comes in by one listening socket: whom to believe, and which hosts are served.

A connection asks once, when it is made, who its peer is (`welcome`); and for a request that is more than its head and
the peer tell, whom it comes from (`look`) and whether its host is served (`check`). All others pass by. Made once
by `server`. It must not know how octets are read or written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from whorl.asgi.forwarded import believe
from whorl.asgi.scope import PeerFacts
from whorl.connection.peer import peer_facts
from whorl.http.error import Refusal
from whorl.proxy.headers import ProxyHeaders
from whorl.proxy.hosts import HostList
from whorl.proxy.tally import Tally
from whorl.proxy.trust import Trust
from whorl.wire.http1.head import SAYS_PROXIED, SAYS_UPGRADE_LOST, RequestHead

__all__ = ["Entrance", "require_host"]


@dataclass(frozen=True, slots=True)
class Entrance:
    """The rules of one way in.

    Attributes:
        trust: whose word counts.
        tally: where it is counted what nobody can read of it.
        headers: reads what a trusted peer says of its client; None where that is not wanted.
        hosts: the hosts that are served; None for all.
        address: the TCP address of all who come in; None where each connection is to tell.
        scheme: "https" where there is TLS.
    """

    trust: Trust
    tally: Tally
    headers: ProxyHeaders | None = None
    hosts: HostList | None = None
    address: tuple[str, int] | None = None
    scheme: str = "http"

    def welcome(self, transport: asyncio.BaseTransport) -> PeerFacts:
        """Who is at the other end of a new connection."""
        return self.judge(peer_facts(transport, self.address, self.scheme))

    def judge(self, peer: PeerFacts) -> PeerFacts:
        """Decide whether there is more to each request of a peer than its head tells."""
        peer.special = peer.special or self.hosts is not None
        return peer

    def trusts(self, peer: PeerFacts) -> bool:
        """Whether the peer's word counts."""
        return self.trust.unix if peer.client is None else self.trust.admits_peer(peer.client[0])

    def look(self, head: RequestHead, peer: PeerFacts) -> PeerFacts:
        """Whom a request comes from.

        Args:
            head: the request's head; its Host may be replaced.
            peer: of the connection. If it speaks for others once, each of its requests is looked at from then on.
        """
        if head.says & SAYS_UPGRADE_LOST:
            self.tally.handshakes += 1
        if not head.says & SAYS_PROXIED or self.headers is None:
            return peer
        if peer.trusted is None:
            peer.trusted = self.trusts(peer)
        if not peer.trusted:
            return peer
        peer.special = True
        return believe(self.headers.read(head.fields), head, peer)

    def check(self, head: RequestHead) -> None:
        """Refuse a request for a host that is not served here.

        Raises:
            Refusal: 400.
        """
        if self.hosts is not None:
            require_host(head, self.hosts)


def require_host(head: RequestHead, hosts: HostList) -> bytes:
    """The Host of a request.

    Raises:
        Refusal: 400, where it is none of these.
    """
    host = next((value for name, value in head.fields if name == b"host"), b"")
    if not hosts.admits(host):
        raise Refusal(400, "This server has no such host (RFC 9110 section 7.4).")
    return host
