"""What a proxy said of the request it passed on, after everything that is not to be believed was left out.

The small checks that both need stand here too.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.http.error import HttpError
from whorl.http.grammar import check_host
from whorl.proxy.node import Node

__all__ = ["HIDDEN", "LONGEST_VALUE_BYTES", "MOST_HOPS", "ForwardedInfo", "is_hidden", "read_host", "read_scheme"]

# Beyond these a list of hops is no list but work for us: it is malformed, or read no further.
LONGEST_VALUE_BYTES = 4096
MOST_HOPS = 32

# A WebSocket is opened by an HTTP request; which of the two a scope is, it says itself.
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

HIDDEN = "unknown"


@dataclass(slots=True)
class ForwardedInfo:
    """What is believed. Whatever was not told, or cannot be believed, is left as it is here.

    Attributes:
        client: the client's address and port.
        scheme: "http" or "https", as the client spoke to the outermost trusted proxy.
        host: the value of the Host that the client sent there.
        port: the port that it connected to there.
        prefix: the path that was taken off the target's front; "" for none.
        malformed: how many values were ignored because nobody can read them.
    """

    client: Node | None = None
    scheme: str = ""
    host: bytes = b""
    port: int = 0
    prefix: str | None = None
    malformed: int = 0


def is_hidden(text: str) -> bool:
    """Whether a hop is not told on purpose: `unknown`, or an obfuscated identifier (RFC 7239 section 6.3)."""
    return text.lower() == HIDDEN or text[:1] == "_"


def read_scheme(text: str) -> str:
    """The scheme that this says, "" for none that is served here."""
    return SCHEMES.get(text.lower(), "")


def read_host(value: bytes) -> bytes:
    """The value if it is a valid Host (RFC 9110 section 7.2), else nothing."""
    try:
        check_host(value)
    except HttpError:
        return b""
    return value
