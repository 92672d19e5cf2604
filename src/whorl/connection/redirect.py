"""Redirects every request of a listening socket to TLS (RFC 9110 section 15.4.9): the setting `redirect_http`.

    GET /path?query with Host: example.org        308, Location: https://example.org/path?query

Only known hosts are redirected: those of `allowed_hosts`, or else those that the certificates name. So a forged Host in
a shared cache cannot send clients elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whorl.asgi.scope import ConnectionInfo
from whorl.connection.listener_policy import ListenerPolicy, require_host
from whorl.http.error import HttpError
from whorl.http.request import Request
from whorl.proxy.hosts import HostList, split_host
from whorl.tls.certificates import Certificates
from whorl.tls.contexts import Contexts

__all__ = ["CertificateHosts", "HttpsRedirectPolicy"]

# The ports that a URL leaves out.
HTTP_PORT, HTTPS_PORT = 80, 443


@dataclass(frozen=True, slots=True)
class HttpsRedirectPolicy(ListenerPolicy):
    """The rules of a listening socket that redirects.

    Attributes:
        allowed_hosts: returns the hosts that are redirected, for each request.
        port: the listening socket's.
        redirect_port: the port that serves TLS.
    """

    allowed_hosts: Callable[[], HostList] = lambda: HostList(())
    port: int = HTTP_PORT
    redirect_port: int = HTTPS_PORT

    def mark_inspected(self, peer: ConnectionInfo) -> ConnectionInfo:
        """Mark every peer."""
        peer.needs_inspection = True
        return peer

    def check_host(self, request: Request) -> None:
        """Redirect the request.

        Raises:
            HttpError: 308; or 400 for a host that is not known.
        """
        host = require_host(request, self.allowed_hosts())
        reason = "This is served over TLS, at the address in Location (RFC 9110 section 15.4.9)."
        raise HttpError(308, reason, [(b"location", self.location(host, request.target))])

    def location(self, host: bytes, target: bytes) -> bytes:
        """Return the URL of the same resource over TLS.

        Args:
            host: a valid Host.
            target: in origin-form; or `*`, the server as a whole (RFC 9112 section 3.2.4).
        """
        name, port = split_host(host)
        # If the client named another port than ours, ports are mapped in front of this server, and the port of TLS is
        # mapped too: only the default one can be meant.
        is_mapped = int(port or HTTP_PORT) != self.port
        ending = b"" if is_mapped or self.redirect_port == HTTPS_PORT else b":%d" % self.redirect_port
        return b"https://%b%b%b" % (name, ending, b"" if target == b"*" else target)


class CertificateHosts:
    """The hosts that the present certificates name.

    Args:
        certificates: the server's.
    """

    __slots__ = ("_certificates", "_contexts", "_hosts")

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._contexts: Contexts | None = None
        self._hosts = HostList(())

    def __call__(self) -> HostList:
        """Return the hosts. They change when certificates are renewed."""
        contexts = self._certificates.contexts
        if contexts is not self._contexts:
            self._contexts = contexts
            self._hosts = HostList(contexts.names)
        return self._hosts
