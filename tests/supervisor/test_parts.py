"""The parts of the supervisor that need no process: back-off, CPU quota and messages."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from whorl.errors import StartError
from whorl.supervisor.cpu_quota import available_cpus
from whorl.supervisor.frozen import become_worker
from whorl.supervisor.handover import Handover, InheritedServer
from whorl.supervisor.messages import (
    BOOTSTRAP_VARIABLE,
    FROM_FORK_SERVER,
    FROM_NEW_SERVER,
    FROM_WORKER,
    HANDOVER_VARIABLE,
    MAX_LINE_BYTES,
    TO_FORK_SERVER,
    TO_FROZEN_PROGRAM,
    TO_NEW_SERVER,
    TO_WORKER,
    Channel,
    MalformedMessage,
    MessageType,
    decode,
    encode,
)
from whorl.supervisor.slot import Backoff


class TestBackoff:
    def test_at_once_then_doubled_each_time_up_to_a_limit(self) -> None:
        backoff = Backoff()
        assert [backoff.failed(float(now)) for now in range(9)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        assert backoff.until == 8.0 + 30.0

    def test_after_a_minute_without_failure_it_starts_again(self) -> None:
        backoff = Backoff()
        assert [backoff.failed(now) for now in (0.0, 60.0, 120.5)] == [0.0, 0.5, 0.0]

    def test_without_end(self) -> None:
        backoff = Backoff(failures=10**6)
        backoff.failed(0.0)
        backoff.failures = 10**6
        assert backoff.failed(1.0) == 30.0


class TestCpuQuota:
    """cgroups(7): the quota of a container counts."""

    ALL = len(os.sched_getaffinity(0))

    def cpus(self, tmp_path: Path, membership: str, **files: str) -> int:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("cpu_", "cpu.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "membership").write_text(membership)
        return available_cpus(tmp_path / "membership", tmp_path)

    @pytest.mark.parametrize(("quota", "cpus"), [("max 100000", ALL), ("50000 100000", 1), ("100000 100000", 1)])
    def test_version_2(self, tmp_path: Path, quota: str, cpus: int) -> None:
        assert self.cpus(tmp_path, "0::/a/b\n", a__b__cpu_max=quota) == cpus

    def test_version_2_a_group_above(self, tmp_path: Path) -> None:
        assert self.cpus(tmp_path, "0::/a/b\n", a__cpu_max="90000 100000", a__b__cpu_max="max 100000") == 1

    def test_version_2_in_a_container_that_sees_only_its_root(self, tmp_path: Path) -> None:
        assert self.cpus(tmp_path, "0::/host/path\n", cpu_max="10000 100000") == 1

    @pytest.mark.parametrize(("quota", "cpus"), [("-1", ALL), ("100000", 1)])
    def test_version_1(self, tmp_path: Path, quota: str, cpus: int) -> None:
        files = {"cpu,cpuacct__a__cpu_cfs_quota_us": quota, "cpu,cpuacct__a__cpu_cfs_period_us": "100000"}
        assert self.cpus(tmp_path, "4:cpu,cpuacct:/a\n", **files) == cpus

    def test_without_control_groups(self, tmp_path: Path) -> None:
        assert available_cpus(tmp_path / "none", tmp_path) == self.ALL


class TestChannel:
    @pytest.fixture
    def ends(self) -> Iterator[tuple[Channel, socket.socket]]:
        ours, theirs = socket.socketpair()
        channel = Channel(ours, FROM_WORKER)
        yield channel, theirs
        channel.close()
        theirs.close()

    def test_messages_arrive_whole_however_they_are_split(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        data = encode(MessageType.HEARTBEAT, 2) + encode(MessageType.START_FAILED, ["a\nb"])
        for byte in data[:-1]:
            worker.send(bytes([byte]))
        assert channel.receive() == [(MessageType.HEARTBEAT, [2])]
        assert channel.is_open
        worker.send(data[-1:])
        worker.close()
        assert channel.receive() == [(MessageType.START_FAILED, [["a\nb"]])]
        assert not channel.is_open

    def test_a_worker_that_does_not_read_blocks_nothing(self, ends: tuple[Channel, socket.socket]) -> None:
        """The rest is sent when the selector reports room, although the worker sends nothing."""
        channel, worker = ends
        text = "x" * 1_000_000
        with selectors.DefaultSelector() as selector:
            channel.watch(selector, channel.receive)
            channel.send(MessageType.SPEC, text)
            assert selector.select(0) == [], "there is no room"
            received = bytearray()
            while not received.endswith(b"\n"):
                received += worker.recv(65536)
                for key, _ in selector.select(0):
                    key.data()
            assert received == encode(MessageType.SPEC, text)
            assert selector.select(0) == []
            worker.close()
            selector.select(0)[0][0].data()
            assert not selector.get_map()

    def test_a_malformed_line_is_dropped_and_the_first_one_kept(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        worker.send(encode(MessageType.DRAINING) + b"hello\n" + b"5\n" + encode(MessageType.DRAINING))
        assert channel.receive() == [(MessageType.DRAINING, []), (MessageType.DRAINING, [])]
        assert str(channel.malformed) == "b'hello'"

    def test_bytes_without_an_end_of_line_are_dropped_at_a_limit(self, ends: tuple[Channel, socket.socket]) -> None:
        channel, worker = ends
        worker.setblocking(False)
        piece, sent = b"x" * 65536, 0
        while channel.malformed is None and sent <= 2 * MAX_LINE_BYTES:
            try:
                sent += worker.send(piece)
            except BlockingIOError:
                assert channel.receive() == []
        assert MAX_LINE_BYTES < sent < 2 * MAX_LINE_BYTES


ODD_LINES = [
    *(b"", b"hello", b"5", b"null", b"true", b"{}", b"[]", b"[[]]", b"[null]", b'"draining"', b"\xff\xfe"),
    *(b"[" * 100_000, b'["heartbeat"]', b'["heartbeat","1"]', b'["heartbeat",-1]', b'["heartbeat",1,2]'),
    *(b'["heartbeat",1e400]', b'["heartbeat",true]', b'["heartbeat",' + b"9" * 5000 + b"]", b'["HEARTBEAT",1]'),
    *(b'["draining",1]', b'["ready"]', b'["ready",1,2,3]', b'["ready","a","b","c"]', b'["ready","a","b",[1]]'),
    *(b'["replace me",null]', b'["stack",["a"]]', b'["start failed","a"]', b'["start failed",[1]]'),
    *(b'["forked",1]', b'["forked",1,0]', b'["forked",1,-1]', b'["fork failed",1]'),
    *(b'["spec"]', b'["spec",5]', b'["retire"]', b'["retire",1]', b'["stop",1]', b'["stop now",[]]'),
    *(b'["fork",1,2]', b'["fork",1,["a"]]', b'["fork",-1,[]]', b'["bootstrap","m",3]', b'["bootstrap","m",-1,4]'),
    *(b'["handover",3,"a"]', b'["handover",3,"a",[[4]]]', b'["handover",3,"a",[[4,"u",0,null,null]]]'),
    *(b'["handover",3,"a",[[4,"u",true,[1],null]]]', b'["handover",3,"a",[[4,"u",true,null,65536]]]'),
]
TABLES = {
    "FROM_WORKER": FROM_WORKER,
    "FROM_FORK_SERVER": FROM_FORK_SERVER,
    "FROM_NEW_SERVER": FROM_NEW_SERVER,
    "TO_WORKER": TO_WORKER,
    "TO_FORK_SERVER": TO_FORK_SERVER,
    "TO_NEW_SERVER": TO_NEW_SERVER,
    "TO_FROZEN_PROGRAM": TO_FROZEN_PROGRAM,
}


class TestMessages:
    """An application can write to any fd of its process, so each line is checked."""

    @pytest.mark.parametrize("name", TABLES)
    def test_odd_lines(self, name: str) -> None:
        table = TABLES[name]
        for line in ODD_LINES:
            if line == b'["ready"]' and table.get(MessageType.READY) == []:
                continue  # a fork server and a new server send this
            with pytest.raises(MalformedMessage) as raised:
                decode(line, table)
            assert len(str(raised.value)) < 500

    def test_a_type_that_another_sender_has(self) -> None:
        with pytest.raises(MalformedMessage):
            decode(encode(MessageType.STOP), FROM_WORKER)
        with pytest.raises(MalformedMessage):
            decode(encode(MessageType.FORK, 1, [2]), TO_WORKER)

    def test_a_variable_that_no_server_has_set(self) -> None:
        with pytest.raises(StartError, match="_WHORL_HANDOVER is not what a server has set, remove it"):
            InheritedServer.from_env({HANDOVER_VARIABLE: "{}"})
        become_worker({BOOTSTRAP_VARIABLE: "{}"})  # a process that merely has the variable goes on


class TestHandover:
    """A new server (SIGUSR2) reports that it serves. If it sends anything else, the running one stays."""

    @pytest.mark.parametrize(
        ("pieces", "answers"),
        [
            ((b'["re', b'ady"]\n'), (None, True)),
            ((b"5\n",), (False,)),
            ((b'["ready","m:a","asyncio",[]]\n',), (False,)),
            ((b'["heartbeat",1]\n["ready"]\n',), (False,)),
            ((b"",), (False,)),
        ],
    )
    def test_messages_of_the_new_server(self, pieces: tuple[bytes, ...], answers: tuple[bool | None, ...]) -> None:
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
