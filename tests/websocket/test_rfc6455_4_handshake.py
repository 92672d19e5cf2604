"""RFC 6455 section 4: the opening handshake, and sections 9.1 (extensions) and 11.3.4 (subprotocols)."""

from __future__ import annotations

import base64

import pytest

from whorl.wire.websocket.deflate import DeflateSettings, negotiate
from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.handshake import (
    Field,
    Handshake,
    HandshakeRefusal,
    accept_key,
    is_upgrade,
    read_handshake,
    response_fields,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # of section 1.3

FIELDS: list[Field] = [
    (b"host", b"server.example.com"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"origin", b"http://example.com"),
    (b"sec-websocket-version", b"13"),
]


def fields(*changes: tuple[bytes, bytes | None]) -> list[Field]:
    """The example's fields, some replaced by those given, or left out for None, or added."""
    names = {name for name, _ in changes}
    kept = [field for field in FIELDS if field[0] not in names]
    return kept + [(name, value) for name, value in changes if value is not None]


def refused(*changes: tuple[bytes, bytes | None], method: str = "GET") -> HandshakeRefusal:
    with pytest.raises(HandshakeRefusal) as caught:
        read_handshake(method, fields(*changes))
    assert caught.value.reason.endswith(").")
    return caught.value


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ((b"upgrade", b"WebSocket"),),
        ((b"upgrade", b"h2c, websocket"),),
        ((b"upgrade", b"h2c"), (b"upgrade", b"websocket")),
        ((b"connection", b"keep-alive, Upgrade"),),
        ((b"connection", b"upgrade"),),
        ((b"connection", b"keep-alive"), (b"connection", b",\tUPGRADE ,")),
        ((b"sec-websocket-key", None),),
    ],
)
def test_4_2_1_a_request_asks_by_upgrade_and_connection(changes: tuple[tuple[bytes, bytes | None], ...]) -> None:
    assert is_upgrade("1.1", fields(*changes))


@pytest.mark.parametrize(
    "changes",
    [
        ((b"upgrade", None),),
        ((b"upgrade", b"h2c"),),
        ((b"upgrade", b"websocket2"),),
        ((b"upgrade", b"web socket"),),
        ((b"connection", None),),
        ((b"connection", b"close"),),
        ((b"connection", b"upgraded"),),
    ],
)
def test_4_2_1_what_does_not_ask_is_plain_http(changes: tuple[tuple[bytes, bytes | None], ...]) -> None:
    assert not is_upgrade("1.1", fields(*changes))


def test_4_2_1_http_1_0_cannot_upgrade() -> None:
    assert not is_upgrade("1.0", FIELDS)


def test_4_2_1_the_example_is_accepted() -> None:
    assert read_handshake("GET", FIELDS) == Handshake(KEY, (), ())


@pytest.mark.parametrize("method", ["POST", "HEAD", "get", "CONNECT", "OPTIONS"])
def test_4_2_1_the_method_is_get(method: str) -> None:
    assert refused(method=method).status == 400


@pytest.mark.parametrize("field", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
def test_4_2_1_there_is_no_content(field: Field) -> None:
    assert refused(field).status == 400


def test_4_2_1_content_of_no_length_is_none() -> None:
    assert read_handshake("GET", fields((b"content-length", b"0"))).key == KEY


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"x",
        KEY[:-1],
        KEY + b"=",
        b" " + KEY,
        KEY[:-4],
        KEY[:8] + b"!" + KEY[9:],
        KEY[:8] + b"\xff" + KEY[9:],
        base64.b64encode(bytes(15)),
        base64.b64encode(bytes(17)),
        base64.urlsafe_b64encode(b"\xff" * 16),
    ],
)
def test_4_2_1_the_key_is_16_octets_in_base64(key: bytes | None) -> None:
    assert refused((b"sec-websocket-key", key)).status == 400


def test_4_2_1_there_is_one_key() -> None:
    assert refused((b"sec-websocket-key", KEY), (b"sec-websocket-key", KEY)).status == 400


@pytest.mark.parametrize("version", [None, b"", b"8", b"12", b"14", b"013", b"13, 8", b"0x0d", b"\xb2"])
def test_4_4_another_version_is_told_ours(version: bytes | None) -> None:
    refusal = refused((b"sec-websocket-version", version))

    assert refusal.status == 426
    assert dict(refusal.fields) == {
        b"sec-websocket-version": b"13",
        b"upgrade": b"websocket",  # RFC 9110 section 15.5.22
        b"connection": b"Upgrade",
    }


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((b"chat",), ("chat",)),
        ((b"chat, superchat",), ("chat", "superchat")),
        ((b"chat,superchat , v1.x",), ("chat", "superchat", "v1.x")),
        ((b"chat", b"superchat"), ("chat", "superchat")),
        ((b"Chat, chat",), ("Chat", "chat")),
        ((b",chat,,",), ("chat",)),
        ((b"",), ()),
    ],
)
def test_11_3_4_subprotocols_are_a_list(values: tuple[bytes, ...], names: tuple[str, ...]) -> None:
    offered = [(b"sec-websocket-protocol", value) for value in values]

    assert read_handshake("GET", fields(*offered)).subprotocols == names


@pytest.mark.parametrize("value", [b"a b", b"a/b", b'"a"', b"a;b", b"a\xe9", b"chat, chat", b"a\tb"])
def test_4_1_subprotocols_are_distinct_tokens(value: bytes) -> None:
    assert refused((b"sec-websocket-protocol", value)).status == 400


@pytest.mark.parametrize(
    ("values", "extensions"),
    [
        ((b"foo",), (Extension("foo"),)),
        ((b"Foo; Bar",), (Extension("foo", (("bar", None),)),)),
        ((b"foo;bar=1",), (Extension("foo", (("bar", "1"),)),)),
        ((b'foo ; bar = "1"; baz',), (Extension("foo", (("bar", "1"), ("baz", None))),)),
        ((b"foo; bar=A, baz",), (Extension("foo", (("bar", "A"),)), Extension("baz"))),
        ((b"foo; bar=1", b"foo"), (Extension("foo", (("bar", "1"),)), Extension("foo"))),
        ((b",foo,,bar,",), (Extension("foo"), Extension("bar"))),
    ],
)
def test_9_1_extensions_are_a_list(values: tuple[bytes, ...], extensions: tuple[Extension, ...]) -> None:
    offered = [(b"sec-websocket-extensions", value) for value in values]

    assert read_handshake("GET", fields(*offered)).extensions == extensions


@pytest.mark.parametrize(
    "value",
    [b";", b"foo;", b"foo bar", b"foo; =1", b"foo; bar=", b'foo; bar="', b'foo; bar=""', b'foo; bar="a b"', b"foo/1",
     b"foo; bar=1=2", b"foo\xe9", b'foo; bar="a,b"', b",", b"foo; bar baz", b'"foo"'],
)  # fmt: skip
def test_9_1_malformed_extensions_are_refused(value: bytes) -> None:
    assert refused((b"sec-websocket-extensions", value)).status == 400


def test_9_1_what_is_agreed_is_written_as_it_is_read() -> None:
    extension = Extension("foo", (("bar", None), ("baz", "1")))

    assert extension.field_value() == b"foo; bar; baz=1"


def test_4_2_2_the_accept_key_of_the_example() -> None:
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_4_2_2_the_response_of_the_example() -> None:
    handshake = read_handshake("GET", fields((b"sec-websocket-protocol", b"chat, superchat")))

    assert response_fields(handshake, "chat", None) == [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        (b"sec-websocket-protocol", b"chat"),
    ]


def test_4_2_2_nothing_is_said_about_what_was_not_chosen() -> None:
    offered = fields((b"sec-websocket-protocol", b"chat"), (b"sec-websocket-extensions", b"permessage-deflate"))

    names = [name for name, _ in response_fields(read_handshake("GET", offered), None, None)]

    assert names == [b"upgrade", b"connection", b"sec-websocket-accept"]


def test_4_2_2_the_extension_agreed_on_is_said() -> None:
    handshake = read_handshake("GET", fields((b"sec-websocket-extensions", b"foo, permessage-deflate")))
    deflate = negotiate(handshake.extensions, DeflateSettings())

    said = dict(response_fields(handshake, None, deflate))[b"sec-websocket-extensions"]

    assert said == b"permessage-deflate; server_max_window_bits=12"


@pytest.mark.parametrize("chosen", ["superchat", "Chat", ""])
def test_4_2_2_a_subprotocol_that_was_not_offered_is_not_chosen(chosen: str) -> None:
    handshake = read_handshake("GET", fields((b"sec-websocket-protocol", b"chat")))

    with pytest.raises(ValueError, match="did not offer"):
        response_fields(handshake, chosen, None)
