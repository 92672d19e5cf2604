"""From the configuration to bound sockets: TCP, Unix, inherited, or those of systemd.

A busy port or a path that somebody else uses is one line before the application is even imported.
"""

from __future__ import annotations

import os

from whorl.config import Config
from whorl.config.places import DescriptorPlace, Place, TcpPlace, UnixPlace
from whorl.errors import StartError
from whorl.server.listen.inherited import activated, inherit
from whorl.server.listen.listen_socket import ListenSocket
from whorl.server.listen.redirect import bind_redirects
from whorl.server.listen.tcp import bind_tcp
from whorl.server.listen.unix import bind_unix

__all__ = ["bind"]

NOTHING_ASKED = Config(None).places
"""What a configuration that does not say where comes to. Only then are systemd's sockets taken."""


def bind(config: Config) -> list[ListenSocket]:
    """Bind everything that the configuration asks for; if it asks for nothing, take what systemd has bound.

    Raises:
        StartError: a place cannot be had; nothing stays bound.
    """
    places: tuple[Place, ...] = config.places
    if places == NOTHING_ASKED:
        places = tuple(map(DescriptorPlace, activated(os.environ))) or places
    bounds: list[ListenSocket] = []
    try:
        for place in places:
            bounds += bind_place(place)
        if config.redirect_http is not None:
            bounds += bind_redirects(bounds, config.redirect_http)
    except StartError:
        for bound in bounds:
            bound.close()
        raise
    return bounds


def bind_place(place: Place) -> list[ListenSocket]:
    """Bind one place. A host name may stand for several addresses."""
    match place:
        case TcpPlace(host, port):
            return bind_tcp(host, port)
        case UnixPlace(path, mode):
            return [bind_unix(path, mode)]
        case DescriptorPlace(number):
            return [inherit(number)]
