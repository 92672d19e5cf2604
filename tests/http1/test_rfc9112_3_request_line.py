"""RFC 9112 section 3: the request line, the method, the four forms of the target, and Host."""

from __future__ import annotations

import pytest

from tests.http1.vectors import GET, HOST, accepted, head, octets_until_refused, refused


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/\tHTTP/1.1",
        b"GET\x0b/ HTTP/1.1",
        b"GET\xa0/ HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET HTTP/1.1",
        b"GET  HTTP/1.1",
        b"/ HTTP/1.1",
        b"GET /",
        b"GET",
        b"HTTP/1.1 200 OK",
    ],
)
def test_3_a_request_line_is_three_words_with_one_space_between(line: bytes) -> None:
    octets = head(line, HOST)

    assert refused(octets) == 400
    assert (octets_until_refused(octets) or 0) <= len(line) + 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_3_1_methods_are_passed_on(method: str) -> None:
    assert accepted(head(method.encode() + b" / HTTP/1.1", HOST)).method == method


@pytest.mark.parametrize("method", ["get", "Get", "FOO", "M-SEARCH", "PROPFIND", "QUERY", "!#$%&'*+-.^_`|~09aZ", "PRI"])
def test_3_1_methods_nobody_knows_are_passed_on_and_case_stands(method: str) -> None:
    assert accepted(head(method.encode() + b" / HTTP/1.1", HOST)).method == method


@pytest.mark.parametrize("method", [b"G%cT", b"%cGT", b"GT%c"])
def test_3_1_a_method_is_a_token(method: bytes) -> None:
    for octet in (*range(0x21), *b'"(),/:;<=>?@[\\]{}', *range(0x7F, 0x100)):
        assert refused(head(method % octet + b" / HTTP/1.1", HOST)) == 400


@pytest.mark.parametrize("target", [b"/a%cb", b"/%c", b"%c/", b"/?a%c", b"http://b/%c"])
def test_3_2_a_target_holds_no_control_no_space_no_fragment_and_no_raw_text(target: bytes) -> None:
    for octet in (*range(0x21), *b"#", *range(0x7F, 0x100)):
        assert refused(head(b"GET " + target % octet + b" HTTP/1.1", HOST)) == 400


def test_3_2_raw_utf_8_in_a_target_is_refused_and_encoded_utf_8_is_passed_on() -> None:
    assert refused(head("GET /ä HTTP/1.1".encode(), HOST)) == 400
    assert refused(head("GET /?q=ä HTTP/1.1".encode(), HOST)) == 400
    assert accepted(head(b"GET /%C3%A4?q=%C3%A4 HTTP/1.1", HOST)).target == b"/%C3%A4?q=%C3%A4"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//",
        b"//b/c",
        b"/a/../b/./c",
        b"/a//b",
        b"/a?b?c&d=/e:@f",
        b"/?",
        b"/%00%0d%0a",
        b"/a;b=c,d",
        b"/*",
        b"/http://b/",
        b'/"<>\\^`{|}',
        b"/[a]?b[]=c",
        b"/%zz%4?%",
    ],
)
def test_3_2_1_origin_form_is_passed_on_as_it_came(target: bytes) -> None:
    assert accepted(head(b"GET " + target + b" HTTP/1.1", HOST)).target == target


@pytest.mark.parametrize(
    ("target", "authority", "rest"),
    [
        (b"http://b", b"b", b"/"),
        (b"http://b/", b"b", b"/"),
        (b"http://b/c?d", b"b", b"/c?d"),
        (b"http://b?d", b"b", b"/?d"),
        (b"http://b?d/e", b"b", b"/?d/e"),
        (b"http://b//c", b"b", b"//c"),
        (b"HTTP://B.example:8080/c", b"B.example:8080", b"/c"),
        (b"https://b:443/c", b"b:443", b"/c"),
        (b"http://[::1]:8000/c", b"[::1]:8000", b"/c"),
        (b"http://b/http://c/d", b"b", b"/http://c/d"),
    ],
)
def test_3_2_2_in_absolute_form_the_authority_stands_and_host_does_not(
    target: bytes, authority: bytes, rest: bytes
) -> None:
    message = accepted(head(b"GET " + target + b" HTTP/1.1", b"X: 1", b"Host: other:1", b"Y: 2"))

    assert message.target == rest
    assert message.fields == ((b"x", b"1"), (b"host", authority), (b"y", b"2"))


def test_3_2_2_absolute_form_gives_http_1_0_its_host() -> None:
    message = accepted(head(b"GET http://b/c HTTP/1.0", b"X: 1"))

    assert message.target == b"/c"
    assert message.values(b"host") == [b"b"]


def test_3_2_2_absolute_form_does_not_stand_in_for_a_host() -> None:
    assert refused(head(b"GET http://b/ HTTP/1.1")) == 400
    assert refused(head(b"GET http://b/ HTTP/1.1", b"Host: b", b"Host: b")) == 400
    assert refused(head(b"GET http://b/ HTTP/1.1", b"Host: b@c")) == 400


@pytest.mark.parametrize(
    "target",
    [
        b"http://",
        b"http:///a",
        b"http://?a",
        b"http:/a",
        b"http:a",
        b"http",
        b"a",
        b"a/b",
        b"?a",
        b"://b/",
        b"http://user@b/",
        b"http://user:secret@b/",
        b"http://b:x/",
        b"http://b:65536/",
        b"http://b:1:2/",
        b"http://[::1/",
        b"http://b\\c/",
        b"http://b,c/",
        b"ftp://b/",
        b"file:///etc/passwd",
        b"ws://b/",
        b"javascript:alert(1)",
    ],
)
def test_3_2_2_a_target_in_none_of_the_forms_is_400(target: bytes) -> None:
    assert refused(head(b"GET " + target + b" HTTP/1.1", HOST)) == 400


@pytest.mark.parametrize("target", [b"b:443", b"b.example:80", b"[::1]:443", b"192.0.2.1:22"])
def test_3_2_3_authority_form_asks_for_a_tunnel_which_is_501(target: bytes) -> None:
    assert refused(head(b"CONNECT " + target + b" HTTP/1.1", b"Host: " + target)) == 501


@pytest.mark.parametrize(
    "target",
    [b"b", b"b:", b":443", b"b:x", b"b:99999", b"user@b:443", b"http://b:443", b"http://b/", b"*", b"/", b"/a:443"],
)
def test_3_2_3_connect_with_anything_but_host_and_port_is_400(target: bytes) -> None:
    assert refused(head(b"CONNECT " + target + b" HTTP/1.1", HOST)) == 400


def test_3_2_3_authority_form_belongs_to_connect() -> None:
    assert refused(head(b"GET b:443 HTTP/1.1", HOST)) == 400


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_3_2_4_asterisk_form_belongs_to_options(version: bytes) -> None:
    message = accepted(head(b"OPTIONS * " + version, HOST))

    assert (message.method, message.target) == ("OPTIONS", b"*")


@pytest.mark.parametrize(
    "line", [b"GET * HTTP/1.1", b"options * HTTP/1.1", b"OPTIONS ** HTTP/1.1", b"OPTIONS *?a HTTP/1.1"]
)
def test_3_2_4_an_asterisk_elsewhere_is_400(line: bytes) -> None:
    assert refused(head(line, HOST)) == 400


def test_3_2_4_options_with_an_absolute_form_without_a_path_is_the_asterisk() -> None:
    assert accepted(head(b"OPTIONS http://b:1 HTTP/1.1", HOST)).target == b"*"
    assert accepted(head(b"OPTIONS http://b:1/ HTTP/1.1", HOST)).target == b"/"
    assert accepted(head(b"OPTIONS http://b?a HTTP/1.1", HOST)).target == b"/?a"


def test_3_2_a_request_of_http_1_1_has_exactly_one_host() -> None:
    assert refused(head(GET)) == 400
    assert refused(head(GET, b"X-Host: a")) == 400
    assert refused(head(GET, b"Host: a", b"Host: b")) == 400
    assert refused(head(GET, b"Host: a", b"HOST: a")) == 400
    assert refused(head(GET, b"Host: a", b"X: 1", b"host:a")) == 400


def test_3_2_a_request_of_http_1_0_has_one_host_or_none() -> None:
    line = b"GET / HTTP/1.0"

    assert accepted(head(line)).values(b"host") == []
    assert accepted(head(line, HOST)).values(b"host") == [b"a"]
    assert refused(head(line, HOST, HOST)) == 400
    assert refused(head(line, b"Host: a/b")) == 400


@pytest.mark.parametrize(
    "host",
    [
        b"example.com",
        b"EXAMPLE.com.",
        b"a_b",
        b"a-b",
        b"localhost:8000",
        b"a:",
        b"a:0",
        b"a:1",
        b"a:65535",
        b"192.0.2.1:80",
        b"999.1",
        b"[::1]",
        b"[::1]:443",
        b"[::]:",
        b"[2001:db8::ffff:192.0.2.1]",
        b"[2001:DB8:1:2:3:4:5:6]",
        b"a%20b",
        b"a%C3%a4",
        b"a~b!$&'()*+;=c",
        b"xn--bcher-kva.example",
    ],
)
def test_3_2_host_is_a_host_and_perhaps_a_port(host: bytes) -> None:
    assert accepted(head(GET, b"Host: " + host)).fields == ((b"host", host),)
    assert accepted(head(GET, b"hOsT:\t" + host + b" \t")).fields == ((b"host", host),)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="blank"),
        pytest.param(b":80", id="port alone"),
        pytest.param(b"user@a", id="userinfo"),
        pytest.param(b"user:secret@a", id="userinfo with password"),
        pytest.param(b"@a", id="empty userinfo"),
        pytest.param(b"a/b", id="path"),
        pytest.param(b"a/", id="slash"),
        pytest.param(b"a?b", id="query"),
        pytest.param(b"a#b", id="fragment"),
        pytest.param(b"http://a", id="URI"),
        pytest.param(b"a,b", id="list"),
        pytest.param(b"a, b", id="list with space"),
        pytest.param(b"a b", id="space within"),
        pytest.param(b"a\tb", id="tab within"),
        pytest.param(b"a:b", id="port of letters"),
        pytest.param(b"a:-1", id="negative port"),
        pytest.param(b"a:+1", id="signed port"),
        pytest.param(b"a:65536", id="port one too high"),
        pytest.param(b"a:99999999999999999999", id="port of many digits"),
        pytest.param(b"a:80:80", id="two ports"),
        pytest.param(b"a:80 ,b", id="port and list"),
        pytest.param(b"::1", id="IPv6 without brackets"),
        pytest.param(b"[::1", id="no closing bracket"),
        pytest.param(b"::1]", id="no opening bracket"),
        pytest.param(b"[]", id="empty brackets"),
        pytest.param(b"[::1]a", id="text after the bracket"),
        pytest.param(b"[::1]80", id="port without colon"),
        pytest.param(b"[::1]:x", id="IPv6 with port of letters"),
        pytest.param(b"[::g]", id="no hexadecimal digit"),
        pytest.param(b"[[::1]]", id="brackets twice"),
        pytest.param(b"[fe80::1%25eth0]", id="zone"),
        pytest.param(b"a[::1]", id="name before the bracket"),
        pytest.param(b"a\\b", id="backslash"),
        pytest.param(b"a<b>", id="angle brackets"),
        pytest.param(b'"a"', id="quotes"),
        pytest.param(b"a^b`{|}", id="other delimiters"),
        pytest.param("ä".encode(), id="raw UTF-8"),
    ],
)
def test_3_2_a_host_that_is_none_is_400(host: bytes) -> None:
    assert refused(head(GET, b"Host: " + host)) == 400


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(b"a%zz", id="percent without digits"),
        pytest.param(b"a%", id="percent at the end"),
        pytest.param(b"a%2", id="percent with one digit"),
        pytest.param(b"[1]", id="one group"),
        pytest.param(b"[:::]", id="three colons"),
        pytest.param(b"[1::2::3]", id="two gaps"),
        pytest.param(b"[1:2:3:4:5:6:7:8:9]", id="nine groups"),
        pytest.param(b"[12345::]", id="five digits"),
        pytest.param(b"[192.0.2.1]", id="IPv4 in brackets"),
        pytest.param(b"[::192.0.2.256]", id="IPv4 part too high"),
        pytest.param(b"[....]", id="dots"),
    ],
)
def test_3_2_a_host_is_held_to_the_grammar_of_rfc_3986(host: bytes) -> None:
    assert refused(head(GET, b"Host: " + host)) == 400
