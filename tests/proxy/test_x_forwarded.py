"""The X-Forwarded-* fields of a trusted peer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from whorl.proxy.forwarded_info import ForwardedInfo
from whorl.proxy.headers import ProxyHeaders, ProxyHeadersMode
from whorl.proxy.malformed_counts import MalformedCounts
from whorl.proxy.trusted_peers import TrustedPeers

FAMILY = {"for", "proto", "host", "port", "prefix"}


def read(
    trusted: str, believed: ProxyHeadersMode = ProxyHeadersMode.X_FORWARDED, **fields: str | list[str]
) -> ForwardedInfo:
    """What is believed of these fields: `proto="https"` is X-Forwarded-Proto."""
    lines = [
        ((f"x-forwarded-{name}" if name in FAMILY else name).encode(), value.encode("latin-1"))
        for name, values in fields.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return ProxyHeaders(believed, TrustedPeers(word for word in trusted.split(",") if word), MalformedCounts()).read(
        lines
    )


def client_of(facts: ForwardedInfo) -> str | None:
    return None if facts.client is None else str(facts.client.address)


CHAIN = "1.2.3.4, 10.0.2.1, 192.168.0.2"


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        ("", "192.168.0.2"),
        ("127.0.0.1", "192.168.0.2"),
        ("127.0.0.1,10.0.2.1", "192.168.0.2"),  # the one in between is not reached
        ("127.0.0.1,192.168.0.2", "10.0.2.1"),
        ("127.0.0.1,10.0.2.1,192.168.0.2", "1.2.3.4"),
        ("127.0.0.1,10.0.0.0/8,192.168.0.0/16", "1.2.3.4"),
        ("1.2.3.4,10.0.2.1,192.168.0.2", "1.2.3.4"),  # all are trusted: the first
        ("*", "1.2.3.4"),
    ],
)
def test_the_rightmost_hop_that_is_not_trusted_is_the_client(trusted: str, client: str) -> None:
    assert client_of(read(trusted, **{"for": CHAIN})) == client


@pytest.mark.parametrize(
    ("value", "client", "port"),
    [
        ("1.2.3.4", "1.2.3.4", 0),
        ("1.2.3.4:5678", "1.2.3.4", 5678),
        ("2001:DB8::1", "2001:db8::1", 0),
        ("[2001:db8::1]", "2001:db8::1", 0),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("::ffff:1.2.3.4", "1.2.3.4", 0),
        (" 1.2.3.4\t", "1.2.3.4", 0),
        ("5.6.7.8, ,1.2.3.4", "1.2.3.4", 0),
    ],
)
def test_addresses(value: str, client: str, port: int) -> None:
    facts = read("127.0.0.1", **{"for": value})
    assert facts.client is not None
    assert (client_of(facts), facts.client.port, facts.malformed) == (client, port, 0)


@pytest.mark.parametrize(
    "value", ["", " ", ",", " , ", ", , ", "unknown", "_hidden", "1.2.3.4, unknown", "1.2.3.4,", ", , 1.2.3.4, , "]
)
def test_a_hop_that_is_not_told_leaves_the_peer(value: str) -> None:
    facts = read("127.0.0.1", **{"for": value})
    assert (facts.client, facts.malformed) == (None, 0)


@pytest.mark.parametrize(
    "value",
    [
        *("1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4/8", "1.2.3.4;x"),
        *("1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.4:123456"),
        *("[1.2.3.4]", "[::1", "::1]:80", "[::g]", "::1:::2", "[::1]80", "fe80::1%eth0"),
        *("name", "unix:", "unix:/a", "\xf0\xfd"),
    ],
)
def test_what_is_no_address_is_ignored_and_counted(value: str) -> None:
    facts = read("127.0.0.1", **{"for": value})
    assert (facts.client, facts.malformed) == (None, 1)


def test_nobody_vouches_for_what_is_left_of_the_unreadable() -> None:
    """Uvicorn takes the leftmost here, which anybody may have written."""
    facts = read("*", **{"for": "1.2.3.4, \xf0\xfd\xfd\xfd, unix:, ::1"})
    assert (client_of(facts), facts.malformed) == ("::1", 1)


@pytest.mark.parametrize("value", [" , 10.0.0.1", "6.6.6.6 , , , 10.0.0.1", ["6.6.6.6", "", "10.0.0.1"]])
def test_nor_for_what_is_left_of_a_proxy_that_appends_nothing(value: str | list[str]) -> None:
    """As with `proxy_set_header X-Forwarded-For "$http_x_forwarded_for, $http_x_real_ip"` and no X-Real-IP. Uvicorn
    stops there too, and stays with the peer, though 10.0.0.1 is known."""
    facts = read("10.0.0.0/8", **{"for": value})
    assert (client_of(facts), facts.malformed) == ("10.0.0.1", 0)


PORTS = "1.2.3.4:1234, [2001:db8::1]:8080, 192.168.0.2:9000"


@pytest.mark.parametrize(
    ("trusted", "value", "client"),
    [
        ("*", "1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1", "1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1,10.0.0.1", "1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.0/24,10.0.0.1", "1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1,1.2.3.4", "1.2.3.4", ("1.2.3.4", 0)),
        ("127.0.0.1,10.0.0.0/8", ", , 9.9.9.9", ("9.9.9.9", 0)),
        ("127.0.0.1,10.0.0.0/8", ", , 9.9.9.9, , ", None),
        ("192.168.0.2,127.0.0.1,10.0.2.1", CHAIN, ("1.2.3.4", 0)),
        ("192.168.0.2,127.0.0.1", CHAIN, ("10.0.2.1", 0)),
        ("*", PORTS, ("1.2.3.4", 1234)),
        ("127.0.0.1,2001:db8::1,192.168.0.2", PORTS, ("1.2.3.4", 1234)),
        ("127.0.0.1,2001:db8::/32,192.168.0.2", PORTS, ("1.2.3.4", 1234)),
        ("192.168.0.2,127.0.0.1", PORTS, ("2001:db8::1", 8080)),
        ("*", "[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("*", "[2001:db8::1]", ("2001:db8::1", 0)),
        ("*", "2001:db8::1", ("2001:db8::1", 0)),
        ("127.0.0.1", ["203.0.113.66, 198.51.100.23", "127.0.0.1"], ("198.51.100.23", 0)),
        ("127.0.0.1,10.0.0.1", ["1.2.3.4", "10.0.0.1"], ("1.2.3.4", 0)),
        # Here Uvicorn takes something for a client that is no address; it is ignored, and counted.
        ("*", "1.2.3.4:notaport", None),
        ("*", "[2001:db8::1]:notaport", None),
        ("*", "[2001:db8::1]extra", None),
        ("*", "[2001:db8::1", None),
    ],
)
def test_the_cases_that_uvicorn_publishes(trusted: str, value: str, client: tuple[str, int] | None) -> None:
    facts = read(trusted, **{"for": value, "proto": "https"})
    assert (facts.client and (client_of(facts), facts.client.port), facts.scheme) == (client, "https")


def test_lines_of_one_name_are_one_list() -> None:
    assert client_of(read("127.0.0.1,10.0.0.1", **{"for": ["6.6.6.6", "1.2.3.4", "10.0.0.1"]})) == "1.2.3.4"


def test_a_list_is_read_so_far_and_no_further() -> None:
    assert client_of(read("*", **{"for": "6.6.6.6," + ",".join(f"10.0.0.{n}" for n in range(32))})) == "10.0.0.0"
    facts = read("*", **{"for": ["6.6.6.6", "1.1.1.1," * 512 + "2", "1.2.3.4"]})
    assert (client_of(facts), facts.malformed) == ("1.2.3.4", 1)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("http", "http"),
        ("HTTPS", "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("http, https", "https"),
    ],
)
def test_schemes(value: str, scheme: str) -> None:
    assert read("", proto=value).scheme == scheme


@pytest.mark.parametrize("value", ["ftp", "https;", "on", "javascript", "https:"])
def test_other_schemes_are_ignored_and_counted(value: str) -> None:
    facts = read("", proto=value)
    assert (facts.scheme, facts.malformed) == ("", 1)


def test_in_lists_of_one_length_the_value_beside_the_client_counts() -> None:
    fields = {"for": CHAIN, "proto": "http, https, http", "host": "a, b, c"}
    facts = read("192.168.0.2", **fields)
    assert (client_of(facts), facts.scheme, facts.host) == ("10.0.2.1", "https", b"b")
    facts = read("192.168.0.2", **fields | {"proto": "https, http"})
    assert facts.scheme == "http", "they are not of one length: what the nearest proxy wrote"


@pytest.mark.parametrize("value", ["a b", "a/b", "user@a", "a:x", "a:99999", "[::g]", "\xe9"])
def test_hosts_that_are_none(value: str) -> None:
    facts = read("", host=value)
    assert (facts.host, facts.malformed) == (b"", 1)


@pytest.mark.parametrize(("value", "port"), [("443", 443), ("0", 0), ("65536", 0), ("x", 0), ("-1", 0), ("\xb2", 0)])
def test_ports(value: str, port: int) -> None:
    facts = read("", port=value)
    assert (facts.port, facts.malformed) == (port, int(not port))


@pytest.mark.parametrize(
    ("value", "prefix"), [("/api", "/api"), ("/api/", "/api"), ("/a/b-c_d~e", "/a/b-c_d~e"), ("/", "")]
)
def test_prefixes(value: str, prefix: str) -> None:
    facts = read("", prefix=value)
    assert (facts.prefix, facts.malformed) == (prefix, 0)


@pytest.mark.parametrize(
    "value",
    [
        "api",
        "//evil.example",
        "/a//b",
        "/../a",
        "/a/..",
        "/./a",
        "/a?b",
        "/a#b",
        "/%2e",
        "/\xe9",
        "/a b",
        "/" + "a" * 256,
    ],
)
def test_prefixes_that_climb_or_lead_away(value: str) -> None:
    facts = read("", prefix=value)
    assert (facts.prefix, facts.malformed) == (None, 1)


class TestAuto:
    """What is believed of a proxy that nobody has told us about."""

    def test_no_more_than_nearly_every_proxy_sets(self) -> None:
        facts = read(
            "",
            ProxyHeadersMode.AUTO,
            **{"for": "1.2.3.4", "proto": "https", "host": "evil", "port": "1", "prefix": "/x"},
        )
        assert (client_of(facts), facts.scheme) == ("1.2.3.4", "https")
        assert (facts.host, facts.port, facts.prefix) == (b"", 0, None)

    @pytest.mark.parametrize("name", ["for", "proto", "host", "port", "prefix"])
    def test_forwarded_is_not_read_beside_any_of_them(self, name: str) -> None:
        facts = read("", ProxyHeadersMode.AUTO, **{name: "1.2.3.4", "forwarded": "for=6.6.6.6;proto=https"})
        assert client_of(facts) == ("1.2.3.4" if name == "for" else None)
        assert not facts.scheme

    def test_forwarded_alone_is_read_without_its_host(self) -> None:
        facts = read("", ProxyHeadersMode.AUTO, forwarded="for=1.2.3.4;proto=https;host=evil")
        assert (client_of(facts), facts.scheme, facts.host) == ("1.2.3.4", "https", b"")


def test_forwarded_is_believed_alone_where_it_was_asked_for() -> None:
    facts = read("", ProxyHeadersMode.FORWARDED, **{"for": "6.6.6.6", "proto": "https", "forwarded": "for=1.2.3.4"})
    assert (client_of(facts), facts.scheme) == ("1.2.3.4", "")


def test_what_was_malformed_is_counted_for_the_server() -> None:
    tally = MalformedCounts()
    headers = ProxyHeaders(ProxyHeadersMode.X_FORWARDED, TrustedPeers(()), tally)
    for _ in range(2):
        headers.read([(b"x-forwarded-for", b"?"), (b"x-forwarded-proto", b"?")])
    assert tally == MalformedCounts(values=4)


LIST = some.lists(some.sampled_from(["10.0.0.1", "10.0.0.2", "1.2.3.4", "6.6.6.6", "unknown", "?", "", "[::1]:8"]))


@given(LIST, LIST)
def test_what_stands_left_of_the_client_has_no_effect(theirs: list[str], ours: list[str]) -> None:
    """A client can write what it likes: what trusted proxies append after it decides."""
    trusted = "10.0.0.0/8"
    appended = ["1.2.3.4", *(hop for hop in ours if hop.startswith("10."))][-32:]
    facts = read(trusted, **{"for": ",".join(theirs + appended)})
    assert client_of(facts) == "1.2.3.4" or len(appended) == 32


@given(some.text(some.characters(max_codepoint=255), max_size=80), some.sampled_from(sorted(FAMILY)))
def test_any_text_is_believed_or_ignored(text: str, name: str) -> None:
    facts = read("*", **{name: text})
    assert facts.malformed <= 1
    assert facts.scheme in ("", "http", "https")
    assert 0 <= facts.port <= 65535
    assert facts.prefix is None or facts.prefix == "" or facts.prefix[0] == "/" != facts.prefix[1]
