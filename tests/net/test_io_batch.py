"""The stages of a batch: their order, and that no connection suffers from another."""

from __future__ import annotations

import math
import time

import pytest

from whorl.net.io_batch import MAX_RESPONSE_DELAY_SECONDS, IoBatch

NO_LIMIT = math.inf
"""However long this process is held up by others."""
STAGES = ("read", "decrypted", "request", "flush", "encrypt", "write")


class Recorder:
    """Goes through the stages, and records each."""

    def __init__(self, batch: IoBatch, name: str, record: list[str]) -> None:
        self.batch = batch
        self.name = name
        self.record = record
        self.raises: dict[str, BaseException] = {}
        self.work_seconds = 0.0
        self.flushed = 0

    def enter(self, stage: str) -> None:
        self.record.append(f"{stage} {self.name}")
        if stage in self.raises:
            raise self.raises[stage]

    def deliver_read(self, data: bytes) -> None:
        self.enter("read")
        assert self.batch.defers_decrypted
        self.batch.decrypted(self, data)

    def data_received(self, data: bytes) -> None:
        self.enter("decrypted")
        assert self.batch.defers_requests
        self.batch.request(self, data)

    def start_request(self, request: object) -> None:
        self.enter("request")
        time.sleep(self.work_seconds)
        if self.batch.defers_flush:
            self.batch.flush(self)
        else:
            self.flush()

    def flush(self) -> None:
        stage = STAGES[3 + self.flushed]
        self.flushed += 1
        self.enter(stage)
        if stage == "flush":
            assert self.batch.defers_encryption
            self.batch.encrypt(self)
        elif stage == "encrypt":
            assert self.batch.defers_writes
            self.batch.write(self)


def opened(batch: IoBatch, record: list[str]) -> list[Recorder]:
    three = [Recorder(batch, name, record) for name in "abc"]
    batch.open()
    assert batch.defers_reads
    for one in three:
        batch.read(one, b"x")
    assert record == []
    return three


def test_every_connection_passes_a_stage_before_one_begins_the_next() -> None:
    batch, record = IoBatch(NO_LIMIT), []
    opened(batch, record)
    batch.process()
    assert record == [f"{stage} {name}" for stage in STAGES for name in "abc"]


def test_a_response_does_not_wait_for_slow_applications() -> None:
    batch, record = IoBatch(), []
    for one in opened(batch, record):
        one.work_seconds = MAX_RESPONSE_DELAY_SECONDS * 1.1
    batch.process()
    assert record[6:] == [f"{stage} {name}" for name in "abc" for stage in STAGES[2:]]


def test_an_empty_batch() -> None:
    batch = IoBatch()
    batch.process()
    batch.open()
    batch.process()
    assert nothing_is_deferred(batch)


def nothing_is_deferred(batch: IoBatch) -> bool:
    return not any(getattr(batch, name) for name in dir(batch) if name.startswith("defers"))


def test_what_is_written_outside_of_a_batch() -> None:
    batch, record = IoBatch(), []
    batch.send([Recorder(batch, name, record) for name in "ab"])
    assert record == [f"{stage} {name}" for stage in STAGES[3:] for name in "ab"]
    assert nothing_is_deferred(batch)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("stage", ["read", "decrypted", "request"])
def test_an_application_that_ends_the_process_does_not_cost_the_others_their_responses(stage: str, place: int) -> None:
    batch, record = IoBatch(NO_LIMIT), []
    three = opened(batch, record)
    three[place].raises[stage] = SystemExit(3)
    with pytest.raises(SystemExit):
        batch.process()
    others = [one.name for one in three if one is not three[place]]
    assert [entry for entry in record if entry.startswith("write")] == [f"write {name}" for name in others]
    assert len(record) == len(set(record)), "nothing is done twice"
    assert nothing_is_deferred(batch)
