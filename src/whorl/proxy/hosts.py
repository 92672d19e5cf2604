"""The hosts that a server answers for: the setting `allowed_hosts` (RFC 9110 section 7.4).

    example.org      that host
    *.example.org    everything below it, but not itself
    ::1              an address

A port is not compared, nor is upper and lower case, nor the dot at the end of a full name.
"""

from __future__ import annotations

from collections.abc import Iterable

from whorl.proxy.trusted_peers import read_address

__all__ = ["HostList", "split_host"]

REMEMBERED_HOSTS = 1024
# A name in DNS has 253 bytes; a dot at its end and a port make 260. A Host may have 64 KiB, and the cache held 60 MB of
# those.
MAX_CACHED_HOST_BYTES = 260


class HostList:
    """Some hosts.

    Args:
        patterns: as above, in lower case.
    """

    __slots__ = ("_exact", "_known", "_suffixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        names = [pattern.lower() for pattern in patterns]
        self._exact = {normal(name) for name in names if not name.startswith("*.")}
        self._suffixes = tuple(name[1:].rstrip(".") for name in names if name.startswith("*."))
        self._known: dict[bytes, bool] = {}

    def admits(self, host: bytes) -> bool:
        """Whether a host is one of these.

        Args:
            host: a valid value of the field Host; empty for none.
        """
        known = self._known.get(host)
        if known is None:
            name = name_of(host)
            # A leading dot would be an empty label: ".example.org" is below nothing.
            known = name in self._exact or (name.endswith(self._suffixes) and name[:1] != ".")
            if len(host) <= MAX_CACHED_HOST_BYTES:
                if len(self._known) >= REMEMBERED_HOSTS:
                    self._known.clear()
                self._known[host] = known
        return known


def split_host(host: bytes) -> tuple[bytes, bytes]:
    """The name or address in a valid Host, an IPv6 address with its brackets, and its port, empty for none."""
    literal, bracket, rest = host.rpartition(b"]")
    name, _, port = rest.partition(b":")
    return literal + bracket + name, port


def name_of(host: bytes) -> str:
    """The name or address in a Host, without its port, in one spelling."""
    return normal(split_host(host)[0].decode("latin-1").lower().strip("[]"))


def normal(name: str) -> str:
    """One spelling for one host."""
    address = read_address(name) if ":" in name else None
    return str(address) if address is not None else name.removesuffix(".")
