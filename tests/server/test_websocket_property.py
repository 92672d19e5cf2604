"""Whatever a client says, however it is compressed and cut into frames and reads: the application hears the same, and
so does the client. The client is the sans-IO one of the package `websockets`, so nobody marks their own work."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.harness import Process
from tests.server.client import PATIENCE_SECONDS

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LONG = st.builds(lambda piece, times: piece * times, TEXTS, st.integers(1, 300))
LONG_OCTETS = st.builds(lambda piece, times: piece * times, st.binary(max_size=300), st.integers(1, 300))
MESSAGES = st.lists(TEXTS | LONG | st.binary(max_size=300) | LONG_OCTETS, min_size=1, max_size=8)
CUTS = st.lists(st.integers(1, 5000), max_size=50)

# Both windows and both settings of what outlives a message (RFC 7692 section 7.1). zlib writes none of 8 bits.
OFFERS = st.none() | st.builds(
    ClientPerMessageDeflateFactory,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.none() | st.integers(9, 15),
    client_max_window_bits=st.none() | st.just(True) | st.integers(9, 15),
)


class Speaker:
    """A client that sends its bytes in pieces of given sizes, and then the rest."""

    def __init__(self, server: Process, offer: ClientPerMessageDeflateFactory | None) -> None:
        uri = parse_uri(f"ws://127.0.0.1:{server.port}/echo")
        self.protocol = ClientProtocol(uri, extensions=offer and [offer], max_size=None)
        self.socket = server.connect(PATIENCE_SECONDS)
        self.protocol.send_request(self.protocol.connect())
        self.flush([])
        events: list[object] = []
        while not events:
            events = self.hear()
        assert isinstance(events[0], Response)
        self.events = events[1:]
        self.check_agreement(offer)

    def check_agreement(self, offer: ClientPerMessageDeflateFactory | None) -> None:
        """What the server said is what the client asked for, or less memory."""
        if offer is None:
            assert self.protocol.extensions == []
            return
        (agreed,) = self.protocol.extensions
        assert isinstance(agreed, PerMessageDeflate)
        assert agreed.remote_no_context_takeover >= offer.server_no_context_takeover
        assert agreed.local_no_context_takeover >= offer.client_no_context_takeover
        assert agreed.remote_max_window_bits <= (offer.server_max_window_bits or 15)
        if offer.client_max_window_bits is None:
            assert agreed.local_max_window_bits == 15, "who does not offer it cannot be asked"
        else:
            most = 15 if offer.client_max_window_bits is True else offer.client_max_window_bits
            assert agreed.local_max_window_bits <= most

    def flush(self, cuts: list[int]) -> None:
        octets = b"".join(self.protocol.data_to_send())
        for size in cuts:
            self.socket.sendall(octets[:size])
            octets = octets[size:]
        self.socket.sendall(octets)

    def hear(self) -> list[object]:
        """What comes next."""
        data = self.socket.recv(65536)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        return list(self.protocol.events_received())

    def say(self, message: str | bytes, fragments: int) -> None:
        """A message in so many frames."""
        octets = message.encode() if isinstance(message, str) else message
        size = max(1, len(octets) // fragments)
        parts = [octets[at : at + size] for at in range(0, len(octets), size)] or [b""]
        send = self.protocol.send_text if isinstance(message, str) else self.protocol.send_binary
        send(parts[0], fin=len(parts) == 1)
        for left, part in zip(range(len(parts) - 2, -1, -1), parts[1:], strict=True):
            self.protocol.send_continuation(part, fin=not left)
            self.protocol.send_ping(b"between")

    def messages(self, count: int) -> list[str | bytes]:
        """As many messages as were said, whole."""
        found: list[str | bytes] = []
        parts: list[bytes] = []
        is_text = False
        while len(found) < count:
            for event in self.events or self.hear():
                assert isinstance(event, Frame)
                if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    assert event.opcode is Opcode.PONG
                    continue
                if event.opcode is not Opcode.CONT:
                    is_text = event.opcode is Opcode.TEXT
                parts.append(bytes(event.data))
                if event.fin:
                    octets = b"".join(parts)
                    found.append(octets.decode() if is_text else octets)
                    parts.clear()
            self.events = []
        return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MESSAGES, CUTS, st.integers(1, 5), OFFERS)
def test_every_message_comes_back_as_it_went(
    server: Process,
    messages: list[str | bytes],
    cuts: list[int],
    fragments: int,
    offer: ClientPerMessageDeflateFactory | None,
) -> None:
    speaker = Speaker(server, offer)
    with speaker.socket:
        for message in messages:
            speaker.say(message, fragments)
        speaker.flush(cuts)
        assert speaker.messages(len(messages)) == messages
        speaker.protocol.send_close(1000, "enough")
        speaker.flush(cuts)
        while speaker.protocol.state is not State.CLOSED:
            speaker.hear()
        assert speaker.protocol.close_code == 1000
