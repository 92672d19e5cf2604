"""The X-Forwarded-* fields. They have no standard; this is what proxies send.

    X-Forwarded-For: client, proxy, proxy     each proxy appends the address that connected to it
    X-Forwarded-Proto: https                  and -Host, -Port, -Prefix: set by one, or appended by each

Lines of one name are one list (RFC 9110 section 5.3). X-Forwarded-For is read from the right, as far as the hops are
trusted. Of another list of the same length, the value beside the client's address is used; else the rightmost, which
the nearest proxy wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from whorl.http.request import Field
from whorl.proxy.forwarded_info import LONGEST_VALUE_BYTES, MOST_HOPS, ForwardedInfo, is_hidden, read_host, read_scheme
from whorl.proxy.node import read_node
from whorl.proxy.trusted_peers import TrustedPeers

__all__ = ["FOR", "HOST", "PORT", "PREFIX", "PROTO", "read_x_forwarded"]

FOR, PROTO, HOST, PORT, PREFIX = (b"x-forwarded-" + part for part in (b"for", b"proto", b"host", b"port", b"prefix"))

# An absolute path of plain segments. One that begins with "//" would make the application redirect to another host.
PREFIX_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+;=:@-]++)+/?|/", re.ASCII)
PREFIX_CHARACTERS = 256


def read_x_forwarded(fields: Iterable[Field], trust: TrustedPeers, names: Collection[bytes]) -> ForwardedInfo:
    """Parse the X-Forwarded-* fields of a trusted peer.

    Args:
        fields: those of the request.
        trust: the trusted peers.
        names: which of these fields to use.
    """
    lists: dict[bytes, list[str]] = {}
    facts = ForwardedInfo()
    for name, value in fields:
        if name in names:
            lists.setdefault(name, []).extend(members(value, facts, with_empty=name == FOR))
    hops = lists.get(FOR, [])
    place = find_client(hops, trust, facts)

    def beside_client(name: bytes) -> str:
        values = lists.get(name)
        if not values:
            return ""
        return values[place] if place and len(values) == len(hops) else values[-1]

    if proto := beside_client(PROTO):
        facts.scheme = read_scheme(proto)
        facts.malformed += not facts.scheme
    if host := beside_client(HOST):
        facts.host = read_host(host.encode("latin-1"))
        facts.malformed += not facts.host
    if port := beside_client(PORT):
        facts.port = read_port(port)
        facts.malformed += not facts.port
    if prefix := beside_client(PREFIX):
        facts.prefix = read_prefix(prefix)
        facts.malformed += facts.prefix is None
    return facts


def members(value: bytes, facts: ForwardedInfo, with_empty: bool) -> list[str]:
    """Return the members of a list.

    Args:
        value: of one line; if it is too long, it counts as empty.
        facts: counts what is malformed.
        with_empty: whether to keep empty members, which a list may have (RFC 9110 section 5.6.1). Among hops they
            matter: a proxy that appends nothing vouches for nothing to its left.
    """
    if len(value) > LONGEST_VALUE_BYTES:
        facts.malformed += 1
        value = b""
    texts = (member.strip(" \t") for member in value.decode("latin-1").split(","))
    return [text for text in texts if text or with_empty]


def find_client(hops: list[str], trust: TrustedPeers, facts: ForwardedInfo) -> int:
    """Find the client among the hops: the rightmost that is not trusted, or the leftmost if all are trusted.

    Args:
        hops: as they were written.
        trust: the trusted peers.
        facts: gets the client's address.

    Returns:
        Its place, from the right: -1 is the last; 0 for none.
    """
    for place in range(-1, -min(len(hops), MOST_HOPS) - 1, -1):
        text = hops[place]
        node = read_node(text, bare=True)
        if node is None:
            # A trusted proxy wrote this, and hides the address. Nothing vouches for what is further left.
            facts.malformed += bool(text) and not is_hidden(text)
            return place + 1
        facts.client = node
        if not trust.contains(node.address):
            return place
    return -min(len(hops), MOST_HOPS)


def read_port(text: str) -> int:
    """Parse a port; 0 if it is malformed."""
    valid = text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535
    return int(text) if valid else 0


def read_prefix(text: str) -> str | None:
    """Parse a path, without a slash at its end. Returns None if it is malformed or has dot segments."""
    if len(text) > PREFIX_CHARACTERS or not PREFIX_PATH.fullmatch(text):
        return None
    path = text.rstrip("/")
    return None if {".", ".."} & set(path.split("/")) else path
