"""What the supervisor decides, without processes: the workers are fakes, and the test sends their messages."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from socket import socket, socketpair
from time import monotonic

import pytest

from whorl.config import Config
from whorl.supervisor.messages import FROM_WORKER, TO_WORKER, Channel, MessageType, decode, encode
from whorl.supervisor.spawn import WorkerSpawner
from whorl.supervisor.supervisor import State, Supervisor
from whorl.supervisor.worker import Worker

LOGGER = "whorl.error"


@dataclass
class FakeProcess:
    """A process that ends when the test sets `returncode`."""

    pid: int
    returncode: int | None = None
    signals: list[int] = field(default_factory=list)

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, signum: int) -> None:
        self.signals.append(signum)


class FakeSpawner(WorkerSpawner):
    """Makes workers without processes."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.fakes: list[FakeProcess] = []
        self.ends: list[socket] = []
        self.workers: list[Worker] = []
        self.error: OSError | None = None

    def spawn(self, number: int, now: float) -> Worker:
        if self.error is not None:
            raise self.error
        ours, theirs = socketpair()
        self.fakes.append(FakeProcess(1000 + len(self.fakes)))
        self.ends.append(theirs)
        self.workers.append(Worker(number, self.fakes[-1], Channel(ours, FROM_WORKER), now))
        return self.workers[-1]


class Scenario:
    """A supervisor with fake workers.

    Attributes:
        processes: the workers' processes, in the order of their start.
        ends: the workers' ends of their channels.
        time: the supervisor's time.
    """

    def __init__(self, count: int = 2, **options: object) -> None:
        self.config = Config("m:a", workers=count, **options)
        self.supervisor = Supervisor(self.config, [], count)
        self.spawner = self.supervisor._spawner = FakeSpawner(self.config, [])
        self.processes, self.ends, self.workers = self.spawner.fakes, self.spawner.ends, self.spawner.workers
        self.time = monotonic()

    def reconcile(self, seconds: float = 0.0) -> None:
        """Let time pass, and have the supervisor take the steps that are due."""
        self.time = max(self.time + seconds, monotonic())
        self.supervisor._reconcile(self.time)

    def send(self, index: int, kind: MessageType, *items: object) -> None:
        """Have a worker send a message."""
        self.ends[index].send(encode(kind, *items))
        self.supervisor._receive(self.workers[index])
        self.reconcile()

    def ready(self, index: int) -> None:
        self.send(index, MessageType.READY, "m:a", "asyncio", ["http://127.0.0.1:1"])

    def exit(self, index: int, status: int) -> None:
        """End a worker's process."""
        self.ends[index].close()
        self.processes[index].returncode = status
        self.supervisor._reap()
        self.reconcile()

    def start(self) -> None:
        """Start the supervisor until all workers serve."""
        for index in range(len(self.supervisor._slots)):
            self.reconcile()
            self.ready(index)

    def received(self, index: int) -> list[MessageType]:
        """What a worker has received since the last call."""
        self.ends[index].setblocking(False)
        try:
            return [decode(line, TO_WORKER)[0] for line in self.ends[index].recv(65536).splitlines()]
        except BlockingIOError:
            return []

    def serving(self) -> list[int]:
        return [index for index, worker in enumerate(self.workers) if worker.is_serving]

    def close(self) -> None:
        for end, worker in zip(self.ends, self.workers, strict=True):
            end.close()
            worker.channel.close()
        self.supervisor._selector.close()


@pytest.fixture
def scenarios() -> Iterator[list[Scenario]]:
    made: list[Scenario] = []
    yield made
    for scenario in made:
        scenario.close()


def started(scenarios: list[Scenario], count: int = 2, **options: object) -> Scenario:
    scenarios.append(Scenario(count, **options))
    scenarios[-1].start()
    return scenarios[-1]


class TestOneAtATime:
    def test_a_restart(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, 3)
        scenario.supervisor._restart()
        for old, new in enumerate((3, 4, 5)):
            scenario.reconcile()
            scenario.reconcile()
            assert len(scenario.processes) == new + 1, "one replacement"
            assert scenario.received(old) == [], "until that is ready, the old one serves"
            scenario.ready(new)
            assert scenario.received(old) == [MessageType.RETIRE]
            scenario.reconcile()
            assert len(scenario.processes) == new + 1, "the old one has not exited yet"
            scenario.exit(old, 0)
        assert scenario.serving() == [3, 4, 5]
        assert len(scenario.processes) == 6

    def test_whatever_the_reason(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, 3, limit_worker_lifetime=100.0, limit_worker_memory="1MiB")
        scenario.send(1, MessageType.HEARTBEAT, 2**21)
        scenario.send(2, MessageType.REPLACE_ME)
        scenario.reconcile(200.0)  # and all have lived long enough
        assert len(scenario.processes) == 4

    def test_one_that_does_not_exit_delays_the_next_by_half_a_minute_at_most(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios)
        scenario.supervisor._restart()
        scenario.reconcile()
        scenario.ready(2)
        scenario.reconcile(29.0)
        assert len(scenario.processes) == 3
        scenario.reconcile(2.0)
        assert len(scenario.processes) == 4

    def test_as_many_as_configured(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, 5, limit_worker_replacements=2)
        scenario.supervisor._restart()
        scenario.reconcile()
        assert len(scenario.processes) == 7
        scenario.ready(5)
        assert len(scenario.processes) == 7
        scenario.exit(0, 0)
        assert len(scenario.processes) == 8

    def test_one_that_cannot_start_ends_the_restart_of_all(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, 3, limit_worker_replacements=3)
        scenario.supervisor._restart()
        scenario.reconcile()
        scenario.exit(3, 3)
        assert [scenario.received(index) for index in (4, 5)] == [[MessageType.RETIRE]] * 2
        assert scenario.serving() == [0, 1, 2]
        scenario.exit(4, 0)
        scenario.exit(5, 0)
        assert len(scenario.processes) == 6


class TestLimits:
    def test_up_to_a_tenth_is_added_to_the_lifetime(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, 50, limit_worker_lifetime=100.0)
        lifetimes = [(worker.retire_at or 0.0) - worker.last_heartbeat for worker in scenario.workers]
        assert all(100.0 <= seconds <= 110.0 for seconds in lifetimes)
        assert max(lifetimes) - min(lifetimes) > 1.0, "they are not all replaced together"
        scenario.reconcile(99.0)
        assert len(scenario.processes) == 50
        scenario.reconcile(12.0)
        assert len(scenario.processes) == 51

    def test_a_worker_that_drains_past_its_lifetime_does_not_wake_the_supervisor(
        self, scenarios: list[Scenario]
    ) -> None:
        """Otherwise the supervisor would never sleep again until that worker has exited."""
        scenario = started(scenarios, limit_worker_lifetime=1000.0, timeout_graceful_shutdown=None)
        scenario.supervisor._restart()
        scenario.reconcile()
        scenario.ready(2)
        assert scenario.received(0) == [MessageType.RETIRE]
        assert scenario.workers[0].next_deadline(None) == inf

    def test_if_every_worker_is_too_large_replacements_are_delayed(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, limit_worker_memory="100MiB")
        scenario.send(0, MessageType.HEARTBEAT, 101 * 2**20)
        assert len(scenario.processes) == 3, "at once"
        scenario.ready(2)
        scenario.exit(0, 0)
        scenario.send(2, MessageType.HEARTBEAT, 101 * 2**20)
        scenario.send(2, MessageType.HEARTBEAT, 102 * 2**20)
        assert len(scenario.processes) == 3, "and then not before half a second has passed"
        scenario.reconcile(1.0)
        assert len(scenario.processes) == 4

    def test_a_replacement_that_cannot_start_leaves_the_old_worker(
        self, scenarios: list[Scenario], caplog: pytest.LogCaptureFixture
    ) -> None:
        scenario = started(scenarios)
        scenario.send(1, MessageType.REPLACE_ME)
        scenario.send(2, MessageType.START_FAILED, ["no database"])
        caplog.clear()
        logging.getLogger(LOGGER).addHandler(caplog.handler)
        try:
            scenario.exit(2, 3)
            (line,) = {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}
        finally:
            logging.getLogger(LOGGER).removeHandler(caplog.handler)
        assert "worker 2 (process 1001) stays, because its successor" in line
        assert "could not start: no database" in line
        assert scenario.serving() == [0, 1]
        assert scenario.received(1) == []
        scenario.reconcile(1.0)
        assert len(scenario.processes) == 4, "it is tried again"


class TestEnd:
    def test_a_worker_that_is_starting_has_five_seconds(self, scenarios: list[Scenario]) -> None:
        scenario = Scenario()
        scenarios.append(scenario)
        scenario.reconcile()
        scenario.supervisor._stop()
        assert scenario.received(0) == [MessageType.STOP]
        scenario.reconcile(4.0)
        assert scenario.processes[0].signals == []
        scenario.reconcile(2.0)
        assert scenario.processes[0].signals == [signal.SIGKILL]

    def test_a_worker_that_serves_has_as_long_as_an_orderly_shutdown_takes(self, scenarios: list[Scenario]) -> None:
        """docs/deployment.md: 80 s with the defaults, and 5 more, in which the worker logs that itself."""
        scenario = started(scenarios, timeout_worker_healthcheck=None)
        scenario.supervisor._stop()
        assert scenario.received(0) == [MessageType.STOP]
        scenario.reconcile(80.0)
        assert scenario.processes[0].signals == []
        scenario.reconcile(6.0)
        assert scenario.processes[0].signals == [signal.SIGKILL]

    def test_after_the_second_signal_two_seconds(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios)
        scenario.supervisor._stop()
        scenario.supervisor._stop()
        assert scenario.received(0) == [MessageType.STOP, MessageType.STOP_NOW]
        scenario.reconcile(3.0)
        assert scenario.processes[0].signals == [signal.SIGKILL]


class TestMalformed:
    @pytest.mark.parametrize("line", [b"5", b"null", b'["heartbeat"]', b'["draining",1]', b"\xff"])
    def test_one_line_is_logged_and_that_worker_is_replaced(
        self, scenarios: list[Scenario], caplog: pytest.LogCaptureFixture, line: bytes
    ) -> None:
        scenario = started(scenarios)
        logging.getLogger(LOGGER).addHandler(caplog.handler)
        try:
            for _ in range(3):
                scenario.ends[0].send(line + b"\n")
                scenario.supervisor._receive(scenario.workers[0])
                scenario.reconcile()
        finally:
            logging.getLogger(LOGGER).removeHandler(caplog.handler)
        lines = [record.getMessage() for record in caplog.records]
        assert len({line for line in lines if "malformed" in line}) == 1, lines
        assert len(scenario.processes) == 3, "one replacement"
        assert scenario.received(0) == [], "until that is ready, the old one serves, and its messages are read"
        assert scenario.received(1) == []
        scenario.ready(2)
        assert scenario.received(0) == [MessageType.RETIRE]
        assert scenario.received(1) == []
        assert [process.signals for process in scenario.processes] == [[], [], []]

    def test_a_malformed_message_during_a_start_fails_it(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios)
        scenario.supervisor._restart()
        scenario.reconcile()
        scenario.ends[2].send(b"hello\n")
        scenario.supervisor._receive(scenario.workers[2])
        assert scenario.processes[2].signals == [signal.SIGKILL]
        scenario.exit(2, -signal.SIGKILL)
        assert scenario.serving() == [0, 1]

    def test_messages_at_the_wrong_time_change_nothing(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios)
        scenario.send(0, MessageType.STACK, "not requested")
        scenario.send(0, MessageType.REPLACE_ME)
        scenario.ready(2)
        scenario.ready(0)
        scenario.reconcile(1.0)
        assert scenario.serving() == [1, 2]
        assert scenario.processes[0].signals == []


class TestHealth:
    def test_a_start_has_no_deadline(self, scenarios: list[Scenario]) -> None:
        scenario = Scenario(timeout_worker_healthcheck=1.0)
        scenarios.append(scenario)
        scenario.reconcile()
        scenario.reconcile(3600.0)
        assert scenario.received(0) == []
        assert scenario.processes[0].signals == []

    def test_a_worker_without_heartbeats_reports_its_stack_and_is_killed(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, timeout_worker_healthcheck=10.0)
        scenario.reconcile(9.0)
        assert scenario.received(0) == []
        scenario.reconcile(2.0)
        assert scenario.received(0) == [MessageType.DUMP_STACK]
        assert scenario.processes[0].signals == []
        scenario.send(0, MessageType.STACK, "the line")
        scenario.reconcile(1.0)
        assert scenario.processes[0].signals != []

    def test_if_the_supervisor_woke_up_late_missing_heartbeats_prove_nothing(self, scenarios: list[Scenario]) -> None:
        scenario = started(scenarios, timeout_worker_healthcheck=10.0)
        for worker in scenario.workers:
            worker.last_heartbeat -= 3600.0  # the machine was asleep
        scenario.supervisor._reset_heartbeats(scenario.time - 3600.0)
        scenario.reconcile()
        assert scenario.received(0) == []


class TestState:
    def test_from_the_first_worker_to_the_last_signal(self, scenarios: list[Scenario]) -> None:
        scenario = Scenario()
        scenarios.append(scenario)
        states = []
        for step in (scenario.reconcile, lambda: scenario.ready(0), lambda: scenario.ready(1)):
            step()
            states.append(scenario.supervisor._state)
        for _ in range(3):
            scenario.supervisor._stop()
            states.append(scenario.supervisor._state)
        assert states == [State.BOOTING, State.FILLING, State.RUNNING, State.STOPPING, State.KILLING, State.KILLING]

    def test_a_worker_that_becomes_ready_too_late_is_not_announced(
        self, scenarios: list[Scenario], caplog: pytest.LogCaptureFixture
    ) -> None:
        """A supervisor that is stopping must not report to the service manager, or to the server before it, that it
        serves."""
        scenario = Scenario(1)
        scenarios.append(scenario)
        scenario.reconcile()
        scenario.supervisor._stop()
        logging.getLogger(LOGGER).addHandler(caplog.handler)
        try:
            scenario.ready(0)
        finally:
            logging.getLogger(LOGGER).removeHandler(caplog.handler)
        assert not [record for record in caplog.records if "serves" in record.getMessage()]

    def test_if_the_system_has_no_resources_for_the_first_worker_there_is_nothing_to_wait_for(
        self, scenarios: list[Scenario]
    ) -> None:
        scenario = Scenario()
        scenarios.append(scenario)
        scenario.spawner.error = BlockingIOError(11, "Resource temporarily unavailable")
        scenario.reconcile()
        assert scenario.supervisor._is_finished
        assert scenario.supervisor._start_error == "no worker can be started: Resource temporarily unavailable"
