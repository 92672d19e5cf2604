"""The hosts that a server serves: the setting `allowed_hosts` (RFC 9110 section 7.4).

    example.org      that host
    *.example.org    everything below that host, but not the host itself
    ::1              an address

The port, upper and lower case, and a dot at the end of a name are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from whorl.proxy.trusted_peers import read_address

__all__ = ["HostList", "split_host"]

MAX_CACHED_HOSTS = 1024
# A name in DNS has 253 bytes; a dot at its end and a port make 260. A Host may have 64 KiB, and the cache held 60 MB of
# those.
MAX_CACHED_HOST_BYTES = 260


class HostList:
    """A list of hosts.

    Args:
        patterns: as above, in lower case.
    """

    __slots__ = ("_exact", "_known", "_suffixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        names = [pattern.lower() for pattern in patterns]
        self._exact = {normalize_host(name) for name in names if not name.startswith("*.")}
        self._suffixes = tuple(name[1:].rstrip(".") for name in names if name.startswith("*."))
        self._known: dict[bytes, bool] = {}

    def admits(self, host: bytes) -> bool:
        """Return whether a host is in the list.

        Args:
            host: a valid value of the field Host; empty for none.
        """
        known = self._known.get(host)
        if known is None:
            name = name_of(host)
            # A leading dot would be an empty label: ".example.org" is below nothing.
            known = name in self._exact or (name.endswith(self._suffixes) and name[:1] != ".")
            if len(host) <= MAX_CACHED_HOST_BYTES:
                if len(self._known) >= MAX_CACHED_HOSTS:
                    self._known.clear()
                self._known[host] = known
        return known


def split_host(host: bytes) -> tuple[bytes, bytes]:
    """Split a valid Host into its name or address (IPv6 with brackets) and its port, empty for none."""
    literal, bracket, rest = host.rpartition(b"]")
    name, _, port = rest.partition(b":")
    return literal + bracket + name, port


def name_of(host: bytes) -> str:
    """Return the normalized name or address in a Host, without its port."""
    return normalize_host(split_host(host)[0].decode("latin-1").lower().strip("[]"))


def normalize_host(name: str) -> str:
    """Return one spelling for one host."""
    address = read_address(name) if ":" in name else None
    return str(address) if address is not None else name.removesuffix(".")
