"""The sockets whose clients are sent on to TLS (`redirect_http`): the same addresses as those that serve, another port.

Of sockets that somebody else made, those of that port are taken, and none is bound beside them: who hands sockets over
decides where clients come in.
"""

from __future__ import annotations

from collections.abc import Sequence

from whorl.errors import StartError
from whorl.server.listen.listen_socket import ListenSocket
from whorl.server.listen.tcp import bind_address, why_not

__all__ = ["bind_redirects"]


def bind_redirects(bounds: Sequence[ListenSocket], port: int) -> list[ListenSocket]:
    """Find the sockets that redirect among those that were handed over, or bind them.

    Args:
        bounds: the others; those that are found among them are marked.
        port: where they wait; 0 for a free one, the same for all addresses.

    Returns:
        What was bound.

    Raises:
        StartError: they cannot be had, or there is nowhere to lead to.
    """
    tcp = [bound for bound in bounds if not bound.is_unix]
    found = [bound for bound in tcp if bound.inherited and bound.port == port]
    serving = [bound for bound in tcp if bound not in found]
    if not serving:
        raise StartError("redirect_http leads to a TCP port that serves TLS, and there is none: leave it out")
    for bound in found:
        bound.leads_to = serving[0].port
    own = {bound.handle.getsockname()[0]: bound for bound in reversed(serving) if not bound.inherited}
    if not found and not own:
        raise StartError(f"none of the sockets that were handed over has port {port} (redirect_http): add one that has")
    made: list[ListenSocket] = []
    try:
        for bound in reversed(own.values()):
            made.append(beside(bound, port or (made[0].port if made else 0)))
    except StartError:
        for bound in made:
            bound.close()
        raise
    return made


def beside(bound: ListenSocket, port: int) -> ListenSocket:
    """Another port of the same address, which leads to this one."""
    host, leads_to, *more = bound.handle.getsockname()
    if port == leads_to:
        raise StartError(f"port {port} cannot serve TLS and redirect to it (redirect_http): give another port")
    try:
        made = bind_address(bound.handle.family, (host, port, *more), bound.is_dual_stack)
    except OSError as error:
        raise StartError(why_not(host, port, error)) from None
    made.leads_to = leads_to
    return made
