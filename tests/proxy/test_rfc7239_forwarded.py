"""The Forwarded field of a trusted peer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from whorl.proxy.forwarded import read_forwarded
from whorl.proxy.forwarded_info import ForwardedInfo
from whorl.proxy.trusted_peers import TrustedPeers


def read(*lines: str, trusted: str = "10.0.0.0/8", with_host: bool = True) -> ForwardedInfo:
    fields = [(b"forwarded", line.encode("latin-1")) for line in lines]
    return read_forwarded(fields, TrustedPeers(word for word in trusted.split(",") if word), with_host=with_host)


def client_of(facts: ForwardedInfo) -> str | None:
    return None if facts.client is None else f"{facts.client.address} {facts.client.port}"


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("for=192.0.2.43", "192.0.2.43 0"),
        ("For=192.0.2.43", "192.0.2.43 0"),
        ('for="192.0.2.43:47011"', "192.0.2.43 47011"),
        ("for=192.0.2.43:47011", "192.0.2.43 47011"),  # not in the grammar, but found, and clear
        ('for="[2001:db8:cafe::17]"', "2001:db8:cafe::17 0"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17 4711"),
        ('for="192.0.2.43:_port"', "192.0.2.43 0"),
        (r'for="192.0.\2.43"', "192.0.2.43 0"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60 0"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17 0"),
        ("for=192.0.2.43, for=10.1.1.1", "192.0.2.43 0"),
        ("for=6.6.6.6, for=192.0.2.43, for=10.1.1.1,for=10.1.1.2", "192.0.2.43 0"),
        ("for=10.1.1.3, for=10.1.1.1", "10.1.1.3 0"),
        ('secret="a,b;c\\"d";for=192.0.2.43', "192.0.2.43 0"),
        (";;for=192.0.2.43; proto=https ;", "192.0.2.43 0"),
        ("for=192.0.2.43,,", "192.0.2.43 0"),
    ],
)
def test_6_nodes(line: str, client: str) -> None:
    facts = read(line)
    assert (client_of(facts), facts.malformed) == (client, 0)


@pytest.mark.parametrize("line", ["for=unknown", "for=Unknown", "for=_gazonk", 'for="_gazonk"', "proto=https", "", ","])
def test_6_3_a_node_that_is_not_told_leaves_the_peer(line: str) -> None:
    facts = read(line)
    assert (client_of(facts), facts.malformed) == (None, 0)


def test_6_3_behind_a_hidden_hop_nobody_vouches_for_anything() -> None:
    facts = read("for=6.6.6.6;proto=https, for=_hidden;proto=http, for=10.0.0.1")
    assert (client_of(facts), facts.scheme) == ("10.0.0.1 0", "http")


@pytest.mark.parametrize(
    "line",
    [
        "for",
        "for=",
        "=a",
        "for=2001:db8::1",
        'for="2001:db8::1"',
        'for="192.0.2.43',
        'for=192.0.2.43"',
        "for=192.0.2.43;for=192.0.2.44",
        "for = 192.0.2.43",
        "for=192.0.2.43 proto=http",
        "for=a/b",
        "for=\xe9",
        "for=192.0.2.300",
        'for="192.0.2.43:70000"',
        '"',
        '\\"',
        "for=192.0.2.43, " + "a" * 5000,
    ],
)
def test_4_what_is_malformed_is_ignored_and_counted(line: str) -> None:
    facts = read(line)
    assert (client_of(facts), facts.malformed) == (None, 1)


def test_4_lines_are_one_list() -> None:
    assert client_of(read("for=6.6.6.6", "for=192.0.2.43", "for=10.0.0.1")) == "192.0.2.43 0"


@pytest.mark.parametrize(
    "theirs", ['for="', 'for=6.6.6.6;x="\\', "for=6.6.6.6;x=\\", "\xff", 'a"b', '"', "for=6.6.6.6"]
)
def test_what_a_client_sends_does_not_swallow_what_a_proxy_appends(theirs: str) -> None:
    for appended in ("for=192.0.2.43", 'for="192.0.2.43:80";proto=https'):
        assert str(client_of(read(f"{theirs}, {appended}"))).startswith("192.0.2.43 ")


def test_5_scheme_and_host_are_those_of_the_leg_that_the_client_came_by() -> None:
    facts = read("for=6.6.6.6;proto=http;host=evil, for=192.0.2.43;proto=https;host=a.example, for=10.0.0.1;proto=http")
    assert (facts.scheme, facts.host) == ("https", b"a.example")
    facts = read("for=192.0.2.43, for=10.0.0.1;proto=https;host=inner")
    assert (facts.scheme, facts.host) == ("", b""), "the outer proxy did not tell, and the inner leg is another"


def test_5_3_host() -> None:
    assert read('for=_a;host="a.example:8443"').host == b"a.example:8443"
    assert read("host=a.example", with_host=False).host == b""
    facts = read('host="a b"')
    assert (facts.host, facts.malformed) == (b"", 1)


def test_5_4_another_scheme_is_ignored_and_counted() -> None:
    facts = read("for=192.0.2.43;proto=gopher")
    assert (facts.scheme, facts.malformed, client_of(facts)) == ("", 1, "192.0.2.43 0")


def test_a_list_is_read_so_far_and_no_further() -> None:
    line = "for=6.6.6.6," + ",".join(f"for=10.0.0.{number}" for number in range(32))
    assert client_of(read(line)) == "10.0.0.0 0"


OCTETS = some.text(some.sampled_from('for=1.2;,"\\ []:_\xe9'), max_size=60)


@given(OCTETS)
def test_any_value_is_believed_or_ignored(text: str) -> None:
    assert read(text, trusted="*").malformed <= 32


@given(OCTETS, some.sampled_from(["for=192.0.2.43", 'for="[2001:db8::1]:1"', 'x="a,\\"b";for=192.0.2.43']))
def test_whatever_stands_before_what_the_nearest_proxy_appended(text: str, appended: str) -> None:
    alone, behind = read(appended), read(f"{text},{appended}")
    assert client_of(alone) == client_of(behind)
    assert client_of(read(text, appended)) == client_of(alone)
