"""permessage-deflate (RFC 7692): what is agreed about it, and the two streams that it makes of messages.

`negotiate` accepts one of a client's offers; `Inflater` and `Deflater` are one connection's two directions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from whorl.wire.websocket.extension import Extension
from whorl.wire.websocket.failure import CANNOT_READ, Failure

__all__ = ["MESSAGE_END", "PERMESSAGE_DEFLATE", "Deflate", "DeflateSettings", "Deflater", "Inflater", "negotiate"]

PERMESSAGE_DEFLATE = "permessage-deflate"

# An empty block without compression ends a message and does not travel (section 7.2.1).
MESSAGE_END = b"\x00\x00\xff\xff"

# The LZ77 windows of section 7.1.2.1. zlib writes no raw stream with one of 8 bits, and a peer's zlib that says 8 may
# mean 9, so 9 is the least that is written or expected.
WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}
LEAST_WINDOW_BITS = 9
MOST_WINDOW_BITS = 15

# A block may be marked as the last one (section 7.2.3.4), and others may follow. Each costs a new stream, so a message
# may not be made of thousands.
MOST_FINAL_BLOCKS = 16

CANNOT_INFLATE = "The message cannot be inflated (RFC 7692 section 7.2.2)."


@dataclass(frozen=True, slots=True)
class DeflateSettings:
    """What this server would like.

    zlib holds 2^(window + 2) + 2^(level of memory + 9) bytes for what it compresses, so the defaults cost 32 KiB a
    connection and zlib's own 256 KiB; a window of 4 KiB to inflate with costs 4 KiB instead of 32. Nothing is held
    before the first compressed message. On JSON the small window makes 1 KiB messages 5 % larger. Level 1 costs half
    of zlib's 6 and leaves a fourth more bytes (65 KiB of JSON: 580 us, 0.26 of its size, against 1110 us and 0.20).

    Attributes:
        server_window_bits: the largest window that is compressed with, 9 to 15.
        client_window_bits: the window that a client is asked to keep to, where it can be asked; 9 to 15.
        server_context_takeover: whether what was sent serves to compress what comes after it.
        client_context_takeover: whether the client may do so; if not, it costs no memory between messages.
        memory_level: zlib's memLevel, 1 to 9.
        level: zlib's level, 1 to 9.
        minimum_bytes: shorter messages go uncompressed. Below 128 bytes they fit into one packet anyway, and
            compressing costs as much as all the rest of sending.
    """

    server_window_bits: int = 12
    client_window_bits: int = 12
    server_context_takeover: bool = True
    client_context_takeover: bool = True
    memory_level: int = 5
    level: int = 1
    minimum_bytes: int = 128


@dataclass(frozen=True, slots=True)
class Deflate:
    """What client and server agreed on (section 7.1).

    Attributes:
        answer: the member of Sec-WebSocket-Extensions that says so.
        settings: what stays the server's own business.
        server_window_bits, client_window_bits: the largest windows.
        server_context_takeover, client_context_takeover: whether windows outlive a message.
    """

    answer: Extension
    settings: DeflateSettings
    server_window_bits: int
    client_window_bits: int
    server_context_takeover: bool
    client_context_takeover: bool


def negotiate(offers: Iterable[Extension], settings: DeflateSettings) -> Deflate | None:
    """Accept the first offer that can be kept to (section 7.1).

    Args:
        offers: what the client offered, in its order of preference.
        settings: what the server would like.

    Returns:
        The agreement; None where nothing was offered that the server can do.
    """
    for offer in offers:
        if offer.name == PERMESSAGE_DEFLATE:
            agreed = accept_offer(offer, settings)
            if agreed is not None:
                return agreed
    return None


def accept_offer(offer: Extension, settings: DeflateSettings) -> Deflate | None:
    """Accept one offer, or decline it: for a parameter that is unknown, repeated or has a wrong value (section 7.1)."""
    wanted = dict(offer.parameters)
    if len(wanted) < len(offer.parameters):
        return None
    server_context_takeover = settings.server_context_takeover
    client_context_takeover = settings.client_context_takeover
    server_window_bits = settings.server_window_bits
    client_window_bits = MOST_WINDOW_BITS
    for name, value in wanted.items():
        if name == "server_no_context_takeover" and value is None:
            server_context_takeover = False
        elif name == "client_no_context_takeover" and value is None:
            client_context_takeover = False
        elif name == "server_max_window_bits" and WINDOW_BITS.get(value or "", 0) >= LEAST_WINDOW_BITS:
            server_window_bits = min(server_window_bits, WINDOW_BITS[value or ""])
        elif name == "client_max_window_bits" and (value is None or value in WINDOW_BITS):
            client_window_bits = min(settings.client_window_bits, WINDOW_BITS.get(value or "", MOST_WINDOW_BITS))
        else:
            return None
    parameters: list[tuple[str, str | None]] = []
    if not server_context_takeover:
        parameters.append(("server_no_context_takeover", None))
    if not client_context_takeover:
        parameters.append(("client_no_context_takeover", None))
    if server_window_bits < MOST_WINDOW_BITS or "server_max_window_bits" in wanted:
        parameters.append(("server_max_window_bits", str(server_window_bits)))
    if "client_max_window_bits" in wanted:
        parameters.append(("client_max_window_bits", str(client_window_bits)))
    return Deflate(
        Extension(PERMESSAGE_DEFLATE, tuple(parameters)),
        settings,
        server_window_bits,
        client_window_bits,
        server_context_takeover,
        client_context_takeover,
    )


class Inflater:
    """What comes from the client."""

    __slots__ = ("_context_takeover", "_final_blocks", "_stream", "_window_bits")

    def __init__(self, agreed: Deflate) -> None:
        self._context_takeover = agreed.client_context_takeover
        self._window_bits = -max(agreed.client_window_bits, LEAST_WINDOW_BITS)  # negative: no header, no checksum
        self._stream: zlib._Decompress | None = None
        self._final_blocks = 0

    def inflate(self, octets: bytes, limit_bytes: int) -> bytes:
        """Inflate a part of a message, `MESSAGE_END` being the last.

        Args:
            bytes: what has come.
            limit_bytes: how much may come of it. One byte more is given where there is more, and then no part of the
                message is to follow.

        Raises:
            Failure: 1007 where it is not DEFLATE.
        """
        stream = self._stream
        if stream is None:
            stream = self._stream = zlib.decompressobj(self._window_bits)
        try:
            data = stream.decompress(octets, limit_bytes + 1)
            while stream.eof and len(data) <= limit_bytes:
                stream, octets = self._after_final_block(stream)
                data += stream.decompress(octets, limit_bytes + 1 - len(data))
        except zlib.error:
            raise Failure(CANNOT_READ, CANNOT_INFLATE) from None
        return data

    def end_message(self) -> None:
        """The message is complete."""
        self._final_blocks = 0
        if not self._context_takeover:
            self._stream = None

    def _after_final_block(self, stream: zlib._Decompress) -> tuple[zlib._Decompress, bytes]:
        """A fresh stream, because a peer that ends one begins another, and what it is to be given."""
        self._final_blocks += 1
        if self._final_blocks > MOST_FINAL_BLOCKS:
            raise Failure(CANNOT_READ, CANNOT_INFLATE)
        self._stream = zlib.decompressobj(self._window_bits)
        return self._stream, stream.unused_data


class Deflater:
    """What goes to the client.

    Attributes:
        minimum_bytes: shorter messages are not worth it.
    """

    __slots__ = ("_agreed", "_stream", "minimum_bytes")

    def __init__(self, agreed: Deflate) -> None:
        self._agreed = agreed
        self._stream: zlib._Compress | None = None
        self.minimum_bytes = agreed.settings.minimum_bytes

    def deflate(self, data: bytes) -> bytes:
        """Compress a whole message (section 7.2.1)."""
        stream = self._stream
        if stream is None:
            settings = self._agreed.settings
            stream = zlib.compressobj(
                settings.level, zlib.DEFLATED, -self._agreed.server_window_bits, settings.memory_level
            )
            if self._agreed.server_context_takeover:
                self._stream = stream
        return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)[: -len(MESSAGE_END)]
