"""The list of hosts that a server answers for."""

from __future__ import annotations

import pytest

from whorl.config.proxy_words import HostPatterns
from whorl.proxy.hosts import HostList

HOSTS = HostList(HostPatterns().read("Example.org, *.example.net, 192.0.2.1, [2001:DB8::1], full.example."))


@pytest.mark.parametrize(
    "host",
    [
        *("example.org", "EXAMPLE.ORG", "example.org:8000", "example.org.", "example.org.:80"),
        *("a.example.net", "a.b.example.net", "a.example.net.", "full.example", "full.example."),
        *("192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8:0::1]:443"),
    ],
)
def test_is_ours(host: str) -> None:
    assert HOSTS.admits(host.encode())
    assert HOSTS.admits(host.encode()), "remembered"


@pytest.mark.parametrize(
    "host", ["", "example.net", ".example.net", "a.example.org", "example.org.evil", "evilexample.net", "evil", "[::1]"]
)
def test_is_not_ours(host: str) -> None:
    assert not HOSTS.admits(host.encode())


def test_what_is_remembered_is_bounded() -> None:
    hosts = HostList(["*.example"])
    for number in range(5000):
        hosts.admits(b"%d.example" % number)
    assert len(hosts._known) <= 1024


@pytest.mark.parametrize(
    "written", ["*", "http://example.org", "example.org:80", "a b", "*.*.org", "a*.org", "-a", "[::g]"]
)
def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="has "):
        HostPatterns().read(written)
