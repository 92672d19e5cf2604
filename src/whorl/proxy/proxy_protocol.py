"""The PROXY protocol, versions 1 and 2: what a proxy sends before the client's first byte
(HAProxy, doc/proxy-protocol.txt, section 2).

    PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 CRLF        version 1
    signature, 0x21, family, length, addresses, TLVs       version 2

`read_preamble` takes the bytes that have come so far, and gives an `ProxyHeader` once all of it is there. It stands
before TLS and before HTTP alike, and knows neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from whorl.proxy.trusted_peers import read_address

__all__ = ["LONGEST_BYTES", "MalformedProxyHeader", "NoPreamble", "ProxyHeader", "read_preamble"]

SIGNATURE_1 = b"PROXY "
SIGNATURE_2 = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_1_BYTES = 107
HEAD_2_BYTES = 16
# The length field allows 64 KiB. A client's certificate is the largest thing that comes in practice.
LONGEST_BYTES = 8 * 1024

LOCAL, PROXIED = 0, 1

# Family and transport (section 2.2): how long one address is, and whether ports follow. Datagrams do not come here.
FAMILIES = {0x11: (4, 2), 0x21: (16, 2), 0x31: (108, 0)}
UNSPECIFIED = 0x00

# Types of TLV (sections 2.2.1 to 2.2.7). The others are given to the application as they are.
CRC32C, NOOP, SSL = 0x03, 0x04, 0x20
NAMES = {0x01: "alpn", 0x02: "authority", 0x05: "unique_id"}
SSL_NAMES = {0x21: "tls_version", 0x22: "tls_client_name", 0x23: "tls_cipher", 0x28: "tls_client_certificate"}
SSL_HEAD_BYTES = 5
CLIENT_SSL = 0x01

Address = tuple[str, int]


class NoPreamble(Exception):
    """What came is something else."""


class MalformedProxyHeader(Exception):
    """What came is meant to be a preamble, and is none. The text says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of the connection that it passes on.

    Attributes:
        length_bytes: how long the preamble was.
        version: 1 or 2.
        source: who connected to the proxy; None where it speaks for itself (a health check), or does not know.
        destination: where to.
        over_tls: whether the client spoke TLS to the proxy.
        facts: what else was said, by the names that the application sees.
    """

    length_bytes: int
    version: int
    source: Address | None = None
    destination: Address | None = None
    over_tls: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def read_preamble(octets: bytes) -> ProxyHeader | None:
    """Read a preamble.

    Args:
        bytes: all that has come so far.

    Returns:
        What it says; None while it is not complete.

    Raises:
        NoPreamble: these bytes begin something else.
        MalformedProxyHeader: they will never be a valid one.
    """
    if octets[:1] == SIGNATURE_1[:1]:
        return read_version_1(octets)
    if not octets.startswith(SIGNATURE_2[: len(octets)]):
        raise NoPreamble
    return read_version_2(octets) if len(octets) >= HEAD_2_BYTES else None


def read_version_1(octets: bytes) -> ProxyHeader | None:
    """One line of text (section 2.1)."""
    if not octets.startswith(SIGNATURE_1[: len(octets)]):
        raise NoPreamble
    end = octets.find(b"\r\n", 0, LONGEST_1_BYTES)
    if end < 0:
        if len(octets) >= LONGEST_1_BYTES:
            raise MalformedProxyHeader("the line is too long")
        return None
    words = octets[:end].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader(end + 2, 1)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise MalformedProxyHeader("the line is not a family, two addresses and two ports")
    _, family, source, destination, source_port, destination_port = words
    return ProxyHeader(
        end + 2, 1, text_address(family, source, source_port), text_address(family, destination, destination_port)
    )


def text_address(family: str, host: str, port: str) -> Address:
    """An address of version 1."""
    valid = port.isascii() and port.isdigit() and len(port) <= 5 and (port == "0" or port[0] != "0")
    address = read_address(host) if "%" not in host else None
    if not valid or int(port) > 65535 or address is None or (":" in host) is not (family == "TCP6"):
        raise MalformedProxyHeader("an address or a port is none")
    return str(address), int(port)


def read_version_2(octets: bytes) -> ProxyHeader | None:
    """Binary (section 2.2)."""
    version, command, family = octets[12] >> 4, octets[12] & 15, octets[13]
    if version != 2 or command > PROXIED:
        raise MalformedProxyHeader("the version or the command is unknown")
    length_bytes = HEAD_2_BYTES + int.from_bytes(octets[14:16], "big")
    if length_bytes > LONGEST_BYTES:
        raise MalformedProxyHeader("it is too long")
    if len(octets) < length_bytes:
        return None
    octets = octets[:length_bytes]
    if command == LOCAL or family == UNSPECIFIED:
        return ProxyHeader(length_bytes, 2)
    if family not in FAMILIES:
        raise MalformedProxyHeader("the family or the transport is unknown")
    size, port_size = FAMILIES[family]
    at = HEAD_2_BYTES + 2 * (size + port_size)
    if at > length_bytes:
        raise MalformedProxyHeader("the addresses are cut short")
    source = destination = None
    if port_size:
        halves = octets[HEAD_2_BYTES : HEAD_2_BYTES + size], octets[HEAD_2_BYTES + size : HEAD_2_BYTES + 2 * size]
        ports = int.from_bytes(octets[at - 4 : at - 2], "big"), int.from_bytes(octets[at - 2 : at], "big")
        source, destination = ((plain(half), port) for half, port in zip(halves, ports, strict=True))
    facts, over_tls = read_facts(octets, at)
    return ProxyHeader(length_bytes, 2, source, destination, over_tls, facts)


def plain(packed: bytes) -> str:
    """The text of a packed address; a mapped IPv4 address is one of IPv4."""
    return str(read_address(str(ip_address(packed))))


def read_facts(octets: bytes, start: int) -> tuple[dict[str, Any], bool]:
    """What stands behind the addresses."""
    facts: dict[str, Any] = {}
    over_tls = has_checksum = False
    for kind, at, content in type_length_values(octets, start, len(octets)):
        if kind in NAMES:
            facts[NAMES[kind]] = content
        elif kind == SSL:
            if len(content) < SSL_HEAD_BYTES:
                raise MalformedProxyHeader("a TLV is cut short")
            over_tls = bool(content[0] & CLIENT_SSL)
            facts["tls_client_verified"] = content[0] > CLIENT_SSL and not any(content[1:SSL_HEAD_BYTES])
            for part, _, value in type_length_values(content, SSL_HEAD_BYTES, len(content)):
                if part in SSL_NAMES:
                    facts[SSL_NAMES[part]] = value
        elif kind == CRC32C:
            # One at most: each reads the whole preamble, and a thousand fit into it.
            if has_checksum:
                raise MalformedProxyHeader("there are two checksums")
            has_checksum = True
            if len(content) != 4 or crc32c(octets[:at] + bytes(4) + octets[at + 4 :]) != int.from_bytes(content, "big"):
                raise MalformedProxyHeader("the checksum is wrong")
        elif kind != NOOP:
            facts.setdefault("tlvs", []).append((kind, content))
    return facts, over_tls


def type_length_values(octets: bytes, at: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, place and content of each TLV (section 2.2)."""
    while at < end:
        size = int.from_bytes(octets[at + 1 : at + 3], "big")
        if at + 3 + size > end:
            raise MalformedProxyHeader("a TLV is cut short")
        yield octets[at], at + 3, octets[at + 3 : at + 3 + size]
        at += 3 + size


def crc32c(octets: bytes) -> int:
    """The checksum of RFC 4960 appendix B."""
    value = 0xFFFFFFFF
    for octet in octets:
        value = value >> 8 ^ CRC32C_TABLE[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF


def crc32c_of_byte(value: int) -> int:
    """What one byte adds to the checksum, bit by bit."""
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC32C_TABLE = [crc32c_of_byte(value) for value in range(256)]
