"""The peers that may speak for a client: the setting `forwarded_allow_ips`.

A list of addresses and networks, `unix` for clients of a Unix socket, `*` for all. IPv4 addresses that an IPv6 socket
maps (RFC 4291 section 2.5.5.2) count as IPv4.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["ANY", "UNIX", "Address", "TrustedPeers", "read_address"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ANY = "*"
UNIX = "unix"

# IPv4 addresses are mapped into ::ffff:0:0/96.
MAPPED_BITS = 96

MAX_CACHED_ADDRESSES = 1024
# An IPv6 address with the name of an interface as its zone has 61 characters.
MAX_CACHED_ADDRESS_CHARACTERS = 64


def read_address(text: str) -> Address | None:
    """Parse an IP address without port and brackets. A zone (RFC 6874) is dropped. Returns None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class TrustedPeers:
    """The trusted peers.

    Args:
        words: addresses, networks, `unix`, `*`.

    Attributes:
        any: whether all peers are trusted.
        unix: whether clients of a Unix socket are.

    Raises:
        ValueError: a word is none of these.
    """

    __slots__ = ("_addresses", "_known", "_networks", "any", "unix")

    def __init__(self, words: Iterable[str]) -> None:
        listed = set(words)
        self.any = ANY in listed
        self.unix = self.any or UNIX in listed
        networks = [unmapped(ip_network(word)) for word in listed - {ANY, UNIX}]
        self._addresses = {network.network_address for network in networks if network.num_addresses == 1}
        self._networks = [network for network in networks if network.num_addresses > 1]
        self._known: dict[str, bool] = {}

    def contains(self, address: Address) -> bool:
        """Return whether an address is trusted."""
        if self.any or address in self._addresses:
            return True
        return any(address in network for network in self._networks)

    def contains_peer(self, host: str) -> bool:
        """Return the same for the text of a socket's peer address. The answers are cached."""
        known = self._known.get(host)
        if known is None:
            address = read_address(host)
            known = self.any or (address is not None and self.contains(address))
            if len(host) <= MAX_CACHED_ADDRESS_CHARACTERS:
                if len(self._known) >= MAX_CACHED_ADDRESSES:
                    self._known.clear()
                self._known[host] = known
        return known


def unmapped(network: Network) -> Network:
    """Return the IPv4 network that a network of mapped addresses stands for."""
    if isinstance(network, IPv6Network) and network.prefixlen >= MAPPED_BITS:
        first = network.network_address.ipv4_mapped
        if first is not None:
            return IPv4Network((first, network.prefixlen - MAPPED_BITS))
    return network
