"""Writing in portions, as on Windows, where the loop hears of a write only when all of it was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from whorl.connection.write_chunker import PORTION_BYTES, WriteChunker

LARGE = bytes(range(256)) * 1024


class Whole(asyncio.Transport):
    """A loop's transport that sends a write whole or not at all, and has enough as soon as anything waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = b""
        self.sent = b""
        self.endings: list[str] = []
        self.blocked = False

    def write(self, data: Any) -> None:
        assert not self.is_closing()
        self.waiting += data
        self.blocked = True

    def send(self) -> int:
        """The client has taken what was waiting."""
        size = len(self.waiting)
        self.sent += self.waiting
        self.waiting = b""
        self.blocked = False
        return size

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def write_eof(self) -> None:
        self.endings.append("write_eof")

    def close(self) -> None:
        self.endings.append("close")

    def abort(self) -> None:
        self.endings.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.endings or "abort" in self.endings


class Gauge:
    """What a connection knows of its transport, and nothing else of it."""

    def __init__(self, transport: Whole) -> None:
        self.transport = transport

    @property
    def writing_blocked(self) -> bool:
        return self.transport.blocked


@pytest.fixture
def whole() -> Whole:
    return Whole()


@pytest.fixture
def portions(whole: Whole) -> WriteChunker:
    return WriteChunker(whole, Gauge(whole))  # type: ignore[arg-type]


def test_each_portion_that_leaves_shows_as_progress(whole: Whole, portions: WriteChunker) -> None:
    portions.write(LARGE)
    left_bytes = len(LARGE)
    while left_bytes:
        assert portions.get_write_buffer_size() == left_bytes
        sent_bytes = whole.send()
        assert 0 < sent_bytes <= PORTION_BYTES
        left_bytes -= sent_bytes
        portions.go_on()
    assert whole.sent == LARGE
    assert portions.get_write_buffer_size() == 0


def test_what_is_written_later_comes_later(whole: Whole, portions: WriteChunker) -> None:
    portions.writelines((b"head", LARGE))
    portions.write(b"tail")
    while portions.get_write_buffer_size():
        whole.send()
        portions.go_on()
    assert whole.sent == b"head" + LARGE + b"tail"


@pytest.mark.parametrize("ending", ["write_eof", "close"])
def test_the_end_waits_for_the_last_portion(whole: Whole, portions: WriteChunker, ending: str) -> None:
    portions.write(LARGE)
    getattr(portions, ending)()
    assert portions.is_closing() == (ending == "close")
    while not whole.endings:
        whole.send()
        portions.go_on()
    assert whole.sent + whole.waiting == LARGE
    assert whole.endings == [ending]


def test_an_abort_waits_for_nothing(whole: Whole, portions: WriteChunker) -> None:
    portions.write(LARGE)
    portions.close()
    portions.abort()
    portions.go_on()
    assert whole.endings == ["abort"]


def test_nothing_is_written_to_a_transport_that_is_closing(whole: Whole, portions: WriteChunker) -> None:
    portions.write(LARGE)
    whole.close()
    whole.send()
    portions.go_on()
    portions.write(b"more")
    assert whole.waiting == b""
