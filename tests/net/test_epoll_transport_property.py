"""A wire and asyncio's own transport, told the same and with the same peer, do the same. Over Unix sockets, on which
everything has arrived when it is sent."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import effort
from tests.net.recorder import Recorder, turns, unix_pair, wired
from whorl.net import epoll as poller_module
from whorl.net.epoll import Poller
from whorl.net.io_batch import MIN_BATCH_SIZE, IoBatch
from whorl.platform import HERE

pytestmark = pytest.mark.skipif(not HERE.has_epoll, reason="needs epoll(7)")

SMALL, LARGE = 1000, 8 * 1024 * 1024
STEPS = st.one_of(
    st.tuples(st.sampled_from(["write", "writelines"]), st.sampled_from([1, SMALL, LARGE])),
    st.tuples(st.sampled_from(["send"]), st.sampled_from([1, SMALL])),
    st.tuples(st.sampled_from(["pause", "resume", "eof", "close", "abort", "take", "end", "leave"])),
)


@dataclass
class Peer:
    """The other end."""

    handle: socket.socket
    sent_bytes: int = 0
    taken: bytearray = field(default_factory=bytearray)
    ended: bool = False
    broken: bool = False
    closed: bool = False

    def send(self, size_bytes: int) -> None:
        try:
            self.handle.sendall(b"s" * size_bytes)
            self.sent_bytes += size_bytes
        except OSError:
            self.broken = True

    async def take(self) -> None:
        """Whatever is on its way."""
        idle = 0
        while idle < 20 and not self.ended and not self.broken and not self.closed:
            try:
                piece = self.handle.recv(1024 * 1024)
            except BlockingIOError:
                idle += 1
            except OSError:
                self.broken = True
            else:
                idle = 0
                self.taken += piece
                self.ended = not piece
            await turns(2)

    def end(self) -> None:
        try:
            self.handle.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True

    def leave(self) -> None:
        """A reset, where it has not read everything."""
        self.closed = True
        self.handle.close()


async def step(what: str, transport: asyncio.Transport, peer: Peer, size_bytes: int = 0) -> str:
    """Returns the exception that the transport raised, by its name."""
    try:
        if what in ("write", "writelines"):
            if not transport.is_closing():  # what becomes of it then is nobody's concern
                octets = b"w" * size_bytes
                if what == "write":
                    transport.write(octets)
                else:
                    transport.writelines([piece for piece in (octets[:10], octets[10:]) if piece])
                transport.set_write_buffer_limits()  # asyncio forgot to look (CVE-2024-12254)
        elif what == "pause":
            transport.pause_reading()
        elif what == "resume":
            transport.resume_reading()
        elif what == "eof":
            transport.write_eof()
        elif what == "close":
            transport.close()
        elif what == "abort":
            transport.abort()
        elif what == "take":
            await peer.take()
        elif not peer.closed:
            act: Any = {"send": peer.send, "end": peer.end, "leave": peer.leave}
            act[what](*([size_bytes] if what == "send" else []))
    except (RuntimeError, OSError) as error:
        return type(error).__name__
    return ""


async def live(steps: list[tuple[Any, ...]], poller: Poller | None) -> dict[str, Any]:
    """Returns what came of it."""
    ours, theirs = unix_pair()
    theirs.setblocking(False)
    recorder, peer = Recorder(), Peer(theirs)
    if poller is None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: recorder, ours)
    else:
        wired(poller, ours, recorder)
    raised = []
    for what, *size in steps:
        if "lost" in recorder.told and what in ("pause", "resume", "eof", "close", "abort"):
            continue  # asyncio's own fails of some of these
        raised.append(await step(what, recorder.transport, peer, *size))
        await turns()
        if peer.closed:
            break  # the loop's own finds out when it writes, or never; a wire at once, whether it reads or not
    if poller is not None and peer.closed and ("eof",) not in steps:
        assert "lost" in recorder.told
    await peer.take()
    closing = recorder.transport.is_closing()
    lost = "lost" in recorder.told
    unsent = recorder.transport.get_write_buffer_size() > 0
    if not lost:
        recorder.transport.abort()
    await turns()
    if not peer.closed:
        theirs.close()
    told = [word for number, word in enumerate(recorder.told) if word != "eof" or "eof" not in recorder.told[:number]]
    came = {
        "raised": raised,
        "told": told,
        "received": recorder.data,
        "error": type(recorder.error).__name__,
        "closing": closing,
        "lost": lost,
        "unsent": unsent,
    }
    if peer.closed:
        return {"raised": raised, "received": recorder.data}
    if peer.sent_bytes == len(recorder.data):  # else our close was a reset, which may overtake what was written
        came |= {"taken": bytes(peer.taken), "ended": peer.ended, "broken": peer.broken}
    return came


@effort(60)
@given(st.lists(STEPS, max_size=10), st.sampled_from([1, MIN_BATCH_SIZE]))
def test_same_as_the_loops_own(steps: list[tuple[Any, ...]], many: int) -> None:
    async def main() -> None:
        poller_module.MIN_BATCH_SIZE = many  # type: ignore[misc]
        loop = asyncio.get_running_loop()
        complaints: list[Any] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        poller = Poller(loop, IoBatch())
        try:
            theirs = await live(steps, None)
            assert await live(steps, poller) == theirs
            assert complaints == []
            assert not len(poller)
        finally:
            poller.close()
            poller_module.MIN_BATCH_SIZE = MIN_BATCH_SIZE  # type: ignore[misc]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
