"""The Forwarded field (RFC 7239).

    Forwarded: for=192.0.2.43, for="[2001:db8::17]:47011";proto=https;host=example.org

Each proxy appends an element: the address that connected to it (`for`), the scheme, and the Host it received. An
element is as trustworthy as the proxy that wrote it, which is the `for` of the element to its right. So the list is
parsed from the right, byte by byte: an open quote of a client must not swallow what a proxy appended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from whorl.http.request import Field
from whorl.proxy.forwarded_info import LONGEST_VALUE_BYTES, MOST_HOPS, ForwardedInfo, is_hidden, read_host, read_scheme
from whorl.proxy.node import read_node
from whorl.proxy.trusted_peers import TrustedPeers

__all__ = ["FORWARDED", "read_forwarded"]

FORWARDED = b"forwarded"

# forwarded-pair = token "=" ( token / quoted-string ) (RFC 7239 section 4). White space around the semicolon is not in
# its grammar, but in many servers' output, and has one meaning only. Colon and brackets are not in `token`, but are
# found unquoted as well; they are accepted for the same reason.
# Possessive: two runs of white space stand side by side where there is no pair, and backtracking would try every way to
# divide the white space between the two (4000 spaces took 0.16 s).
PAIR = re.compile(
    r"""[ \t]*+ (?: (?P<name> [!#$%&'*+.^_`|~0-9A-Za-z-]++ ) = (?:
            (?P<token> [!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]++ )
          | " (?P<quoted> QDTEXT*+ (?: \\[\t -\x7E\x80-\xFF] QDTEXT*+ )* ) "
        ) )? [ \t]*+ (?: ; | \Z )""".replace("QDTEXT", r"[\t \x21\x23-\x5B\x5D-\x7E\x80-\xFF]"),
    re.VERBOSE,
)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
BACKSLASH = 0x5C


class Malformed(Exception):
    """The element is malformed. What stands to its left is not read."""


def read_forwarded(fields: Iterable[Field], trust: TrustedPeers, *, with_host: bool) -> ForwardedInfo:
    """Parse the Forwarded fields of a trusted peer.

    Args:
        fields: those of the request.
        trust: the trusted peers.
        with_host: whether to use the host too.
    """
    value = b",".join(value for name, value in fields if name == FORWARDED)
    facts = ForwardedInfo()
    if len(value) > LONGEST_VALUE_BYTES:
        facts.malformed += 1
        return facts
    hops = 0
    try:
        for text in elements(value):
            element = read_element(text)
            if element is None:
                continue
            hops += 1
            # A trusted proxy wrote this element, and it is about an earlier hop than the previous ones.
            take_leg(element, facts, with_host)
            if not goes_on(element.get("for", ""), trust, facts) or hops == MOST_HOPS:
                break
    except Malformed:
        facts.malformed += 1
    return facts


def take_leg(element: dict[str, str], facts: ForwardedInfo, with_host: bool) -> None:
    """Apply scheme and host of an element. What it does not name is unknown."""
    proto, host = element.get("proto", ""), element.get("host", "")
    facts.scheme = read_scheme(proto)
    facts.malformed += bool(proto) and not facts.scheme
    if with_host:
        facts.host = read_host(host.encode("latin-1")) if host else b""
        facts.malformed += bool(host) and not facts.host


def goes_on(node_text: str, trust: TrustedPeers, facts: ForwardedInfo) -> bool:
    """Apply the address of a hop. Returns whether that hop is trusted too."""
    node = read_node(node_text, bare=False)
    if node is None:
        facts.malformed += bool(node_text) and not is_hidden(node_text)
        return False
    facts.client = node
    return trust.contains(node.address)


def elements(value: bytes) -> Iterator[str]:
    """Yield the elements of the list, from the right.

    Raises:
        Malformed: a closing quote has no opening quote.
    """
    end = at = comma = quote = len(value)
    while end >= 0:
        # Both are found from where they were last found: each byte is searched once for either.
        if comma >= at:
            comma = value.rfind(b",", 0, at)
        if quote >= at:
            quote = value.rfind(b'"', 0, at)
        if comma >= quote:
            yield value[comma + 1 : end].decode("latin-1")
            end = at = comma
        else:
            at = quote = opening_quote(value, quote)


def opening_quote(value: bytes, closing: int) -> int:
    """Return where the quoted-string begins that ends with this quote. A quote after an odd number of backslashes is
    part of it."""
    at = closing
    while (at := value.rfind(b'"', 0, at)) >= 0:
        start = at
        while start > 0 and value[start - 1] == BACKSLASH:
            start -= 1
        if (at - start) % 2 == 0:
            return at
    raise Malformed


def read_element(text: str) -> dict[str, str] | None:
    """Parse the pairs of one element, names in lower case. Returns None if it is empty.

    Raises:
        Malformed: it is not an element, or has a name twice (RFC 7239 section 4).
    """
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = PAIR.match(text, at)
        if match is None or match.end() == at:
            raise Malformed
        at = match.end()
        name, token, quoted = match.group("name", "token", "quoted")
        if name is None:
            continue
        if name.lower() in pairs:
            raise Malformed
        pairs[name.lower()] = token if token is not None else ESCAPED.sub(r"\1", quoted)
    return pairs or None
