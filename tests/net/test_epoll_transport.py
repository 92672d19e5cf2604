"""One connected socket as a transport, and the epoll object that serves many."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.net.recorder import Recorder, tcp_pair, turns, unix_pair, until, wired
from whorl.net import epoll as poller_module
from whorl.net.epoll import MAX_EVENTS, READABLE, WRITABLE, Poller
from whorl.net.io_batch import MAX_BATCHED_BYTES, MIN_BATCH_SIZE, IoBatch
from whorl.net.read_size import READ_BYTES
from whorl.platform import HERE, reset_on_close

pytestmark = pytest.mark.skipif(not HERE.has_epoll, reason="needs epoll(7)")


@pytest.fixture(autouse=True, params=[1, MIN_BATCH_SIZE], ids=["stages", "at once"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From how many on the stages of a turn are kept apart."""
    monkeypatch.setattr(poller_module, "MIN_BATCH_SIZE", request.param)


PAIRS = pytest.mark.parametrize("pair", [tcp_pair, unix_pair])
LARGE = os.urandom(10 * 1024 * 1024)

Pair = Callable[[], tuple[socket.socket, socket.socket]]


def run(main: Callable[[Poller], Awaitable[None]]) -> list[dict[str, Any]]:
    """Run a test, which is to leave nothing behind. Returns what the loop was told to complain of."""
    complaints: list[dict[str, Any]] = []
    before = sorted(os.listdir("/proc/self/fd"))

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        poller = Poller(loop, IoBatch())
        try:
            await main(poller)
            await turns()
            assert not len(poller)
        finally:
            poller.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(whole())  # type: ignore[arg-type]
    gc.collect()
    assert sorted(os.listdir("/proc/self/fd")) == before
    return complaints


def take(theirs: socket.socket, size_bytes: int) -> bytes:
    """So many bytes, or all there are until the end."""
    pieces = []
    while size_bytes and (piece := theirs.recv(size_bytes)):
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


async def take_slowly(theirs: socket.socket, size_bytes: int) -> bytes:
    """The same, while the loop goes on."""
    theirs.setblocking(False)
    taken = bytearray()
    async with asyncio.timeout(30):
        while len(taken) < size_bytes:
            try:
                piece = theirs.recv(100_000)
            except BlockingIOError:
                piece = None
            if piece == b"":
                break
            taken += piece or b""
            await asyncio.sleep(0)
    theirs.settimeout(10)
    return bytes(taken)


def test_the_words_of_the_kernel() -> None:
    assert (READABLE, WRITABLE) == (select.EPOLLIN, select.EPOLLOUT)


@PAIRS
def test_octets_go_both_ways(pair: Pair) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = pair()
        with theirs:
            recorder = wired(poller, ours)
            theirs.sendall(b"question")
            await until(lambda: recorder.data)
            recorder.transport.write(b"answer")
            assert theirs.recv(100) == b"answer"
            recorder.transport.writelines([b"one", b"", bytearray(b"two"), memoryview(b"three")])
            assert take(theirs, 11) == b"onetwothree"
            recorder.transport.close()
            assert recorder.transport.is_closing()
            assert recorder.told == ["made"]  # not in the call
            await turns()
            assert recorder.told == ["made", "lost"]
            assert recorder.error is None
            assert theirs.recv(1) == b""

    assert run(main) == []


def test_facts() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = tcp_pair()
        with theirs:
            recorder = wired(poller, ours)
            transport = recorder.transport
            assert transport.get_extra_info("sockname") == theirs.getpeername()
            assert transport.get_extra_info("socket").fileno() == ours.fileno()
            assert transport.get_extra_info("sslcontext", "none") == "none"
            assert transport.can_write_eof()
            transport.abort()
            await turns()
            assert transport.get_extra_info("socket").fileno() == -1
            assert transport.get_extra_info("sockname") is None
            transport.write(b"late")
            transport.writelines([b"later"])
            transport.close()
            transport.abort()
            transport.pause_reading()
            transport.resume_reading()
            await turns()
            assert recorder.told == ["made", "lost"]

    assert run(main) == []


@PAIRS
@pytest.mark.parametrize("lines", [False, True])
def test_a_slow_reader_gets_all_of_it(pair: Pair, lines: bool) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = pair()
        with theirs:
            recorder = wired(poller, ours)
            transport = recorder.transport
            transport.set_write_buffer_limits(64 * 1024, 16 * 1024)
            if lines:
                transport.writelines((b"head", LARGE))
            else:
                transport.write(b"head")
                transport.write(LARGE)
            assert recorder.told == ["made", "pause"]
            assert 0 < transport.get_write_buffer_size() < len(LARGE) + 4
            transport.write(b"tail")
            transport.close()
            assert transport.is_closing()
            transport.write(b"never")
            taken = await take_slowly(theirs, len(LARGE) + 8)
            assert taken == b"head" + LARGE + b"tail"
            await until(lambda: "lost" in recorder.told)
            assert theirs.recv(1) == b""
            assert recorder.told == ["made", "pause", "resume", "lost"]
            assert recorder.error is None
            assert transport.get_write_buffer_size() == 0

    assert run(main) == []


def test_many_small_pieces_wait_their_turn() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with theirs:
            recorder = wired(poller, ours)
            pieces = [b"%d," % number for number in range(5000)]
            for piece in pieces:
                recorder.transport.write(piece)
            whole = b"".join(pieces)
            assert await take_slowly(theirs, len(whole)) == whole
            recorder.transport.abort()

    assert run(main) == []


def test_the_water_marks() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            recorder = wired(poller, ours)
            transport = recorder.transport
            for wrong in ((-1, None), (10, 20)):
                with pytest.raises(ValueError, match="must be at least low"):
                    transport.set_write_buffer_limits(*wrong)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits(high=len(LARGE))
            transport.write(LARGE)
            assert recorder.told == ["made"]
            transport.set_write_buffer_limits(high=0)  # what waits already counts
            assert recorder.told == ["made", "pause"]
            assert await take_slowly(theirs, len(LARGE)) == LARGE
            await until(lambda: "resume" in recorder.told)
            assert transport.get_write_buffer_size() == 0
            transport.abort()

    assert run(main) == []


def test_half_of_the_connection_is_shut_when_all_is_sent() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            recorder = wired(poller, ours)
            recorder.transport.write(LARGE)
            recorder.transport.write_eof()
            recorder.transport.write_eof()
            with pytest.raises(RuntimeError):
                recorder.transport.write(b"more")
            assert not recorder.transport.is_closing()
            assert await take_slowly(theirs, len(LARGE) + 1) == LARGE
            theirs.sendall(b"still here")
            await until(lambda: recorder.data == b"still here")
            theirs.close()
            await until(lambda: "eof" in recorder.told)
            await turns()
            assert "lost" not in recorder.told  # the protocol keeps its half
            recorder.transport.close()

    assert run(main) == []


@PAIRS
@pytest.mark.parametrize("keeps_half", [False, True])
def test_a_peer_that_says_no_more(pair: Pair, keeps_half: bool) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = pair()
        with theirs:
            recorder = wired(poller, ours, Recorder(keeps_half))
            recorder.on["eof"] = lambda: recorder.transport.write(b"goodbye")
            theirs.sendall(b"all")
            theirs.shutdown(socket.SHUT_WR)
            await until(lambda: "eof" in recorder.told)
            await turns()
            assert recorder.data == b"all"
            assert take(theirs, 7) == b"goodbye"
            recorder.transport.pause_reading()
            recorder.transport.resume_reading()  # there is nothing to resume
            await turns()
            assert recorder.told == ["made", "eof"] + ["lost"] * (not keeps_half)
            recorder.transport.close()

    assert run(main) == []


def test_nothing_is_read_while_reading_is_paused() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            recorder = wired(poller, ours)
            transport = recorder.transport
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            theirs.sendall(b"wait")
            await turns()
            assert recorder.data == b""
            transport.write(b"meanwhile")
            assert theirs.recv(100) == b"meanwhile"
            transport.resume_reading()
            transport.resume_reading()
            await until(lambda: recorder.data == b"wait")
            transport.abort()

    assert run(main) == []


@PAIRS
def test_a_peer_that_vanishes_while_reading_is_paused(pair: Pair) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = pair()
        recorder = wired(poller, ours)
        recorder.transport.pause_reading()
        recorder.transport.write(LARGE)
        theirs.recv(10)
        theirs.close()  # with bytes unread, which is a reset
        await until(lambda: "lost" in recorder.told)
        assert isinstance(recorder.error, OSError)
        assert recorder.told == ["made", "pause", "lost"]

    assert run(main) == []


@pytest.mark.parametrize("when", ["reading", "paused", "half", "closing"])
def test_a_reset(when: str) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = tcp_pair()
        recorder = wired(poller, ours)
        transport = recorder.transport
        if when == "paused":
            transport.pause_reading()
        elif when == "half":
            transport.write_eof()
        elif when == "closing":
            transport.write(LARGE)
            transport.close()
        reset_on_close(theirs.fileno())
        theirs.close()
        await until(lambda: "lost" in recorder.told)
        assert isinstance(recorder.error, ConnectionError)
        await turns()
        assert recorder.told.count("lost") == 1

    assert run(main) == []


@pytest.mark.parametrize("when", ["paused", "over"])
def test_a_unix_peer_that_closes_while_nobody_reads(when: str) -> None:
    """Nothing can be written to it any more, which is no half-close."""

    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        recorder = wired(poller, ours)
        if when == "paused":
            recorder.transport.pause_reading()
            theirs.send(b"x")
        else:
            theirs.shutdown(socket.SHUT_WR)
            await until(lambda: "eof" in recorder.told)
            await turns()
            assert "lost" not in recorder.told
        theirs.close()
        await until(lambda: "lost" in recorder.told)
        assert isinstance(recorder.error, BrokenPipeError)

    assert run(main) == []


def test_a_tcp_peer_that_closes_while_nobody_reads_is_heard_of_in_order() -> None:
    """On the wire that is a half-close, and what it sent before may still be wanted."""

    async def main(poller: Poller) -> None:
        ours, theirs = tcp_pair()
        recorder = wired(poller, ours)
        recorder.transport.pause_reading()
        theirs.send(b"x")
        theirs.close()
        await turns()
        assert recorder.told == ["made"]
        recorder.transport.resume_reading()
        await until(lambda: "eof" in recorder.told)
        assert recorder.data == b"x"
        recorder.transport.write(b"y")  # which is answered with a reset
        await until(lambda: "lost" in recorder.told)

    assert run(main) == []


@pytest.mark.parametrize("reads", [True, False])
def test_both_halves_are_shut_in_order_and_nothing_spins(reads: bool) -> None:
    """The kernel says so for as long as it is asked."""

    async def main(poller: Poller) -> None:
        ours, theirs = tcp_pair()
        recorder = wired(poller, ours)
        if not reads:
            recorder.transport.pause_reading()
        recorder.transport.write_eof()
        theirs.send(b"x")
        theirs.shutdown(socket.SHUT_WR)
        if reads:
            await until(lambda: "eof" in recorder.told)
        await turns()
        assert select.select([poller._epoll.fileno()], [], [], 0.05)[0] == []
        recorder.transport.resume_reading()
        await until(lambda: "eof" in recorder.told)
        assert recorder.data == b"x"
        recorder.transport.close()
        await until(lambda: "lost" in recorder.told)
        theirs.close()

    assert run(main) == []


@pytest.mark.parametrize("doing", ["nothing", "write", "pause", "resume", "close", "abort"])
@pytest.mark.parametrize("becomes", ["nothing", "a file", "a socket"])
def test_the_application_closes_the_descriptor(doing: str, becomes: str) -> None:
    """That is a mistake of the application's; the connection ends, and nothing else does."""

    async def main(poller: Poller) -> None:
        ours, theirs = tcp_pair()
        recorder = wired(poller, ours)
        if doing == "resume":
            recorder.transport.pause_reading()
        number = ours.fileno()
        other, other_theirs = tcp_pair()
        os.close(number)
        newcomer = None
        if becomes == "a file":
            null = os.open(os.devnull, os.O_RDONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        elif becomes == "a socket":
            os.dup2(other.fileno(), number)
            newcomer = wired(poller, socket.socket(fileno=number))
        if doing == "write" and becomes == "nothing":  # else it goes there, and nothing can be done about that
            recorder.transport.write(LARGE)
        elif doing in ("pause", "resume"):
            getattr(recorder.transport, f"{doing}_reading")()
        recorder.transport.close() if doing == "close" else recorder.transport.abort()
        await until(lambda: "lost" in recorder.told)
        await turns()
        if newcomer is not None:
            assert newcomer.told == ["made"]
            other_theirs.send(b"x")
            await until(lambda: newcomer.data == b"x")
            newcomer.transport.abort()
            await until(lambda: "lost" in newcomer.told)
        elif becomes == "a file":
            os.close(number)  # which its owner still can
        for handle in (theirs, other, other_theirs):
            handle.close()

    assert run(main) == []


@pytest.mark.parametrize("ending", ["close", "abort"])
@pytest.mark.parametrize("where", ["made", "data", "eof", "pause", "resume"])
def test_the_protocol_ends_it_wherever_it_likes(where: str, ending: str) -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            recorder = Recorder()
            recorder.on[where] = lambda: getattr(recorder.transport, ending)()
            wired(poller, ours, recorder)
            if where != "made":
                theirs.sendall(b"x")
                theirs.shutdown(socket.SHUT_WR)
                await turns()
                recorder.transport.write(LARGE)
                if where == "resume" or ending == "close":
                    await take_slowly(theirs, len(LARGE))
            await until(lambda: "lost" in recorder.told)
            assert recorder.error is None
            assert recorder.told.count("lost") == 1
            assert recorder.told[-1] == "lost"

    assert run(main) == []


@pytest.mark.parametrize("where", ["made", "data", "eof", "pause"])
def test_a_protocol_that_fails_hurts_nobody_else(where: str) -> None:
    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(3)]
        recorders = [Recorder() for _ in pairs]

        def fail() -> None:
            raise LookupError(where)

        recorders[1].on[where] = fail
        for recorder, (ours, theirs) in zip(recorders, pairs, strict=True):
            wired(poller, ours, recorder)
            theirs.sendall(b"x")
            theirs.shutdown(socket.SHUT_WR)
        await turns()
        if where == "pause":
            recorders[1].transport.write(LARGE)
            recorders[1].transport.abort()
        await until(lambda: "lost" in recorders[1].told)
        for recorder in (recorders[0], recorders[2]):
            assert recorder.data == b"x"
            assert recorder.told == ["made", "eof"]
            recorder.transport.abort()
        for _, theirs in pairs:
            theirs.close()

    (complaint,) = run(main)
    assert isinstance(complaint["exception"], LookupError)


def test_who_is_closed_by_another_of_the_same_turn_hears_nothing() -> None:
    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(2)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        for one, other in (recorders, recorders[::-1]):
            one.on["data"] = other.transport.abort
        for _, theirs in pairs:
            theirs.sendall(b"x")
        await until(lambda: any("lost" in recorder.told for recorder in recorders))
        assert sorted(recorder.data for recorder in recorders) == [b"", b"x"]
        for recorder in recorders:
            recorder.transport.abort()
        for _, theirs in pairs:
            theirs.close()

    assert run(main) == []


def test_a_number_that_is_used_again_in_the_same_turn() -> None:
    """Whoever is closed keeps his number until the turn is over: a new socket cannot get what was meant for him."""

    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(2)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        numbers = [ours.fileno() for ours, _ in pairs]
        newcomers: list[tuple[Recorder, socket.socket]] = []

        def replace(other: Recorder) -> None:
            other.transport.abort()
            ours, theirs = unix_pair()
            assert ours.fileno() not in numbers
            newcomers.append((wired(poller, ours), theirs))

        recorders[0].on["data"] = lambda: replace(recorders[1])
        recorders[1].on["data"] = lambda: replace(recorders[0])
        for _, theirs in pairs:
            theirs.sendall(b"for the old one")
        await until(lambda: newcomers)
        await turns()
        assert [newcomer.data for newcomer, _ in newcomers] == [b""]
        for recorder in (*recorders, *(newcomer for newcomer, _ in newcomers)):
            recorder.transport.abort()
        for theirs in (*(theirs for _, theirs in pairs), *(theirs for _, theirs in newcomers)):
            theirs.close()

    assert run(main) == []


def test_one_turn_reads_everybody_once() -> None:
    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(2 * MAX_EVENTS + MAX_EVENTS // 2)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        for ours, theirs in pairs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * READ_BYTES)
            theirs.sendall(bytes(READ_BYTES + 1))
        reads = [0] * len(recorders)

        def count(number: int) -> None:
            reads[number] += 1

        for number, recorder in enumerate(recorders):
            recorder.on["data"] = lambda number=number: count(number)
        poller._on_readable()
        assert all(1 <= times <= 2 for times in reads)
        assert sum(reads) <= 3 * MAX_EVENTS  # the last batch may hold some that had their turn
        for recorder, (_, theirs) in zip(recorders, pairs, strict=True):
            recorder.transport.abort()
            theirs.close()

    assert run(main) == []


def test_who_is_paused_by_another_of_the_same_turn_hears_it_later() -> None:
    """What it has read is in no kernel any more."""

    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(MIN_BATCH_SIZE)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        first, *others = recorders
        first.on["data"] = lambda: [recorder.transport.pause_reading() for recorder in others]
        for _, theirs in pairs:
            theirs.sendall(b"one")
        await turns()
        assert first.data == b"one"
        assert [recorder.data for recorder in others] == [b""] * len(others)
        for _, theirs in pairs[1:]:
            theirs.sendall(b"two")
            theirs.shutdown(socket.SHUT_WR)
        await turns()
        for recorder in others:
            recorder.transport.resume_reading()
            recorder.transport.pause_reading()
            recorder.transport.resume_reading()
        await until(lambda: all("eof" in recorder.told for recorder in others))
        assert [recorder.data for recorder in others] == [b"onetwo"] * len(others)
        for recorder, (_, theirs) in zip(recorders, pairs, strict=True):
            recorder.transport.abort()
            theirs.close()

    assert run(main) == []


@pytest.mark.parametrize("more_bytes", [0, 1])
def test_what_is_large_does_not_wait(more_bytes: int) -> None:
    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(MIN_BATCH_SIZE)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        heard: list[Recorder] = []
        for recorder in recorders:
            recorder.on["data"] = lambda recorder=recorder: heard.append(recorder)
        for _, theirs in pairs[:-1]:
            theirs.sendall(b"small")
        pairs[-1][1].sendall(bytes(MAX_BATCHED_BYTES + more_bytes))
        poller._on_readable()
        assert len(heard) == len(recorders)
        assert heard.index(recorders[-1]) == (0 if more_bytes else len(recorders) - 1)
        for recorder, (_, theirs) in zip(recorders, pairs, strict=True):
            recorder.transport.abort()
            theirs.close()

    assert run(main) == []


@pytest.mark.parametrize("size_bytes", [1, 50_000])
def test_who_ends_the_process_takes_nothing_from_the_others(size_bytes: int) -> None:
    """Whether it did so when its turn came, or, with much to read, while the others had just read."""

    def leave() -> None:
        raise SystemExit(3)

    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(MIN_BATCH_SIZE)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        for _, theirs in pairs[1:]:
            theirs.sendall(b"question")
        pairs[0][1].sendall(bytes(size_bytes))
        recorders[0].on["data"] = leave
        for recorder in recorders[1:]:
            recorder.on["data"] = lambda recorder=recorder: recorder.transport.write(b"answer")
        with pytest.raises(SystemExit):
            poller._on_readable()
        recorders[0].on.clear()
        await turns()
        for recorder, (_, theirs) in zip(recorders, pairs, strict=True):
            if recorder is not recorders[0]:
                assert recorder.data == b"question"
                assert theirs.recv(100) == b"answer"
            recorder.transport.abort()
            theirs.close()

    assert run(main) == []


def test_a_thousand_at_once() -> None:
    async def main(poller: Poller) -> None:
        pairs = [unix_pair() for _ in range(400)]
        recorders = [wired(poller, ours) for ours, _ in pairs]
        for recorder in recorders:
            recorder.on["data"] = lambda recorder=recorder: recorder.transport.write(recorder.data)
        for number, (_, theirs) in enumerate(pairs):
            theirs.sendall(b"%d" % number)
        await turns()
        for number, (_, theirs) in enumerate(pairs):
            assert theirs.recv(10) == b"%d" % number
            theirs.close()
        await until(lambda: all("eof" in recorder.told for recorder in recorders))
        for recorder in recorders:
            recorder.transport.close()

    with enough_descriptors():
        assert run(main) == []


@contextmanager
def enough_descriptors() -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_is_lost_is_freed_without_the_collector() -> None:
    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            recorder = wired(poller, ours)
            gone = weakref.ref(recorder)
            gc.disable()
            try:
                recorder.transport.abort()
                await turns()
                del recorder
                assert gone() is None
            finally:
                gc.enable()

    assert run(main) == []


def test_a_kernel_without_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            raise OSError(errno.ENOSPC, name)

    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        with theirs:
            with monkeypatch.context() as patched:
                patched.setattr(poller, "_epoll", Full())
                recorder = wired(poller, ours)
            await turns()
            assert recorder.told == ["made", "lost"]
            assert theirs.recv(1) == b""

    (complaint,) = run(main)
    assert complaint["exception"].errno == errno.ENOSPC


def test_a_poller_that_is_closed_leaves_no_descriptor() -> None:
    descriptors = Path("/proc/self/fd")

    async def main() -> None:
        before = len(os.listdir(descriptors))
        poller = Poller(asyncio.get_running_loop(), IoBatch())
        ours, theirs = unix_pair()
        recorder = wired(poller, ours)
        poller.close()
        recorder.transport.abort()  # who is left over ends all the same
        await turns()
        theirs.close()
        assert recorder.told == ["made", "lost"]
        assert len(os.listdir(descriptors)) == before

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_who_was_paused_in_a_turn_goes_on_where_all_leaves_at_its_end() -> None:
    """The client has read so much meanwhile that one write takes the rest."""
    size = 90_000

    async def main(poller: Poller) -> None:
        ours, theirs = unix_pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)  # the kernel doubles it
        recorder = wired(poller, ours)
        wire: Any = recorder.transport
        wire.set_write_buffer_limits(high=1000)
        poller.batch.defers_writes = True
        wire.write(LARGE[:size])
        (sender,), poller.batch._to_write, poller.batch.defers_writes = poller.batch._to_write, [], False
        assert recorder.told == ["made", "pause"]
        left = wire.get_write_buffer_size()
        taken = take(theirs, size - left)
        sender.flush()
        assert wire.get_write_buffer_size() == 0
        assert recorder.told == ["made", "pause", "resume"]
        assert taken + take(theirs, left) == LARGE[:size]
        wire.close()
        await until(lambda: "lost" in recorder.told)
        theirs.close()

    assert not run(main)
