"""Where this codec and the package `websockets` differ over what a client may send, and why. No tests in this file."""

from __future__ import annotations

from collections.abc import Iterable

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.websocket.faults import LONG_CONTROL, LONG_FORM, NEGATIVE, NOT_UTF8, TOO_LONG
from tests.websocket.vectors import Fault, play
from whorl.wire.websocket.events import Close, Ping, Pong

# They leave UTF-8 to their callers, but for that of a Close frame, which they read before its code. They take a length
# in any form, that of a control frame too. And here they are given no limit: they look at it before they look at what
# the frame is.
OURS_ALONE = (NOT_UTF8, LONG_FORM, LONG_CONTROL, NEGATIVE, TOO_LONG)
NAMED_OTHERWISE = "The status code must not stand in a Close frame (RFC 6455 section 7.4)."
# They refuse a Close frame between fragments, where section 5.4 allows control frames.
THEIRS_ALONE = "incomplete fragmented message"


def messages_of(frames: Iterable[object]) -> list[object]:
    """The messages and control frames that they read, with fragments joined, as our events."""
    events: list[object] = []
    opcode, parts = Opcode.CONT, b""
    for frame in frames:
        assert isinstance(frame, Frame)
        data = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            events.append(Ping(data))
        elif frame.opcode is Opcode.PONG:
            events.append(Pong(data))
        elif frame.opcode is Opcode.CLOSE:
            events.append(Close(int.from_bytes(data[:2]), data[2:].decode()) if data else Close(1005, ""))
        else:
            if frame.opcode is not Opcode.CONT:
                opcode, parts = frame.opcode, b""
            parts += data
            if frame.fin:
                events.append(parts if opcode is Opcode.BINARY else parts.decode())
    return events


def unexplained(octets: bytes) -> str:
    """What they make of a client's bytes and we do not, or the other way round, for no reason above; empty if nothing.
    Compression was not agreed on."""
    server = ServerProtocol(state=State.OPEN, max_size=None)
    server.receive_data(octets)
    ours = play([octets])
    last = ours.events[-1] if ours.events else None
    if not isinstance(last, Fault):
        if str(server.parser_exc) == THEIRS_ALONE:
            return ""
        if server.parser_exc is not None:
            return f"they fail with {server.parser_exc}"
        theirs = messages_of(server.events_received())
        return "" if theirs == list(ours.events) else f"they read {theirs}, we {ours.events}"
    if last.reason in OURS_ALONE:
        return ""
    server.receive_data(bytes(0x10000))  # we need two bytes to see most faults, they need the whole frame
    if server.close_sent is None:
        may_be_endless = b"\xff" in octets or b"\x7f" in octets  # a length of 64 bits
        return "" if may_be_endless else f"they do not see that {last.reason}"
    if server.close_sent.code != last.code and last.reason != NAMED_OTHERWISE:
        return f"their code is {server.close_sent.code}, ours {last.code}"
    return ""
