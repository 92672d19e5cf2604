"""Replacing workers: without a failed request if it is planned, at once after an accident."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.harness import serve
from tests.server.peer import TEXT, Peer, close, frame
from tests.supervisor.load import Load
from tests.supervisor.processes import alive, ask, children, lines, send, until, wait_for

APP = "tests.supervisor.apps:app"
SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
RESTARTS = 20 if SOAK else 2
KILLS = 4 if SOAK else 1


def in_the_order_of_their_answers(peers: list[Peer]) -> Iterator[Peer]:
    """Each peer when it can be read. One that does not answer Close delays its worker by 10 s."""
    waiting = {peer.socket: peer for peer in peers}
    while waiting:
        readable, _, _ = select.select(list(waiting), [], [], 20.0)
        assert readable
        yield from [waiting.pop(one) for one in readable]


class TestPlanned:
    """Ready before retire: no request fails."""

    def test_rolling_restarts_under_load(self, loop_name: str) -> None:
        with serve(APP, workers=2, loop=loop_name, access_log=False) as server:
            first = children(server)
            with Load(server) as load:
                for count in range(1, RESTARTS + 1):
                    server.signal(signal.SIGHUP)
                    wait_for(server, "is ready", 2 * count)
                until(lambda: len(children(server)) == 2)
                last = children(server)
                until(lambda: set(map(str, last)) <= load.answered_by)
            load.check()
            print(f"SIGHUP x{RESTARTS} on {loop_name}: {load.report()}")
            assert not first & last
            assert server.stop() == 0

    def test_with_a_queue_for_each(self, loop_name: str) -> None:
        """--reuse-port: a replacement has the queue of its predecessor, and no client in it is lost. Most clients here
        connect for each request."""
        restarts = RESTARTS if SOAK else 1
        with serve(APP, workers=2, loop=loop_name, access_log=False, reuse_port=True) as server:
            first = children(server)
            with Load(server, keeping=1, short=4) as load:
                for count in range(1, restarts + 1):
                    server.signal(signal.SIGHUP)
                    wait_for(server, "is ready", 2 * count)
                until(lambda: len(children(server)) == 2)
                last = children(server)
                until(lambda: set(map(str, last)) <= load.answered_by)
            load.check()
            print(f"SIGHUP x{restarts} with --reuse-port on {loop_name}: {load.report()}")
            assert not first & last
            assert server.stop() == 0

    def test_a_queue_without_a_worker_gets_no_clients(self) -> None:
        """One whose worker was killed and is not replaced soon, and one whose slot was removed."""
        environment = {"TEST_START_SECONDS": "1.5"}
        with serve(APP, workers=2, reuse_port=True, environment=environment, access_log=False) as server:
            victim = ask(server)
            os.kill(victim, signal.SIGKILL)
            wait_for(server, "was killed by SIGKILL")
            (other,) = {ask(server) for _ in range(50)}
            assert other != victim
            assert not lines(server, "is ready")
            wait_for(server, "is ready")
            server.signal(signal.SIGTTOU)
            until(lambda: len(children(server)) == 1)
            assert {ask(server) for _ in range(50)} == children(server)
            assert server.stop() == 0

    def test_max_requests_under_load(self, loop_name: str) -> None:
        options = {"limit_max_requests": 80, "limit_max_requests_jitter": 20}
        with serve(APP, workers=2, loop=loop_name, access_log=False, **options) as server:
            with Load(server) as load:
                wait_for(server, "is ready", 4 if SOAK else 2)
            load.check()
            assert lines(server, "limit_max_requests is reached")
            assert server.stop() == 0

    def test_websockets_are_closed_with_1012_and_can_reconnect(self, loop_name: str) -> None:
        quiet = {"ws_ping_interval": 300}  # a slow machine may take longer than a ping's usual interval
        with serve("tests.apps:app", workers=2, loop=loop_name, **quiet) as server, ExitStack() as stack:
            peers = [stack.enter_context(Peer(server)) for _ in range(4)]
            server.signal(signal.SIGHUP)
            for peer in in_the_order_of_their_answers(peers):
                assert peer.closing() == (1012, "The server is leaving.")
                again = stack.enter_context(Peer(server))
                peer.send(close(1012))
                assert peer.rest() == b""
                again.send(frame(TEXT, b"here I am"))
                assert again.text() == "here I am"
                again.send(close())
            wait_for(server, "is ready", 2)
            assert server.stop() == 0

    def test_a_restart_takes_the_code_on_disk(self, tmp_path: Path) -> None:
        module = tmp_path / "served.py"
        source = (
            "from tests.supervisor import apps\nVERSION = %d\nasync def app(s, r, t):\n    await apps.app(s, r, t)\n"
        )
        environment = {"PYTHONPATH": os.getcwd()}
        module.write_text(source % 1)
        with serve("served:app", workers=2, cwd=tmp_path, environment=environment) as server:
            before = children(server)
            module.write_text("raise RuntimeError('half written')\n")
            server.signal(signal.SIGHUP)
            wait_for(server, "the restart is given up")
            assert children(server) == before
            assert ask(server) in before
            module.write_text(source % 22)
            server.signal(signal.SIGHUP)
            wait_for(server, "is ready", 2)
            until(lambda: not before & children(server))

    def test_memory(self) -> None:
        with serve(APP, workers=2, limit_worker_memory="120MiB") as server:
            fat = ask(server, "/?hoard=150000000")
            wait_for(server, "more than limit_worker_memory")
            until(lambda: not alive(fat) and len(children(server)) == 2)
            assert len(lines(server, "is ready")) == 1

    def test_lifetime(self) -> None:
        with serve(APP, workers=2, limit_worker_lifetime=1.0) as server:
            before = children(server)
            with Load(server) as load:
                until(lambda: not before & children(server))
            load.check()

    def test_more_and_fewer_and_one_that_gets_sigterm(self) -> None:
        with serve(APP, workers=1 + 1) as server:
            with Load(server) as load:
                server.signal(signal.SIGTTIN)
                wait_for(server, "is ready", 1)
                assert len(children(server)) == 3
                victim = ask(server)
                os.kill(victim, signal.SIGTERM)
                wait_for(server, "is ready", 2)
                until(lambda: not alive(victim))
                assert len(children(server)) == 3
                for count in (2, 1, 1):  # never none
                    server.signal(signal.SIGTTOU)
                    until(lambda count=count: len(children(server)) == count)  # type: ignore[misc]
            load.check()
            assert server.stop() == 0


class TestAccidents:
    def test_a_killed_worker_and_a_blocked_one_are_replaced(self, loop_name: str) -> None:
        """The first at once, the second when it has sent no heartbeat for a while, and with its stack."""
        with serve(APP, workers=2, loop=loop_name, timeout_worker_healthcheck=1) as server:
            victim = ask(server)
            os.kill(victim, signal.SIGKILL)
            wait_for(server, "was killed by SIGKILL: replaced")
            wait_for(server, "is ready")
            assert len(children(server)) == 2
            assert victim not in children(server)
            with send(server, "/?block=60"):
                wait_for(server, "its event loop has not turned for")
                wait_for(server, "time.sleep(float(query")
                wait_for(server, "is ready", 2)
            assert len(children(server)) == 2
            assert server.stop() == 0

    def test_only_what_a_killed_worker_had_in_flight_is_lost(self, loop_name: str) -> None:
        """A client has one request in flight at most, so it loses one at most for each kill."""
        with serve(APP, workers=2, loop=loop_name, access_log=False) as server, Load(server) as load:
            for count in range(1, KILLS + 1):
                lost = len(load.failed)
                victim = ask(server)
                os.kill(victim, signal.SIGKILL)
                wait_for(server, "was killed by SIGKILL", count)
                wait_for(server, "is ready", count)
                assert len(load.failed) - lost <= load.keeping + load.short, load.failed
            new = children(server)
            until(lambda: new & set(map(int, load.answered_by)))
            quiet = len(load.failed)
            until(lambda at=load.answered: load.answered > at + 200)  # type: ignore[misc]
            assert len(load.failed) == quiet
            print(f"SIGKILL x{KILLS} on {loop_name}: {load.report()}")

    def test_one_that_crashes_again_and_again_is_delayed(self, tmp_path: Path) -> None:
        """It starts at once, then after 0.5 s, then after 1 s; and the other worker serves."""
        module = tmp_path / "served.py"
        module.write_text("from tests.supervisor.apps import app\n")
        with serve("served:app", workers=2, cwd=tmp_path, environment={"PYTHONPATH": os.getcwd()}) as server:
            victim = ask(server)
            module.write_text("raise RuntimeError('no more')\n")
            os.kill(victim, signal.SIGKILL)
            wait_for(server, "was killed by SIGKILL: replaced")
            wait_for(server, "the next one starts in 0.5 s")
            wait_for(server, "the next one starts in 1 s")
            (other,) = children(server) - {victim} if len(children(server)) == 1 else (ask(server),)
            assert ask(server) == other
            module.write_text("from tests.supervisor.apps import app\n")
            wait_for(server, "is ready")
            assert server.stop() == 0

    def test_one_that_cannot_report_its_stack_gets_sigabrt(self) -> None:
        """C code holds the GIL, so no thread of the worker runs; faulthandler prints the stack from its signal
        handler."""
        with serve(APP, workers=2, timeout_worker_healthcheck=1) as server:
            with send(server, "/?hold=60"):
                wait_for(server, "its event loop has not turned for")
                wait_for(server, "was killed by SIGABRT: replaced")
                assert [line for line in server.stderr if "apps.py" in line and line.endswith(" in app")]
                wait_for(server, "is ready")
            assert server.stop() == 0

    def test_a_slow_start_is_no_reason_to_replace(self) -> None:
        """A start-up blocks the event loop for 1.5 s, with a health check of 1 s."""
        with serve(APP, workers=2, timeout_worker_healthcheck=1, environment={"TEST_START_SECONDS": "1.5"}) as server:
            assert len(server.stderr) == 1
