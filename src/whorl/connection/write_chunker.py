"""Large writes in portions, for a system that takes a write whole and says nothing of it until all of it was sent
(Windows, WSASend).

There, a client that reads a large response slowly but steadily would look like one that does nothing. Each portion that
has left is progress.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

__all__ = ["PORTION_BYTES", "WriteChunker"]

PORTION_BYTES = 64 * 1024


class Writer(Protocol):
    """A connection that writes."""

    writing_blocked: bool


class WriteChunker(asyncio.Transport):
    """A transport in front of another, which is given large writes bit by bit.

    Args:
        inner: the loop's transport.
        output: what it tells when it has enough, and when it wants more.
    """

    __slots__ = ("_endings", "_inner", "_output", "_rest", "_rest_bytes")

    def __init__(self, inner: asyncio.Transport, output: Writer) -> None:
        super().__init__()
        self._inner = inner
        self._output = output
        self._rest: deque[memoryview] = deque()
        self._rest_bytes = 0
        self._endings: list[Callable[[], None]] = []

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._inner.is_closing():
            return  # winloop raises, where the others know that `connection_lost` is on its way
        if self._rest or len(data) > PORTION_BYTES:
            self._rest.append(memoryview(data))
            self._rest_bytes += len(data)
            self.go_on()
        else:
            self._inner.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self.write(data)

    def go_on(self) -> None:
        """Hand over portions until the transport has enough, and after the last whatever ends the connection."""
        rest = self._rest
        while rest and not self._output.writing_blocked:
            if self._inner.is_closing():
                self._forget()
                return
            portion = rest[0][:PORTION_BYTES]
            if len(portion) == len(rest[0]):
                rest.popleft()
            else:
                rest[0] = rest[0][PORTION_BYTES:]
            self._rest_bytes -= len(portion)
            self._inner.write(portion)
        if not rest:
            for end in self._endings:
                end()
            self._endings.clear()

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size() + self._rest_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    # Ending

    def _end(self, end: Callable[[], None]) -> None:
        if self._rest:
            self._endings.append(end)
        else:
            end()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def write_eof(self) -> None:
        self._end(self._inner.write_eof)

    def close(self) -> None:
        self._end(self._inner.close)

    def abort(self) -> None:
        self._forget()
        self._inner.abort()

    def _forget(self) -> None:
        self._rest.clear()
        self._rest_bytes = 0
        self._endings.clear()

    def is_closing(self) -> bool:
        return self._inner.is_closing() or self._inner.close in self._endings

    # Reading, and facts

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)
