"""Where a server listens: TCP on IPv4 and IPv6, Unix sockets, inherited ones; and what it leaves behind (ip(7),
unix(7))."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Process, read_response, serve
from tests.loops_here import ABSENT
from tests.server.client import get, until
from whorl.server.listen.inherited import activated
from whorl.server.listen.tcp import bind_tcp
from whorl.server.listen.unix import bind_unix

HELLO = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
without_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
UNIX_LOOPS = ["asyncio", "uvloop"]


def greets(process: Process) -> bool:
    with process.connect() as client:
        client.sendall(HELLO)
        return read_response(client)[0] == 200


def refusal(**options: object) -> str:
    """The one line that a server says that cannot start, having ended with status 3."""
    with serve("tests.apps:app", ready=False, **options) as process:
        assert process.wait() == 3
        (line,) = process.stderr
        return line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "whorl.sock"


ESTABLISHED = "01"  # in proc_net_tcp


class TestAddress:
    """The one address at which all clients find a socket, if there is one."""

    @pytest.mark.skipif(not hasattr(socket, "IP_TRANSPARENT"), reason="each connection is asked here")
    def test_of_one_address(self) -> None:
        (bound,) = bind_tcp("127.0.0.1", 0)
        try:
            assert bound.address == bound.handle.getsockname()
        finally:
            bound.close()

    @pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=without_ipv6)])
    def test_of_any_address(self, host: str) -> None:
        (bound,) = bind_tcp(host, 0)
        try:
            assert bound.address is None
        finally:
            bound.close()

    def test_of_a_socket_that_takes_what_is_for_others(self) -> None:
        (bound,) = bind_tcp("127.0.0.1", 0)
        try:
            bound.handle.setsockopt(socket.IPPROTO_IP, socket.IP_TRANSPARENT, 1)
        except (AttributeError, OSError):
            pytest.skip("that takes CAP_NET_ADMIN, on Linux")
        else:
            assert bound.address is None
        finally:
            bound.close()


class TestTcp:
    def test_a_name_with_several_addresses(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, host="localhost") as process:
            port = process.port
            for _, _, _, _, address in set(socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)):
                process.address = (address[0], port)
                assert greets(process)

    def test_the_kernel_looks_for_clients_that_vanished(self, server: Process) -> None:
        """Its keep-alive timer runs for each connection: "02" in the column `tr` of proc_net_tcp."""
        with server.connect() as client:
            client.sendall(HELLO.replace(b"close", b"keep-alive"))
            assert read_response(client)[0] == 200
            ends = [f"0100007F:{port:04X}" for port in (server.port, client.getsockname()[1])]
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
            # The kernel may show one twice when its table changes meanwhile, and one of the same ports that has ended.
            timers = {row[5][:2] for row in rows if row[1:3] == ends and row[3] == ESTABLISHED}
            assert timers == {"02"}

    def test_dual_stack(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name, host="::") as process:
            port = process.port
            for address in ("127.0.0.1", "::1"):
                process.address = (address, port)
                assert greets(process)

    def test_an_address_in_use_is_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            line = refusal(port=port)
        assert line == f"whorl: error: 127.0.0.1:{port} is in use by another program: stop it, or give another port"

    @pytest.mark.parametrize(
        ("host", "words"), [("192.0.2.1", "not an address of this machine"), ("no.such.host.invalid", "not known")]
    )
    def test_a_host_that_is_none_is_one_line(self, host: str, words: str) -> None:
        assert words in refusal(host=host)


@pytest.mark.parametrize("loop", UNIX_LOOPS)
class TestUnix:
    def test_has_its_mode_and_is_removed_at_the_end(self, loop: str, path: Path) -> None:
        with serve("tests.apps:app", loop=loop, uds=path, uds_mode="0600") as process:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert greets(process)
            assert process.stop() == 0
        assert not path.exists()

    def test_a_stale_one_is_replaced(self, loop: str, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        with serve("tests.apps:app", loop=loop, uds=path) as process:
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert greets(process)

    def test_one_that_somebody_else_put_there_since_is_left_alone(self, loop: str, path: Path) -> None:
        """Another server, which took the path over while this one goes on."""
        with serve("tests.apps:app", loop=loop, uds=path) as old:
            path.unlink()
            with serve("tests.apps:app", loop=loop, uds=path) as new:
                assert old.stop() == 0
                assert greets(new)

    def test_two_signals_remove_it_too(self, loop: str, path: Path) -> None:
        with serve("tests.apps:app", loop=loop, uds=path) as process, process.connect() as client:
            client.sendall(get(script=[("print", "blocks"), ("block", 3600)]))
            process.wait_for_line("blocks", "stdout")
            until(lambda: process.signal(signal.SIGINT) or process.popen.poll() is not None)
        assert not path.exists()


def test_a_path_whose_removal_is_interrupted_is_removed_the_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signal of somebody impatient."""
    bound = bind_unix(str(path), 0o600)
    with monkeypatch.context() as context:
        context.setattr(os, "unlink", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bound.close()
    assert path.exists()
    for _ in range(2):
        bound.close()
        assert not path.exists()
    assert bound.handle.fileno() == -1


def interrupt(path: str) -> None:
    raise KeyboardInterrupt


class TestUnixPathTaken:
    def test_by_a_server(self, path: Path) -> None:
        with serve("tests.apps:app", uds=path) as process:
            assert "another program listens" in refusal(uds=path)
            assert greets(process)

    def test_by_a_file(self, path: Path) -> None:
        path.write_text("precious")
        assert "is no socket" in refusal(uds=path)
        assert path.read_text() == "precious"

    def test_by_a_file_later(self, path: Path) -> None:
        with serve("tests.apps:app", uds=path) as process:
            path.unlink()
            path.write_text("somebody else's")
            assert process.stop() == 0
        assert path.read_text() == "somebody else's"

    def test_there_is_no_directory(self, path: Path) -> None:
        assert "cannot be made" in refusal(uds=path / "below")

    def test_it_is_too_long(self, path: Path) -> None:
        assert "too long" in refusal(uds=path.parent / ("x" * 200))


@pytest.mark.skipif("rloop" in ABSENT, reason="rloop is not installed here")
class TestLoopWithoutUnixSockets:
    def test_refuses_a_path(self, path: Path) -> None:
        assert "has no Unix sockets" in refusal(loop="rloop:new_event_loop", uds=path)
        assert not path.exists()

    def test_refuses_an_inherited_one(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            assert "has no Unix sockets" in refusal(loop="rloop:new_event_loop", fd=listener.fileno())


class TestInherited:
    def test_serves_and_leaves_it_open(self, loop_name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for _ in range(2):
                with serve("tests.apps:app", loop=loop_name, fd=listener.fileno()) as process:
                    assert greets(process)
                    assert process.stop() == 0

    @pytest.mark.parametrize("loop", UNIX_LOOPS)
    def test_a_unix_socket(self, loop: str, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            with serve("tests.apps:app", loop=loop, fd=listener.fileno()) as process:
                assert greets(process)
                assert process.stop() == 0
            assert path.exists()

    def test_what_is_no_socket_is_one_line(self, tmp_path: Path) -> None:
        with (tmp_path / "file").open("w") as file:
            assert "is no socket" in refusal(fd=file.fileno())

    def test_what_was_not_bound_is_one_line(self) -> None:
        with socket.socket() as loose:
            assert "not bound" in refusal(fd=loose.fileno())

    def test_what_is_not_open_is_one_line(self) -> None:
        reader, writer = os.pipe()
        os.close(writer)
        try:
            assert "is no socket" in refusal(fd=reader)
        finally:
            os.close(reader)


class TestBind:
    """`--bind`, several times."""

    def test_every_place_is_served(self, loop_name: str, path: Path) -> None:
        unix = [] if loop_name.startswith("rloop") else [f"unix:{path}?mode=0660"]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            places = ["127.0.0.1:0", "[::]:0", *unix, f"fd://{listener.fileno()}"]
            with serve("tests.apps:app", loop=loop_name, bind=places, pass_fds=[listener.fileno()]) as process:
                line = process.wait_for_line(" serves ")
                first, dual = (int(port) for port in re.findall(r" http://(?:127.0.0.1|\[::\]):(\d+)", line)[:2])
                own = listener.getsockname()[1]
                addresses = [("127.0.0.1", first), ("127.0.0.1", dual), ("::1", dual), ("127.0.0.1", own)]
                for address in [*addresses, str(path)][: 4 + len(unix)]:
                    process.address = address
                    assert greets(process)
                if unix:
                    assert stat.S_IMODE(path.stat().st_mode) == 0o660
                assert process.stop() == 0
            assert not path.exists()

    def test_nothing_stays_bound_where_one_place_cannot_be_had(self, path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            assert f"{taken} is in use" in refusal(bind=[f"unix:{path}", taken])
        assert not path.exists()


PASS_AS_SYSTEMD_DOES = """
import os, sys
descriptor, count, *words = sys.argv[1:]
os.dup2(int(descriptor), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
os.execv(sys.executable, [sys.executable, *words])
"""


class TestActivation:
    """Sockets that systemd made (sd_listen_fds(3))."""

    @contextmanager
    def activated(self, listener: socket.socket, count: int = 1, **options: object) -> Iterator[Process]:
        number = listener.fileno()
        words = (sys.executable, "-c", PASS_AS_SYSTEMD_DOES, str(number), str(count))
        with serve("tests.apps:app", python=words, pass_fds=[number], ready=False, **options) as process:
            yield process

    def test_they_are_served_and_outlive_the_server(self, loop_name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, self.activated(listener, loop=loop_name) as process:
            port = listener.getsockname()[1]
            assert f" on fd:3 http://127.0.0.1:{port}" in process.wait_for_line(" serves ")
            assert greets(process)
            assert process.stop() == 0
            with socket.create_connection(("127.0.0.1", port)):
                pass  # it waits for the next server

    def test_those_of_another_process_are_left_alone(self) -> None:
        environment = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}
        assert activated(environment) == []
        assert environment["LISTEN_FDS"] == "1"

    def test_they_are_taken_once(self) -> None:
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0", "LISTEN_FDNAMES": "", "OTHER": "x"}
        assert activated(environment) == []
        assert environment == {"OTHER": "x"}

    def test_one_that_is_not_there_is_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, self.activated(listener, 900) as process:
            assert process.wait() == 3
            (line,) = process.stderr
        assert "LISTEN_FDS promises 900 sockets" in line

    def test_what_was_asked_for_goes_first(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, self.activated(listener, bind="[::1]:0") as process:
            assert " on http://[::1]:" in process.wait_for_line(" serves ")
