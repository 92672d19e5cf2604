"""Whose word counts: the peers that may speak for a client.

A list of addresses and networks, `unix` for whoever connects to our Unix socket, `*` for everybody. IPv4 addresses that
an IPv6 socket maps into its own (RFC 4291 section 2.5.5.2) are taken for what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["ANY", "UNIX", "Address", "TrustedPeers", "read_address"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ANY = "*"
UNIX = "unix"

# ::ffff:0:0/96 is where IPv6 has the addresses of IPv4.
MAPPED_BITS = 96

REMEMBERED_ADDRESSES = 1024
# An IPv6 address with the name of an interface as its zone has 61 characters.
MAX_CACHED_ADDRESS_CHARACTERS = 64


def read_address(text: str) -> Address | None:
    """An IP address as text, without port and brackets; a zone (RFC 6874) is dropped. None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class TrustedPeers:
    """The peers that are believed.

    Args:
        words: addresses, networks, `unix`, `*`.

    Attributes:
        everybody: whether all are, whoever they are.
        unix: whether those are who connect to our Unix socket.

    Raises:
        ValueError: for a word that is none of these.
    """

    __slots__ = ("_addresses", "_known", "_networks", "everybody", "unix")

    def __init__(self, words: Iterable[str]) -> None:
        listed = set(words)
        self.everybody = ANY in listed
        self.unix = self.everybody or UNIX in listed
        networks = [unmapped(ip_network(word)) for word in listed - {ANY, UNIX}]
        self._addresses = {network.network_address for network in networks if network.num_addresses == 1}
        self._networks = [network for network in networks if network.num_addresses > 1]
        self._known: dict[str, bool] = {}

    def admits(self, address: Address) -> bool:
        """Whether the word of this address counts."""
        if self.everybody or address in self._addresses:
            return True
        return any(address in network for network in self._networks)

    def admits_peer(self, host: str) -> bool:
        """The same for the text of an address that a socket told; answers are remembered, a bounded number."""
        known = self._known.get(host)
        if known is None:
            address = read_address(host)
            known = self.everybody or (address is not None and self.admits(address))
            if len(host) <= MAX_CACHED_ADDRESS_CHARACTERS:
                if len(self._known) >= REMEMBERED_ADDRESSES:
                    self._known.clear()
                self._known[host] = known
        return known


def unmapped(network: Network) -> Network:
    """A network of mapped IPv4 addresses, as the network of IPv4 that it is."""
    if isinstance(network, IPv6Network) and network.prefixlen >= MAPPED_BITS:
        first = network.network_address.ipv4_mapped
        if first is not None:
            return IPv4Network((first, network.prefixlen - MAPPED_BITS))
    return network
