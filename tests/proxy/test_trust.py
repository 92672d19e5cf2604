"""Whose word counts. The matrix has the cases that Uvicorn publishes in its test of trusted hosts, and where Whorl
decides otherwise, the reason."""

from __future__ import annotations

import pytest

from whorl.config.proxy_words import TrustedPeerList
from whorl.proxy.trusted_peers import TrustedPeers

IPV4 = ("127.0.0.0", "127.0.0.1", "127.1.1.1", "127.255.255.255", "10.0.0.0", "10.0.0.1", "10.1.1.1", "10.255.255.255")
IPV4 += ("192.168.0.0", "192.168.0.1", "1.1.1.1")
IPV6 = ("2001:db8::", "2001:db8:abcd:0012::0", "2001:db8:abcd:0012::1:1", "::", "::1")
IPV6 += ("2001:db8:3333:4444:5555:6666:102:304", "::b16:212c", "a:b:c:d::", "::a:b:c:d")
NO_ADDRESSES = ("some-literal", "unix:///foo/bar", "/foo/bar", "*", "another-literal", "")
NO_ADDRESSES += ("unix:///another/path", "/another/path")
ALL = (*IPV4, *IPV6, *NO_ADDRESSES)

MATRIX = {  # what is written -> who is trusted; of ALL, nobody else
    "": (),
    "*": ALL,
    "127.0.0.1": ("127.0.0.1",),
    "127.0.0.1, 10.0.0.1": ("127.0.0.1", "10.0.0.1"),
    "127.0.0.0/8": IPV4[:4],
    "127.0.0.0/8, 10.0.0.0/8": IPV4[:8],
    "2001:db8::, 2001:0db8:0001:0000:0000:0ab9:C0A8:0102, 2001:db8:3333:4444:5555:6666:1.2.3.4, ::11.22.33.44": (
        *("2001:db8::", "2001:db8:3333:4444:5555:6666:102:304", "::b16:212c"),
    ),
    "127.0.0.0/8, 10.1.1.1, 2001:db8::/32": (*IPV4[:4], "10.1.1.1", *IPV6[:3], IPV6[5]),
    "127.0.0.0/16": IPV4[:2],
    "10.0.0.0/8": IPV4[4:8],
    "2001:db8:abcd:0012::0": ("2001:db8:abcd:0012::0",),
    "2001:db8::": ("2001:db8::",),
    "2001:db8:3333:4444:5555:6666:1.2.3.4": ("2001:db8:3333:4444:5555:6666:102:304",),
    "::11.22.33.44": ("::b16:212c",),
    "2001:db8:abcd:0012::0/64": IPV6[1:3],
    "::/0": IPV6,
    "0.0.0.0/0": IPV4,
    "127.0.0.1,::1": ("127.0.0.1", "::1"),
    "::ffff:127.0.0.1": ("127.0.0.1",),
    "::ffff:127.0.0.0/104": IPV4[:4],
    "unix": (),
}


def trusting(written: str) -> TrustedPeers:
    return TrustedPeers(TrustedPeerList().read(written))


@pytest.mark.parametrize("written", MATRIX)
def test_who_is_trusted(written: str) -> None:
    trust = trusting(written)
    assert [host for host in ALL if trust.contains_peer(host)] == [host for host in ALL if host in MATRIX[written]]
    assert [host for host in ALL if trust.contains_peer(host)] == [host for host in ALL if host in MATRIX[written]], (
        "known"
    )


def test_an_address_of_IPv4_is_the_same_on_a_socket_of_IPv6() -> None:
    assert trusting("10.0.0.0/8").contains_peer("::ffff:10.1.2.3")
    assert not trusting("10.0.0.0/8").contains_peer("::ffff:11.1.2.3")


def test_a_zone_is_not_part_of_an_address() -> None:
    assert trusting("fe80::1").contains_peer("fe80::1%eth0")


@pytest.mark.parametrize(("written", "unix"), [("", False), ("127.0.0.1", False), ("unix", True), ("*", True)])
def test_who_comes_by_a_Unix_socket(written: str, unix: bool) -> None:
    assert trusting(written).unix is unix


def test_what_is_remembered_is_bounded() -> None:
    trust = trusting("10.0.0.0/8")
    for number in range(5000):
        assert trust.contains_peer(f"10.0.{number >> 8}.{number & 255}")
    assert len(trust._known) <= 1024


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        # Uvicorn takes these for literals, which no peer ever is: it says of one that it is trusted, and nobody has it.
        ("some-literal , unix:///foo/bar  ,  /foo/bar, garba*gewith*", "which is no IP address or network"),
        ("localhost", "which is no IP address or network"),  # Uvicorn takes it for a literal, which no peer ever is
        ("127.0.0.1, /foo/bar", "which is no IP address or network"),
        ("10.0.0.1/8", "did you mean 10.0.0.0/8 or 10.0.0.1?"),  # Uvicorn takes it for a literal
        ("10.0.0.0/33", "which is no IP address or network"),
        ("UNIX:", "which is no IP address or network"),
    ],
)
def test_what_can_trust_nobody_is_refused(written: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="has ") as raised:
        TrustedPeerList().read(written)
    assert complaint in str(raised.value)


def test_what_is_shown_is_read_again() -> None:
    kind = TrustedPeerList()
    value = kind.read(["127.0.0.1", " 10.0.0.0/8 , UNIX", "::1"])
    assert value == ("127.0.0.1", "10.0.0.0/8", "unix", "::1")
    assert kind.read(kind.show(value)) == value
