"""One hop as proxies write it: an address, with or without a port, or a word that hides it (RFC 7239 section 6).

    192.0.2.1   192.0.2.1:4711   2001:db8::1   [2001:db8::1]:4711   unknown   _hidden

X-Forwarded-For has no grammar of its own; what is found in it is this, and an IPv6 address without brackets, which
Forwarded must not have.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from whorl.proxy.trusted_peers import Address, read_address

__all__ = ["Node", "read_node"]

# node = nodename [ ":" node-port ]; node-port = 1*5DIGIT / obfport. A bare IPv6 address is the last branch.
NODE = re.compile(
    r"""(?: \[ (?P<literal> [0-9A-Fa-f:.]{2,45} ) \]
          | (?P<dotted> [0-9.]{7,15} ) )
        (?: : (?: (?P<port> [0-9]{1,5} ) | _[0-9A-Za-z._-]+ ) )?
        | (?P<bare> [0-9A-Fa-f:.]{2,45} )""",
    re.VERBOSE | re.ASCII,
)
LONGEST = 128


class Node(NamedTuple):
    """An address and a port; 0 for a port that was not told."""

    address: Address
    port: int


def read_node(text: str, *, bare: bool) -> Node | None:
    """Read a hop.

    Args:
        text: as it was written, without white space and quotes around it.
        bare: whether an IPv6 address may stand without brackets.

    Returns:
        The address and port, or None for what is no address: a hidden or unknown hop, a name, or nonsense.
    """
    match = NODE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None or (match["bare"] is not None and not bare):
        return None
    address = read_address(match["literal"] or match["dotted"] or match["bare"])
    if address is None or (match["literal"] is not None and ":" not in match["literal"]):
        return None
    port = int(match["port"] or 0)
    return Node(address, port) if port <= 65535 else None
