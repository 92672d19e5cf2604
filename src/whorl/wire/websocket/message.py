"""A message that comes in parts (RFC 6455 sections 5.4 and 5.6, RFC 7692 section 7.2.2): fragments, or pieces of a
frame that is longer than one read.

Each part is inflated, counted and checked as it comes, so that a message that cannot be right ends at its first wrong
byte and a limit is never passed in memory. What it costs is in proportion to the bytes, however small the parts.
"""

from __future__ import annotations

from codecs import utf_8_decode

from whorl.wire.websocket.deflate import MESSAGE_END, Inflater
from whorl.wire.websocket.failure import CANNOT_READ, NOT_UTF8, TOO_BIG, Failure

__all__ = ["TOO_LONG", "BinaryMessage", "Message", "TextMessage"]

TOO_LONG = "The message is longer than this server takes (RFC 6455 section 7.4.1)."

# The decoder is told of a surrogate only when its third byte has come; every other wrong byte it finds at once.
SURROGATES = b"\xed\xa0"
AFTER_SURROGATES = b"\xee"

# A string of one byte costs fifty. So many of them are joined before more are taken: enough that long parts are
# copied seldom, few enough that short ones cost little.
MOST_PARTS = 256


class Parts:
    """What has come of a message."""

    __slots__ = ("_joined", "_latest")

    def __init__(self) -> None:
        self._joined: list[bytes] = []
        self._latest: list[bytes] = []

    def add(self, part: bytes) -> None:
        self._latest.append(part)
        if len(self._latest) == MOST_PARTS:
            self._joined.append(b"".join(self._latest))
            self._latest.clear()

    def join(self) -> bytes:
        return b"".join(self._joined + self._latest)


class Message:
    """One message that has begun.

    Args:
        limit_bytes: how long it may be: bytes of data, after inflating.
        inflater: what inflates it; None where it is not compressed.

    Attributes:
        room_bytes: how much more data may come.
        is_compressed: whether the lengths of its frames say nothing about its own.
    """

    __slots__ = ("_inflater", "is_compressed", "room_bytes")

    def __init__(self, limit_bytes: int, inflater: Inflater | None) -> None:
        self._inflater = inflater
        self.is_compressed = inflater is not None
        self.room_bytes = limit_bytes

    def add(self, payload: bytes) -> None:
        """Take the next bytes.

        Raises:
            Failure: 1007 where they are not UTF-8 or cannot be inflated, 1009 where the message is too long.
        """
        if self._inflater is not None:
            payload = self._inflater.inflate(payload, self.room_bytes)
        self.room_bytes -= len(payload)
        if self.room_bytes < 0:
            raise Failure(TOO_BIG, TOO_LONG)
        if payload:
            self._keep(payload)

    def finish(self) -> str | bytes:
        """The whole message: text, or bytes.

        Raises:
            Failure: as `add` does.
        """
        if self._inflater is not None:
            self.add(MESSAGE_END)
            self._inflater.end_message()
        return self._whole()

    def _keep(self, data: bytes) -> None:
        raise NotImplementedError

    def _whole(self) -> str | bytes:
        raise NotImplementedError


class BinaryMessage(Message):
    """A message of bytes."""

    __slots__ = ("_parts",)

    def __init__(self, limit_bytes: int, inflater: Inflater | None) -> None:
        super().__init__(limit_bytes, inflater)
        self._parts = Parts()

    def _keep(self, data: bytes) -> None:
        self._parts.add(data)

    def _whole(self) -> bytes:
        return self._parts.join()


class TextMessage(Message):
    """A message of UTF-8 (RFC 6455 section 8.1), whose parts may end within a character.

    It waits as UTF-8: a `str` with one emoji in it takes four bytes for each character.
    """

    __slots__ = ("_parts", "_undecoded")

    def __init__(self, limit_bytes: int, inflater: Inflater | None) -> None:
        super().__init__(limit_bytes, inflater)
        self._parts = Parts()
        self._undecoded = b""

    def _keep(self, data: bytes) -> None:
        self._parts.add(data)
        if self._undecoded:
            data = self._undecoded + data
        elif data.isascii():
            return
        try:
            _, decoded_bytes = utf_8_decode(data, "strict", False)
        except UnicodeDecodeError:
            raise Failure(CANNOT_READ, NOT_UTF8) from None
        self._undecoded = data[decoded_bytes:]
        if SURROGATES <= self._undecoded < AFTER_SURROGATES:
            raise Failure(CANNOT_READ, NOT_UTF8)

    def _whole(self) -> str:
        if self._undecoded:
            raise Failure(CANNOT_READ, NOT_UTF8)
        return self._parts.join().decode()
