"""Whorl and the `websockets` package understand each other: handshake, messages both ways, compression, and faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.protocol import State as TheirState
from websockets.uri import parse_uri

from tests.effort import effort
from tests.websocket import strategies
from tests.websocket.differences import messages_of, unexplained
from tests.websocket.vectors import LIMIT_BYTES, said
from whorl.wire.websocket.deflate import DeflateSettings, negotiate
from whorl.wire.websocket.events import Close, Event, Ping, Pong
from whorl.wire.websocket.handshake import is_upgrade, read_handshake, response_fields
from whorl.wire.websocket.protocol import Connection, State

URI = parse_uri("ws://127.0.0.1:8000/")

OFFERS: list[ClientPerMessageDeflateFactory | None] = [
    None,
    ClientPerMessageDeflateFactory(),
    ClientPerMessageDeflateFactory(client_max_window_bits=None),
    ClientPerMessageDeflateFactory(client_max_window_bits=9),
    ClientPerMessageDeflateFactory(server_max_window_bits=9),
    ClientPerMessageDeflateFactory(server_no_context_takeover=True),
    ClientPerMessageDeflateFactory(client_no_context_takeover=True),
    ClientPerMessageDeflateFactory(True, True, 10, 11),
]

SETTINGS = [
    DeflateSettings(),
    DeflateSettings(minimum_bytes=0),
    DeflateSettings(9, 9, False, False, minimum_bytes=0),
    DeflateSettings(15, 15, memory_level=9, level=9, minimum_bytes=1),
]


def open_both(
    offer: ClientPerMessageDeflateFactory | None, settings: DeflateSettings
) -> tuple[ClientProtocol, Connection]:
    """A client of theirs and a connection of ours, after a handshake."""
    client = ClientProtocol(
        URI, extensions=[offer] if offer else None, subprotocols=["chat", "superchat"], max_size=LIMIT_BYTES
    )
    client.send_request(client.connect())
    head, _, rest = b"".join(client.data_to_send()).partition(b"\r\n\r\n")
    assert rest == b""
    request_line, *lines = head.split(b"\r\n")
    assert request_line == b"GET / HTTP/1.1"
    fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert is_upgrade("1.1", fields)
    handshake = read_handshake("GET", fields)
    deflate = negotiate(handshake.extensions, settings)
    assert (deflate is None) == (offer is None)
    answer = response_fields(handshake, "superchat", deflate)
    client.receive_data(
        b"HTTP/1.1 101 Switching Protocols\r\n" + b"".join(b"%b: %b\r\n" % field for field in answer) + b"\r\n"
    )
    assert client.handshake_exc is None
    assert client.state is TheirState.OPEN
    assert client.subprotocol == "superchat"
    client.events_received()
    return client, Connection(LIMIT_BYTES, deflate)


def send_by_them(client: ClientProtocol, message: str | bytes, places: list[int]) -> None:
    """A message of theirs in as many fragments as there are places to cut it."""
    data = message.encode() if isinstance(message, str) else message
    first, *others = strategies.cut(data, places)
    send = client.send_text if isinstance(message, str) else client.send_binary
    send(first, fin=not others)
    for number, part in enumerate(others, 1):
        client.send_continuation(part, fin=number == len(others))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("offer", OFFERS)
def test_whatever_is_offered_an_exchange_follows(
    offer: ClientPerMessageDeflateFactory | None, settings: DeflateSettings
) -> None:
    client, connection = open_both(offer, settings)
    for message in ("words " * 100, b"\0\xff" * 3000, "", b"", "words " * 100, "x" * 127, b"y" * 128):
        send_by_them(client, message, [])
        (event,) = connection.receive_data(b"".join(client.data_to_send()))
        assert event == message
        sent = connection.send_text(message) if isinstance(message, str) else connection.send_binary(message)
        client.receive_data(said(sent))
        assert messages_of(client.events_received()) == [message]


@given(
    st.lists(st.tuples(strategies.messages, strategies.places, strategies.payloads), max_size=4),
    strategies.places,
    st.sampled_from(OFFERS),
    st.sampled_from(SETTINGS),
)
@effort(60)
def test_what_they_send_is_what_we_read(
    sent: list[tuple[str | bytes, list[int], bytes]],
    places: list[int],
    offer: ClientPerMessageDeflateFactory | None,
    settings: DeflateSettings,
) -> None:
    client, connection = open_both(offer, settings)
    expected: list[Event] = []
    for message, cuts, payload in sent:
        send_by_them(client, message, cuts)
        client.send_ping(payload)
        client.send_pong(payload)
        expected += [message, Ping(payload), Pong(payload)]
    client.send_close(1001, "bye")

    events: list[Event] = []
    for piece in strategies.cut(b"".join(client.data_to_send()), places):
        events += connection.receive_data(piece)

    assert events == [*expected, Close(1001, "bye")]
    client.receive_data(connection.take_pongs() + connection.close())
    assert messages_of(client.events_received()) == [*(Pong(payload) for _, _, payload in sent), Close(1001, "")]
    assert connection.state is State.CLOSED
    client.receive_eof()
    assert client.state is TheirState.CLOSED
    assert client.close_code == 1001


@given(
    st.lists(st.tuples(strategies.messages, strategies.payloads), max_size=4),
    strategies.places,
    st.sampled_from(OFFERS),
    st.sampled_from(SETTINGS),
    strategies.codes,
    strategies.reasons,
)
@effort(60)
def test_what_we_send_is_what_they_read(
    sent: list[tuple[str | bytes, bytes]],
    places: list[int],
    offer: ClientPerMessageDeflateFactory | None,
    settings: DeflateSettings,
    code: int,
    reason: str,
) -> None:
    client, connection = open_both(offer, settings)
    octets = b""
    expected: list[object] = []
    for message, payload in sent:
        octets += said(connection.send_text(message) if isinstance(message, str) else connection.send_binary(message))
        octets += connection.ping(payload) + connection.pong(payload)
        expected += [message, Ping(payload), Pong(payload)]
    octets += connection.close(code, reason)

    for piece in strategies.cut(octets, places):
        client.receive_data(piece)

    assert messages_of(client.events_received()) == [*expected, Close(code, reason)]
    answers = connection.receive_data(b"".join(client.data_to_send()))
    assert answers == [*(Pong(payload) for _, payload in sent), Close(code, reason)]
    assert connection.state is State.CLOSED


@given(strategies.faulty)
@effort(500)
def test_what_is_wrong_for_us_is_wrong_for_them(octets: bytes) -> None:
    assert unexplained(octets) == ""
