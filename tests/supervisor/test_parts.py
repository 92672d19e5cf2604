"""The parts of the supervisor that need no process: back-off, cores, and the lines that are exchanged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from whorl.supervisor.backoff import Backoff
from whorl.supervisor.cpu_quota import available_cores
from whorl.supervisor.handover import Handover
from whorl.supervisor.messages import (
    FROM_FORK_SERVER,
    FROM_NEW_SERVER,
    FROM_WORKER,
    LINE_LIMIT_BYTES,
    TO_FORK_SERVER,
    TO_WORKER,
    Channel,
    MalformedMessage,
    Messages,
    Word,
    decode,
    encode,
)


class TestBackoff:
    def test_at_once_then_twice_as_long_each_time_up_to_a_bound(self) -> None:
        backoff = Backoff()
        assert [backoff.failed(float(now)) for now in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        assert backoff.until == 8.0 + 30.0

    def test_after_a_quiet_minute_it_is_a_first_failure_again(self) -> None:
        backoff = Backoff()
        assert [backoff.failed(now) for now in (0.0, 60.0, 120.5)] == [0.0, 0.5, 0.0]

    def test_for_ever(self) -> None:
        backoff = Backoff(failures=10**6)
        backoff.failed(0.0)
        backoff.failures = 10**6
        assert backoff.failed(1.0) == 30.0


class TestCores:
    """cgroups(7): what a container may use is what counts."""

    MOST = len(os.sched_getaffinity(0))

    def cores(self, tmp_path: Path, membership: str, **files: str) -> int:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("cpu_", "cpu.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "membership").write_text(membership)
        return available_cores(tmp_path / "membership", tmp_path)

    @pytest.mark.parametrize(("quota", "cores"), [("max 100000", MOST), ("50000 100000", 1), ("100000 100000", 1)])
    def test_version_2(self, tmp_path: Path, quota: str, cores: int) -> None:
        assert self.cores(tmp_path, "0::/a/b\n", a__b__cpu_max=quota) == cores

    def test_version_2_a_group_above(self, tmp_path: Path) -> None:
        assert self.cores(tmp_path, "0::/a/b\n", a__cpu_max="90000 100000", a__b__cpu_max="max 100000") == 1

    def test_version_2_in_a_container_that_sees_only_its_root(self, tmp_path: Path) -> None:
        assert self.cores(tmp_path, "0::/host/path\n", cpu_max="10000 100000") == 1

    @pytest.mark.parametrize(("quota", "cores"), [("-1", MOST), ("100000", 1)])
    def test_version_1(self, tmp_path: Path, quota: str, cores: int) -> None:
        files = {"cpu,cpuacct__a__cpu_cfs_quota_us": quota, "cpu,cpuacct__a__cpu_cfs_period_us": "100000"}
        assert self.cores(tmp_path, "4:cpu,cpuacct:/a\n", **files) == cores

    def test_where_the_kernel_says_nothing(self, tmp_path: Path) -> None:
        assert available_cores(tmp_path / "none", tmp_path) == self.MOST


class TestChannel:
    @pytest.fixture
    def ends(self) -> tuple[Channel, socket.socket]:
        ours, theirs = socket.socketpair()
        return Channel(ours, FROM_WORKER), theirs

    def test_lines_come_whole_however_they_are_cut(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        octets = encode(Word.ALIVE, 1, 2) + encode(Word.LAST_WORDS, ["a\nb"])
        for octet in octets[:-1]:
            worker.send(bytes([octet]))
        assert channel.hear() == ([(Word.ALIVE, [1, 2])], True)
        worker.send(octets[-1:])
        worker.close()
        assert channel.hear() == ([(Word.LAST_WORDS, [["a\nb"]])], False)
        channel.close()

    def test_a_worker_that_does_not_listen_holds_nobody_up(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        text = "x" * 1_000_000
        channel.say(Word.LETTER, text)
        assert channel.is_full
        received = bytearray()
        while not received.endswith(b"\n"):
            received += worker.recv(65536)
            channel.flush()
        assert received == encode(Word.LETTER, text)
        assert not channel.is_full
        channel.close()
        worker.close()

    def test_a_malformed_line_is_dropped_and_the_first_one_kept(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        worker.send(encode(Word.DRAINING) + b"hello\n" + b"5\n" + encode(Word.DRAINING))
        assert channel.hear() == ([(Word.DRAINING, []), (Word.DRAINING, [])], True)
        assert str(channel.malformed) == "b'hello'"
        channel.close()
        worker.close()

    def test_bytes_without_an_end_of_line_are_dropped_at_a_bound(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        worker.setblocking(False)
        piece, sent = b"x" * 65536, 0
        while channel.malformed is None and sent <= 2 * LINE_LIMIT_BYTES:
            try:
                sent += worker.send(piece)
            except BlockingIOError:
                assert channel.hear() == ([], True)
        assert LINE_LIMIT_BYTES < sent < 2 * LINE_LIMIT_BYTES
        channel.close()
        worker.close()


ODD_LINES = [
    *(b"", b"hello", b"5", b"null", b"true", b"{}", b"[]", b"[[]]", b"[null]", b'"alive"', b"\xff\xfe", b"[" * 100_000),
    *(b'["alive"]', b'["alive",1]', b'["alive","1","2"]', b'["alive",1,-1]', b'["alive",1,2,3]', b'["alive",1,1e400]'),
    *(b'["alive",true,1]', b'["alive",1,' + b"9" * 5000 + b"]", b'["draining",1]', b'["ready"]', b'["ready",1,2,3]'),
    *(b'["ready","a","b","c"]', b'["ready","a","b",[1]]', b'["spent"]', b'["spent",null]', b'["stack",["a"]]'),
    *(b'["last words","a"]', b'["last words",[1]]', b'["born",1]', b'["born",1,0]', b'["born",1,-1]', b'["unborn",1]'),
    *(b'["letter"]', b'["letter",5]', b'["retire"]', b'["retire",1]', b'["stop",1]', b'["now",[]]', b'["bear",1,2]'),
    *(b'["bear",1,["a"]]', b'["bear",-1,[]]', b'["ALIVE",1,2]'),
]


class TestMessages:
    """An application can write to any fd of its process, so each line is checked before it is believed."""

    @pytest.mark.parametrize("messages", [FROM_WORKER, FROM_FORK_SERVER, FROM_NEW_SERVER, TO_WORKER, TO_FORK_SERVER])
    def test_odd_lines(self, messages: Messages) -> None:
        for line in ODD_LINES:
            if line == b'["ready"]' and not messages.get(Word.READY, ["worker"]):
                continue  # a fork server and a new server say this
            with pytest.raises(MalformedMessage) as raised:
                decode(line, messages)
            assert len(str(raised.value)) < 500

    def test_a_word_of_another_end(self) -> None:
        with pytest.raises(MalformedMessage):
            decode(encode(Word.STOP), FROM_WORKER)
        with pytest.raises(MalformedMessage):
            decode(encode(Word.BEAR, 1, [2]), TO_WORKER)


class TestHandover:
    """A new server (SIGUSR2) says that it serves. If it says anything else, the old one stays."""

    @pytest.mark.parametrize(
        ("pieces", "answers"),
        [
            ((b'["re', b'ady"]\n'), (None, True)),
            ((b"5\n",), (False,)),
            ((b'["ready","m:a","asyncio",[]]\n',), (False,)),
            ((b'["alive",1,2]\n["ready"]\n',), (False,)),
            ((b"",), (False,)),
        ],
    )
    def test_what_it_says(self, pieces: tuple[bytes, ...], answers: tuple[bool | None, ...]) -> None:
        ours, theirs = socket.socketpair()
        with subprocess.Popen(["sleep", "60"]) as process, theirs:
            handover = Handover(process, Channel(ours, FROM_NEW_SERVER))
            for piece, answer in zip(pieces, answers, strict=True):
                theirs.send(piece) if piece else theirs.close()
                assert handover.is_ready() is answer
            if handover.channel.malformed is None:
                process.kill()
            assert process.wait(10) in (-signal.SIGTERM, -signal.SIGKILL)
            handover.channel.close()
