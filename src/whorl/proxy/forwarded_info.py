"""What trusted proxies say about a request, and the checks that X-Forwarded-* and Forwarded share."""

from __future__ import annotations

from dataclasses import dataclass

from whorl.http.error import HttpError
from whorl.http.grammar import check_host
from whorl.proxy.node import Node

__all__ = ["HIDDEN", "LONGEST_VALUE_BYTES", "MOST_HOPS", "ForwardedInfo", "is_hidden", "read_host", "read_scheme"]

# A longer list of hops is malformed; more hops are not read.
LONGEST_VALUE_BYTES = 4096
MOST_HOPS = 32

# A WebSocket is opened by an HTTP request; the scope's type tells which it is.
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

HIDDEN = "unknown"


@dataclass(slots=True)
class ForwardedInfo:
    """What trusted proxies say. What they do not say keeps its default.

    Attributes:
        client: the client's address and port.
        scheme: "http" or "https", between the client and the outermost trusted proxy.
        host: the value of the Host that the client sent there.
        port: the port that it connected to there.
        prefix: the path that was removed from the target; "" for none.
        malformed: how many values were ignored as malformed.
    """

    client: Node | None = None
    scheme: str = ""
    host: bytes = b""
    port: int = 0
    prefix: str | None = None
    malformed: int = 0


def is_hidden(text: str) -> bool:
    """Return whether a hop is hidden on purpose: `unknown`, or an obfuscated identifier (RFC 7239 section 6.3)."""
    return text.lower() == HIDDEN or text[:1] == "_"


def read_scheme(text: str) -> str:
    """Return the scheme that this means; "" for one that is not served."""
    return SCHEMES.get(text.lower(), "")


def read_host(value: bytes) -> bytes:
    """Return the value if it is a valid Host (RFC 9110 section 7.2), else nothing."""
    try:
        check_host(value)
    except HttpError:
        return b""
    return value
