"""The PROXY protocol's preamble, however it is cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from whorl.proxy.proxy_protocol import MalformedProxyHeader, NoPreamble, ProxyHeader, crc32c, read_preamble

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 1, 10, 0, 0, 1]) + struct.pack("!HH", 4711, 443)
V6 = bytes.fromhex("20010db8" + "0" * 23 + "1" + "0" * 31 + "1") + struct.pack("!HH", 4711, 443)


def binary(content: bytes = V4, family: int = 0x11, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(content)) + content


def tlv(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!H", len(content)) + content


def with_checksum(wrong: int = 0) -> bytes:
    octets = binary(V4 + tlv(0x03, bytes(4)))
    return octets[:-4] + struct.pack("!I", crc32c(octets) ^ wrong)


TLS = tlv(0x20, b"\x07" + bytes(4) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"joe") + tlv(0x23, b"AES") + tlv(0x99, b"?"))
VALID = {
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n": (("192.0.2.1", 4711), ("10.0.0.1", 443), {}),
    b"PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n": (("2001:db8::1", 4711), ("::1", 443), {}),
    b"PROXY UNKNOWN\r\n": (None, None, {}),
    b"PROXY UNKNOWN ffff::1 anything at all\r\n": (None, None, {}),
    binary(): (("192.0.2.1", 4711), ("10.0.0.1", 443), {}),
    binary(V6, 0x21): (("2001:db8::1", 4711), ("::1", 443), {}),
    binary(bytes(216), 0x31): (None, None, {}),
    binary(V4, command=0x20): (None, None, {}),
    binary(b"", 0x00): (None, None, {}),
    binary(V4 + tlv(4, b"\0\0") + tlv(5, b"id") + tlv(1, b"h2") + tlv(2, b"a.example") + tlv(0xEA, b"\1vpce")): (
        ("192.0.2.1", 4711),
        ("10.0.0.1", 443),
        {"unique_id": b"id", "alpn": b"h2", "authority": b"a.example", "tlvs": [(0xEA, b"\1vpce")]},
    ),
    binary(V4 + TLS): (
        ("192.0.2.1", 4711),
        ("10.0.0.1", 443),
        {"tls_client_verified": True, "tls_version": b"TLSv1.3", "tls_client_name": b"joe", "tls_cipher": b"AES"},
    ),
    with_checksum(): (("192.0.2.1", 4711), ("10.0.0.1", 443), {}),
}


@pytest.mark.parametrize("octets", VALID)
def test_is_read_and_no_octet_more(octets: bytes) -> None:
    found = read_preamble(octets + b"GET / HTTP/1.1\r\n\r\n")
    assert found is not None
    assert found.length_bytes == len(octets)
    assert (found.source, found.destination, found.facts) == VALID[octets]
    assert found.over_tls is (TLS in octets)


@pytest.mark.parametrize("octets", VALID)
def test_every_part_of_it_is_not_complete(octets: bytes) -> None:
    assert [read_preamble(octets[:size]) for size in range(1, len(octets))] == [None] * (len(octets) - 1)


@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1", b"PUT", b"POST", b"P", b"\r\nGET", b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIX"]
)
def test_other_protocols_are_none(octets: bytes) -> None:
    if octets == b"P":
        assert read_preamble(octets) is None
    else:
        with pytest.raises(NoPreamble):
            read_preamble(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n",
        b"PROXY TCP4 host 10.0.0.1 1 2\r\n",
        b"PROXY / HTTP/1.1\r\n",
        b"PROXY " + b"a" * 101,
        b"PROXY UNKNOWN " + b"a" * 92 + b"\r\n",
        binary(command=0x11),
        binary(command=0x22),
        binary(family=0x12),
        binary(family=0x41),
        binary(V4[:-1]),
        binary(V4, 0x21),
        binary(V4 + b"\x05"),
        binary(V4 + b"\x05\x00\x02a"),
        binary(V4 + tlv(0x20, b"\x01\0\0\0")),
        binary(V4 + tlv(0x20, b"\x01\0\0\0\0\x21\0\x09x")),
        SIGNATURE + b"\x21\x11\xff\xff",
        with_checksum(wrong=1),
    ],
)
def test_what_is_malformed_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedProxyHeader):
        read_preamble(octets)


def test_a_second_checksum_is_refused_and_not_computed() -> None:
    """Each costs as much as the whole preamble is long, and a thousand fit into it, all of which can be right."""
    data = binary(V4 + tlv(0x03, bytes(4)) + tlv(0x03, bytes(4)))
    checksum = struct.pack("!I", crc32c(data))
    with pytest.raises(MalformedProxyHeader, match="two checksums"):
        read_preamble(data[:-11] + checksum + data[-7:])


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@given(
    some.one_of(
        some.binary(max_size=80), some.binary(max_size=80).map(lambda content: SIGNATURE + b"\x21\x11" + content)
    )
)
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        found = read_preamble(octets)
    except (NoPreamble, MalformedProxyHeader):
        return
    assert found is None or isinstance(found, ProxyHeader)
