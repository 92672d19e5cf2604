"""`--preload`: workers that are forked from a process which has imported the application once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Process, serve
from tests.supervisor.load import Load
from tests.supervisor.processes import alive, ask, children, lines, send, until, wait_for
from tests.supervisor.test_handover import end, hand_over
from whorl.config import Config
from whorl.errors import ConfigError
from whorl.platform import Platform
from whorl.supervisor.bootstrap import WorkerSpec
from whorl.supervisor.messages import FROM_FORK_SERVER, Channel, MessageType, encode
from whorl.supervisor.preload.client import ForkServer
from whorl.supervisor.program import Program

SOURCE = """
import os
print("imported in", os.getpid(), flush=True)
{more}
from tests.supervisor import apps

async def app(scope, receive, send):
    await apps.app(scope, receive, send)
"""
MIB = 2**20


class Project:
    """A directory with an application, which prints the pid of each process that imports it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write()

    def write(self, more: str = "") -> None:
        """Change the application. Python recognizes stale bytecode by whole seconds and the length of the source."""
        (self.directory / "served.py").write_text(SOURCE.format(more=more))

    @contextmanager
    def serve(self, app: str = "served:app", **options: object) -> Iterator[Process]:
        options = {"workers": 2, "preload": True, **options}
        with serve(app, cwd=self.directory, environment={"PYTHONPATH": os.getcwd()}, **options) as process:  # type: ignore[arg-type]
            yield process


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def fork_servers(process: Process) -> list[int]:
    """The processes that have imported the application, in order."""
    return [int(line.rpartition(" ")[2]) for line in process.stdout if line.startswith("imported in")]


def workers(process: Process) -> set[int]:
    return children(process) - set(fork_servers(process))


def memory(pid: int, name: str) -> int:
    """How many bytes of memory a process has (proc_pid_smaps_rollup(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


class TestForked:
    def test_what_was_imported_is_shared(self, loop_name: str, project: Project) -> None:
        """50 MB that two workers use exist once: nearly nothing is private to either."""
        project.write("HOARD = bytes(range(256)) * 200_000\n")
        with project.serve(loop=loop_name) as server:
            (line,) = server.stderr
            assert "2 preloaded workers" in line
            server.wait_for_line("imported in", "stdout")
            (fork_server,) = fork_servers(server)
            answered: set[int] = set()
            until(lambda: answered.add(ask(server)) or len(answered) == 2)  # type: ignore[func-returns-value]
            assert children(server) == {fork_server, *answered}
            everything = [memory(pid, "Pss") for pid in (fork_server, *answered)]
            assert min(memory(pid, "Rss") for pid in answered) > 50 * MIB * 0.95
            assert sum(everything) < 110 * MIB, everything
            assert all(memory(pid, "Private_Dirty") < 30 * MIB for pid in answered)
            assert server.stop() == 0
        assert not [pid for pid in (fork_server, *answered) if alive(pid)]

    def test_what_is_done_where(self, project: Project) -> None:
        """What does not survive a fork is logged. A factory is called in each worker. Orphans of a worker's child
        become children of the supervisor, which has to reap them."""
        project.write(
            "import socket, threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True)"
            ".start()\nLINE = socket.socketpair()\n"
            "def make():\n    print('made in', os.getpid(), flush=True)\n    return app\n"
        )
        with project.serve("served:make", factory=True) as server:
            assert "started threads when it was imported (mine)" in server.wait_for_line("started threads")
            assert "opened 2 sockets or the like" in server.wait_for_line("opened")
            until(lambda: len([line for line in server.stdout if line.startswith("made in")]) >= 2)
            made = {int(line.rpartition(" ")[2]) for line in server.stdout if line.startswith("made in")}
            assert made == workers(server)
            assert ask(server, "/?orphan=1") in made
            until(lambda: len(children(server)) == 3 and all(alive(pid) for pid in children(server)))


class TestFirstStart:
    def test_an_import_that_fails_is_one_line_and_status_3(self, project: Project) -> None:
        project.write("raise RuntimeError('no database')")
        with project.serve(ready=False) as server:
            assert server.wait() == 3
        complaints = [line for line in server.stderr if "error:" in line]
        assert len(complaints) == 1
        assert "raised while it was imported: RuntimeError: no database" in complaints[0]
        assert len(lines(server, "Traceback")) == 1

    def test_an_import_that_ends_the_process(self, project: Project) -> None:
        project.write("os._exit(7)")
        with project.serve(ready=False) as server:
            assert server.wait() == 3
        assert "ended with status 7 before it was ready" in server.stderr[-1]

    def test_a_lifespan_that_fails(self) -> None:
        with serve("tests.supervisor.apps:broken", workers=2, preload=True, ready=False) as server:
            assert server.wait() == 3
        assert len([line for line in server.stderr if "error:" in line and "no database" in line]) == 1

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_an_import_that_never_ends_is_interrupted(self, project: Project, signum: int) -> None:
        project.write("import time\ntime.sleep(3600)\n")
        with project.serve(ready=False) as server:
            server.wait_for_line("imported in", "stdout")
            server.signal(signum)
            assert server.wait(5) == 0
            assert not alive(fork_servers(server)[0])


class TestRestart:
    def test_fresh_code_under_load(self, project: Project) -> None:
        with project.serve(access_log=False) as server:
            before = children(server)
            project.write("# another length")
            with Load(server) as load:
                server.signal(signal.SIGHUP)
                wait_for(server, "is ready", 2)
                until(lambda: not [pid for pid in before if alive(pid)])
            load.check()
            assert len(fork_servers(server)) == 2
            assert ask(server) in workers(server)
            assert server.stop() == 0

    def test_broken_code_changes_nothing(self, project: Project) -> None:
        """The old workers stay, and more of them are still forked from the old fork server."""
        with project.serve() as server:
            before = children(server)
            project.write("raise RuntimeError('half written')")
            server.signal(signal.SIGHUP)
            wait_for(server, "the restart is given up")
            until(lambda: children(server) == before)
            server.signal(signal.SIGTTIN)
            wait_for(server, "is ready")
            assert len(fork_servers(server)) == 2
            assert len(children(server)) == 4
            project.write("# mended, at last")
            server.signal(signal.SIGHUP)
            until(lambda: len(fork_servers(server)) == 3 and not before & children(server))

    def test_a_second_restart_during_the_first(self, project: Project) -> None:
        """The workers have the newest code, and not the code that is still being imported."""
        with project.serve() as server:
            before = children(server)
            project.write("import time\ntime.sleep(3600)\n")
            server.signal(signal.SIGHUP)
            until(lambda: len(fork_servers(server)) == 2)
            project.write("# the third")
            server.signal(signal.SIGHUP)
            wait_for(server, "is ready", 2)
            until(lambda: not before & children(server) and len(children(server)) == 3)
            assert not alive(fork_servers(server)[1])
            assert server.stop() == 0

    def test_a_whole_new_server(self, project: Project) -> None:
        """SIGUSR2: each server has a fork server of its own."""
        with project.serve() as server:
            before = children(server)
            parent = hand_over(server, server.popen.pid, 1)
            until(lambda: not [pid for pid in before if alive(pid)])
            assert len(fork_servers(server)) == 2
            assert ask(server) not in before
            end(parent)
            until(lambda: not alive(fork_servers(server)[1]))


class TestAccidents:
    def test_a_killed_worker_is_forked_again(self, project: Project) -> None:
        """Its exit is noticed although another process has forked it, and nothing is imported again. Its sockets are
        its own, and were made after the fork server, which gets them in a message."""
        with project.serve(reuse_port=True) as server:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
            assert len([row for row in rows if row[1] == f"0100007F:{server.port:04X}" and row[3] == "0A"]) == 2
            answered: set[int] = set()
            until(lambda: answered.add(ask(server)) or answered == workers(server))  # type: ignore[func-returns-value]
            victim = min(answered)
            os.kill(victim, signal.SIGKILL)
            wait_for(server, "was killed by SIGKILL: replaced")
            wait_for(server, "is ready")
            assert victim not in children(server)
            assert len(children(server)) == 3
            assert len(fork_servers(server)) == 1

    def test_a_killed_fork_server_is_replaced_and_then_its_workers(self, project: Project) -> None:
        with project.serve(access_log=False) as server:
            before = children(server)
            with Load(server) as load:
                os.kill(fork_servers(server)[0], signal.SIGKILL)
                wait_for(server, "was killed by SIGKILL: its workers are replaced")
                wait_for(server, "is ready", 2)
                until(lambda: not before & children(server))
            load.check()
            assert len(fork_servers(server)) == 2
            assert len(children(server)) == 3
            assert server.stop() == 0

    def test_no_process_survives_the_supervisor(self, project: Project) -> None:
        with project.serve() as server:
            before = children(server)
            with send(server, "/?sleep=0.3") as client:
                server.popen.kill()
                assert client.recv(12) == b"HTTP/1.1 200"
            until(lambda: not [pid for pid in before if alive(pid)])

    def test_a_fork_server_that_imports_does_not_either(self, project: Project) -> None:
        project.write("import time\ntime.sleep(3600)\n")
        with project.serve(ready=False) as server:
            server.wait_for_line("imported in", "stdout")
            server.popen.kill()
            until(lambda: not alive(fork_servers(server)[0]))


def test_no_resources_for_another_process() -> None:
    """The fork server cannot fork: the worker has failed, and its error names the reason."""
    ours, theirs = socket.socketpair()
    with subprocess.Popen(["sleep", "60"]) as process, theirs:
        fork_server = ForkServer(process, Channel(ours, FROM_FORK_SERVER))
        worker = fork_server.fork(WorkerSpec(1, Config("m:a", workers=2), (), Program.current(), 1.0, None), 0.0)
        assert fork_server.has_pending
        assert worker.process.poll() is None
        theirs.send(encode(MessageType.FORK_FAILED, 1, "Cannot allocate memory"))
        assert fork_server.receive()
        assert worker.process.poll() is not None
        assert worker.start_error == "no process can be forked: Cannot allocate memory"
        assert not fork_server.has_pending
        process.kill()
        worker.channel.close()
        fork_server.channel.close()


@pytest.mark.parametrize("line", [b"5", b'["forked",7]', b'["forked",7,-1]', b'["ready","m:a","asyncio",[]]'])
def test_a_malformed_message_ends_the_fork_server_and_no_other_process(line: bytes) -> None:
    ours, theirs = socket.socketpair()
    with subprocess.Popen(["sleep", "60"]) as process, theirs:
        fork_server = ForkServer(process, Channel(ours, FROM_FORK_SERVER))
        theirs.send(
            encode(MessageType.FORKED, 12345, 1)
            + encode(MessageType.FORK_FAILED, 12345, "a number that was never asked for")
        )
        assert fork_server.receive()
        theirs.send(line + b"\n" + encode(MessageType.READY))
        assert not fork_server.receive()
        assert fork_server.is_ready
        process.kill()
        fork_server.channel.close()


class TestRefused:
    def test_beside_reload(self) -> None:
        with pytest.raises(ConfigError) as refused:
            Config("m:a", preload=True, reload=True)
        assert refused.value.problems == (
            "preload keeps what was imported, and reload imports anew: leave one of them out",
        )

    def test_one_process(self) -> None:
        with pytest.raises(ConfigError, match="preload is about workers that a parent has forked"):
            Config("m:a", preload=True)

    def test_where_there_is_no_fork(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("whorl.config.relations.HERE", Platform(system="win32"))
        with pytest.raises(ConfigError, match="preload needs a kernel that gives forked processes to another parent"):
            Config("m:a", preload=True, workers=2)
