"""What the parent decides, without a process: workers here are what it sees of them, and the test speaks for them."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from socket import socket, socketpair
from time import monotonic

import pytest

from whorl.config import Config
from whorl.supervisor.messages import FROM_WORKER, TO_WORKER, Channel, Word, decode, encode
from whorl.supervisor.spawn import Source
from whorl.supervisor.supervisor import Supervisor
from whorl.supervisor.worker import Phase, Worker

LOGGER = "whorl.error"


@dataclass
class Actor:
    """A process that does what the test says."""

    pid: int
    returncode: int | None = None
    signals: list[int] = field(default_factory=list)

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


class Cast(Source):
    """Where the workers here come from."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.actors: list[Actor] = []
        self.ends: list[socket] = []
        self.workers: list[Worker] = []

    def worker(self, number: int, now: float) -> Worker:
        ours, theirs = socketpair()
        self.actors.append(Actor(1000 + len(self.actors)))
        self.ends.append(theirs)
        self.workers.append(Worker(number, self.actors[-1], Channel(ours, FROM_WORKER), now))
        return self.workers[-1]


class Stage:
    """A supervisor and its workers.

    Attributes:
        actors: their processes, in the order in which they were started.
        ends: of their channels.
        time: by which the supervisor decides.
    """

    def __init__(self, count: int = 2, **options: object) -> None:
        self.config = Config("m:a", workers=count, **options)
        self.supervisor = Supervisor(self.config, [], count)
        cast = self.supervisor._source = Cast(self.config, [])
        self.actors, self.ends, self.workers = cast.actors, cast.ends, cast.workers
        self.time = monotonic()

    # What happens

    def tend(self, seconds: float = 0.0) -> None:
        """So much time passes, and the supervisor looks."""
        self.time = max(self.time + seconds, monotonic())
        self.supervisor._tend(self.time)

    def says(self, index: int, word: Word, *items: object) -> None:
        """A worker says something."""
        self.ends[index].send(encode(word, *items))
        self.supervisor._hear(self.workers[index])
        self.tend()

    def ready(self, index: int) -> None:
        self.says(index, Word.READY, "m:a", "asyncio", ["http://127.0.0.1:1"])

    def ends_with(self, index: int, status: int) -> None:
        """A worker's process ends."""
        self.ends[index].close()
        self.actors[index].returncode = status
        self.supervisor._reap()
        self.tend()

    def start(self) -> None:
        """All of the first workers serve."""
        for index in range(len(self.supervisor._posts)):
            self.tend()
            self.ready(index)

    def told(self, index: int) -> list[Word]:
        """What a worker was told."""
        self.ends[index].setblocking(False)
        try:
            return [decode(line, TO_WORKER)[0] for line in self.ends[index].recv(65536).splitlines()]
        except BlockingIOError:
            return []

    def serving(self) -> list[int]:
        return [index for index, worker in enumerate(self.workers) if worker.phase is Phase.SERVING]

    def close(self) -> None:
        for end, worker in zip(self.ends, self.workers, strict=True):
            end.close()
            worker.channel.close()
        self.supervisor._selector.close()


@pytest.fixture
def stages() -> Iterator[list[Stage]]:
    made: list[Stage] = []
    yield made
    for stage in made:
        stage.close()


def a_stage(stages: list[Stage], count: int = 2, **options: object) -> Stage:
    stages.append(Stage(count, **options))
    stages[-1].start()
    return stages[-1]


class TestOneAtATime:
    def test_a_restart(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, 3)
        stage.supervisor._restart()
        for old, new in enumerate((3, 4, 5)):
            stage.tend()
            stage.tend()
            assert len(stage.actors) == new + 1, "one successor"
            assert stage.told(old) == [], "until that is ready, the old one serves"
            stage.ready(new)
            assert stage.told(old) == [Word.RETIRE]
            stage.tend()
            assert len(stage.actors) == new + 1, "the old one has not left yet"
            stage.ends_with(old, 0)
        assert stage.serving() == [3, 4, 5]
        assert len(stage.actors) == 6

    def test_whatever_the_reasons(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, 3, limit_worker_lifetime=100.0, limit_worker_memory="1MiB")
        stage.says(1, Word.ALIVE, 7, 2**21)
        stage.says(2, Word.SPENT, "limit_max_requests is reached")
        stage.tend(200.0)  # and all have lived long enough
        assert len(stage.actors) == 4

    def test_who_does_not_leave_holds_up_the_next_for_half_a_minute_at_most(self, stages: list[Stage]) -> None:
        stage = a_stage(stages)
        stage.supervisor._restart()
        stage.tend()
        stage.ready(2)
        stage.tend(29.0)
        assert len(stage.actors) == 3
        stage.tend(2.0)
        assert len(stage.actors) == 4

    def test_more_where_that_was_asked_for(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, 5, limit_worker_replacements=2)
        stage.supervisor._restart()
        stage.tend()
        assert len(stage.actors) == 7
        stage.ready(5)
        assert len(stage.actors) == 7
        stage.ends_with(0, 0)
        assert len(stage.actors) == 8

    def test_several_that_cannot_start_give_it_up_together(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, 3, limit_worker_replacements=3)
        stage.supervisor._restart()
        stage.tend()
        stage.ends_with(3, 3)
        assert [stage.told(index) for index in (4, 5)] == [[Word.RETIRE]] * 2
        assert stage.serving() == [0, 1, 2]
        stage.ends_with(4, 0)
        stage.ends_with(5, 0)
        assert len(stage.actors) == 6


class TestLimits:
    def test_up_to_a_tenth_is_added_to_the_lifetime(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, 50, limit_worker_lifetime=100.0)
        lifetimes = [(worker.expires or 0.0) - worker.heard for worker in stage.workers]
        assert all(100.0 <= seconds <= 110.0 for seconds in lifetimes)
        assert max(lifetimes) - min(lifetimes) > 1.0, "they do not all leave together"
        stage.tend(99.0)
        assert len(stage.actors) == 50
        stage.tend(12.0)
        assert len(stage.actors) == 51

    def test_where_every_worker_is_too_large_they_are_not_replaced_without_end(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, limit_worker_memory="100MiB")
        stage.says(0, Word.ALIVE, 0, 101 * 2**20)
        assert len(stage.actors) == 3, "at once"
        stage.ready(2)
        stage.ends_with(0, 0)
        stage.says(2, Word.ALIVE, 0, 101 * 2**20)
        stage.says(2, Word.ALIVE, 0, 102 * 2**20)
        assert len(stage.actors) == 3, "and then not before half a second has passed"
        stage.tend(1.0)
        assert len(stage.actors) == 4

    def test_a_successor_that_cannot_start_leaves_the_old_one_where_it_is(
        self, stages: list[Stage], caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = a_stage(stages)
        stage.says(1, Word.SPENT, "limit_max_requests is reached")
        stage.says(2, Word.LAST_WORDS, ["no database"])
        caplog.clear()
        logging.getLogger(LOGGER).addHandler(caplog.handler)
        try:
            stage.ends_with(2, 3)
            (line,) = {record.getMessage() for record in caplog.records if record.levelname == "ERROR"}
        finally:
            logging.getLogger(LOGGER).removeHandler(caplog.handler)
        assert "worker 2 (process 1001) stays, because its successor" in line
        assert "could not start: no database" in line
        assert stage.serving() == [0, 1]
        assert stage.told(1) == []
        stage.tend(1.0)
        assert len(stage.actors) == 4, "it is tried again"


class TestEnd:
    def test_who_has_not_started_is_given_a_moment(self, stages: list[Stage]) -> None:
        stage = Stage()
        stages.append(stage)
        stage.tend()
        stage.supervisor._end()
        assert stage.told(0) == [Word.STOP]
        stage.tend(4.0)
        assert stage.actors[0].signals == []
        stage.tend(2.0)
        assert stage.actors[0].signals == [signal.SIGKILL]

    def test_who_serves_is_given_as_long_as_an_orderly_end_takes(self, stages: list[Stage]) -> None:
        """docs/deployment.md: 80 s with the defaults; and some more, in which it says so itself."""
        stage = a_stage(stages, timeout_worker_healthcheck=None)
        stage.supervisor._end()
        assert stage.told(0) == [Word.STOP]
        stage.tend(80.0)
        assert stage.actors[0].signals == []
        stage.tend(6.0)
        assert stage.actors[0].signals == [signal.SIGKILL]

    def test_at_the_second_signal_a_moment(self, stages: list[Stage]) -> None:
        stage = a_stage(stages)
        stage.supervisor._end()
        stage.supervisor._end()
        assert stage.told(0) == [Word.STOP, Word.NOW]
        stage.tend(3.0)
        assert stage.actors[0].signals == [signal.SIGKILL]


class TestMalformed:
    @pytest.mark.parametrize("line", [b"5", b"null", b'["alive"]', b'["draining",1]', b"\xff"])
    def test_one_line_is_logged_and_that_worker_is_replaced(
        self, stages: list[Stage], caplog: pytest.LogCaptureFixture, line: bytes
    ) -> None:
        stage = a_stage(stages)
        logging.getLogger(LOGGER).addHandler(caplog.handler)
        try:
            for _ in range(3):
                stage.ends[0].send(line + b"\n")
                stage.supervisor._hear(stage.workers[0])
                stage.tend()
        finally:
            logging.getLogger(LOGGER).removeHandler(caplog.handler)
        said = [record.getMessage() for record in caplog.records]
        assert len({text for text in said if "malformed" in text}) == 1, said
        assert len(stage.actors) == 3, "one successor"
        assert stage.told(0) == [], "until that is ready, the old one serves, and is still heard"
        assert stage.told(1) == []
        stage.ready(2)
        assert stage.told(0) == [Word.RETIRE]
        assert stage.told(1) == []
        assert [actor.signals for actor in stage.actors] == [[], [], []]

    def test_a_start_that_can_no_longer_be_understood_has_failed(self, stages: list[Stage]) -> None:
        stage = a_stage(stages)
        stage.supervisor._restart()
        stage.tend()
        stage.ends[2].send(b"hello\n")
        stage.supervisor._hear(stage.workers[2])
        assert stage.actors[2].signals == [signal.SIGKILL]
        stage.ends_with(2, -signal.SIGKILL)
        assert stage.serving() == [0, 1]

    def test_what_a_worker_says_at_the_wrong_time_changes_nothing(self, stages: list[Stage]) -> None:
        stage = a_stage(stages)
        stage.says(0, Word.STACK, "no one has asked")
        stage.says(0, Word.SPENT, "enough")
        stage.ready(2)
        stage.ready(0)
        stage.tend(1.0)
        assert stage.serving() == [1, 2]
        assert stage.actors[0].signals == []


class TestHealth:
    def test_a_start_may_take_as_long_as_it_likes(self, stages: list[Stage]) -> None:
        stage = Stage(timeout_worker_healthcheck=1.0)
        stages.append(stage)
        stage.tend()
        stage.tend(3600.0)
        assert stage.told(0) == []
        assert stage.actors[0].signals == []

    def test_silence_is_asked_for_its_reason_and_then_ended(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, timeout_worker_healthcheck=10.0)
        stage.tend(9.0)
        assert stage.told(0) == []
        stage.tend(2.0)
        assert stage.told(0) == [Word.TELL_STACK]
        assert stage.actors[0].signals == []
        stage.says(0, Word.STACK, "the line")
        stage.tend(1.0)
        assert stage.actors[0].signals != []

    def test_if_the_parent_itself_was_held_up_silence_proves_nothing(self, stages: list[Stage]) -> None:
        stage = a_stage(stages, timeout_worker_healthcheck=10.0)
        for worker in stage.workers:
            worker.heard -= 3600.0  # the machine was asleep
        stage.supervisor._forgive_silence(stage.time - 3600.0)
        stage.tend()
        assert stage.told(0) == []
