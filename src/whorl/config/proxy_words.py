"""Settings that name those in front: whom to believe, and under which hosts clients come.

`config` uses these kinds for its section `proxy`; see `kind` for what a kind is. A list is written with commas, or as
a list. What is read here is sound, but it is not looked up anywhere: a name that a resolver would have to explain is
refused, because it would mean something else tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final

from whorl.config.kind import Kind

__all__ = ["HostPatterns", "TrustedPeerList"]

WORDS_FOR_PEERS: Final = ("*", "unix")
LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
PATTERN: Final = re.compile(rf"(?:\*\.)?(?:{LABEL}\.)*{LABEL}\.?")
LONGEST_HOST: Final = 255


def words(raw: object) -> list[str] | None:
    """The members of a list, or of a text with commas; None for anything else."""
    if isinstance(raw, str):
        return [word for part in raw.split(",") if (word := part.strip())]
    if isinstance(raw, Iterable) and not isinstance(raw, (bytes, bytearray, dict)):
        members = list(raw)
        if all(isinstance(member, str) for member in members):
            return [word for member in members for part in member.split(",") if (word := part.strip())]
    return None


class TrustedPeerList(Kind[tuple[str, ...]]):
    """IP addresses and networks, `unix` for those who connect to our Unix socket, `*` for everybody; empty for
    nobody."""

    def read(self, raw: object) -> tuple[str, ...]:
        found = words(raw)
        if found is None:
            raise self.refusal(raw)
        return tuple(self.peer(word) for word in found)

    def peer(self, word: str) -> str:
        """One of them, checked."""
        if word.lower() in WORDS_FOR_PEERS:
            return word.lower()
        try:
            network = ip_network(word)
        except ValueError:
            raise ValueError(f"has {word!r}, {self.what_is_wrong(word)}") from None
        return str(network) if "/" in word else str(network.network_address)

    def what_is_wrong(self, word: str) -> str:
        """The rest of the sentence."""
        try:
            network = ip_network(word, strict=False)
        except ValueError:
            return "which is no IP address or network: write its address, unix for a Unix socket, or * for everybody"
        return f"which is an address inside a network: did you mean {network} or {word.partition('/')[0]}?"

    def accepts(self) -> str:
        return "IP addresses and networks with commas between, unix (a Unix socket), or * (everybody)"

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    @property
    def metavar(self) -> str:
        return "LIST"


class HostPatterns(Kind[tuple[str, ...]]):
    """Host names and addresses, `*.name` for all below a name, without ports; in lower case."""

    def read(self, raw: object) -> tuple[str, ...]:
        found = words(raw)
        if found is None:
            raise self.refusal(raw)
        return tuple(self.host(word) for word in found)

    def host(self, word: str) -> str:
        """One of them, checked."""
        host = word.lower()
        if ":" in host:
            try:
                return str(ip_address(host.removeprefix("[").removesuffix("]")))
            except ValueError:
                raise ValueError(f"has {word!r}: write the host without scheme and port") from None
        if host == "*":
            raise ValueError("has '*', which is every host: leave it out for that")
        if len(host) > LONGEST_HOST or not PATTERN.fullmatch(host):
            raise ValueError(f"has {word!r}, which is no host: write example.org, or *.example.org for all below it")
        return host

    def accepts(self) -> str:
        return "host names with commas between, *.name for all below a name"

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    @property
    def metavar(self) -> str:
        return "LIST"
