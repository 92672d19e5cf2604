"""The way in where nobody is served: every request is answered with a redirect to TLS (RFC 9110 section 15.4.9).

    GET /path?query with Host: example.org        308, Location: https://example.org/path?query

It leads to hosts of ours only: those of `allowed_hosts`, or else those that our certificates name at that moment. So
nobody is led astray by a Host that a cache or a careless client has been given; another one is 400, as it is where
requests are served. Made by `server` for `redirect_http`. It must not know sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whorl.asgi.scope import PeerFacts
from whorl.connection.listener_policy import Entrance, require_host
from whorl.http.error import Refusal
from whorl.proxy.hosts import HostList, split_host
from whorl.tls.certificates import Certificates
from whorl.tls.contexts import Contexts
from whorl.wire.http1.head import RequestHead
from whorl.wire.http1.writer import encode_field

__all__ = ["CertifiedHosts", "Redirecting"]

HTTP_PORT, HTTPS_PORT = 80, 443
"""What stands for a port that a URL does not name."""


@dataclass(frozen=True, slots=True)
class Redirecting(Entrance):
    """The rules of one way in that leads to another.

    Attributes:
        ours: which hosts are led to, asked for each request.
        port: the one that these clients came to.
        leads_to: the port that serves TLS.
    """

    ours: Callable[[], HostList] = lambda: HostList(())
    port: int = HTTP_PORT
    leads_to: int = HTTPS_PORT

    def judge(self, peer: PeerFacts) -> PeerFacts:
        """Each request is looked at."""
        peer.special = True
        return peer

    def check(self, head: RequestHead) -> None:
        """Answer a request.

        Raises:
            Refusal: 308, or 400 for a host that is not ours.
        """
        host = require_host(head, self.ours())
        reason = "This is served over TLS, at the address in Location (RFC 9110 section 15.4.9)."
        raise Refusal(308, reason, encode_field(b"location", self.location(host, head.target)))

    def location(self, host: bytes, target: bytes) -> bytes:
        """Where the same is served over TLS.

        Args:
            host: a valid Host.
            target: in origin-form, or `*`, which stands for a server as a whole (RFC 9112 section 3.2.4).
        """
        name, port = split_host(host)
        # A client that came to another port than ours was led here by somebody who maps ports, and who maps the one of
        # TLS as well: to where, only the usual one can be meant.
        is_mapped = int(port or HTTP_PORT) != self.port
        ending = b"" if is_mapped or self.leads_to == HTTPS_PORT else b":%d" % self.leads_to
        return b"https://%b%b%b" % (name, ending, b"" if target == b"*" else target)


class CertifiedHosts:
    """The hosts that our certificates name, those of the moment.

    Args:
        certificates: the server's.
    """

    __slots__ = ("_certificates", "_contexts", "_hosts")

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._contexts: Contexts | None = None
        self._hosts = HostList(())

    def __call__(self) -> HostList:
        """The hosts; made anew when the certificates were renewed."""
        contexts = self._certificates.contexts
        if contexts is not self._contexts:
            self._contexts = contexts
            self._hosts = HostList(contexts.names)
        return self._hosts
