"""The stages of a turn: their order, and that nobody pays for another."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from whorl.net.io_batch import PATIENCE_SECONDS, Turn

FOR_EVER = math.inf
"""However long this process is kept waiting by others."""
STAGES = ("came", "deciphered", "heads", "held", "plain", "unsent")


class Noted:
    """Goes through the stages, and notes each."""

    def __init__(self, turn: Turn, name: str, notes: list[str]) -> None:
        self.turn = turn
        self.name = name
        self.notes = notes
        self.raises: dict[str, BaseException] = {}
        self.work_seconds = 0.0

    def take(self, what: Any) -> None:
        self.notes.append(f"{what} {self.name}")
        error = self.raises.get(what)
        if error is not None:
            raise error
        if what == "heads":
            time.sleep(self.work_seconds)
        turn = self.turn
        if what == "came":
            assert turn.deciphered is not None
            turn.deciphered.append((self, b"deciphered"))
        elif what == "deciphered":
            assert turn.heads is not None
            turn.heads.append((self, "heads"))
        else:
            assert turn.held is not None
            turn.held.append(self)

    def data_received(self, data: bytes) -> None:
        self.take(data.decode())

    def flush(self) -> None:
        turn = self.turn
        stage = "held" if turn.plain is not None else "plain" if turn.unsent is not None else "unsent"
        self.notes.append(f"{stage} {self.name}")
        following = {"held": turn.plain, "plain": turn.unsent}.get(stage)
        if following is not None:
            following.append(self)


def is_over(turn: Turn) -> bool:
    return all(getattr(turn, stage) is None for stage in STAGES)


def begun(turn: Turn, notes: list[str]) -> list[Noted]:
    three = [Noted(turn, name, notes) for name in "abc"]
    turn.begin()
    assert turn.came is not None
    turn.came += [(one, "came") for one in three]
    return three


def test_all_do_the_same_before_anybody_does_the_next() -> None:
    turn, notes = Turn(FOR_EVER), []
    begun(turn, notes)
    turn.run()
    assert notes == [f"{stage} {name}" for stage in STAGES for name in "abc"]
    assert is_over(turn)


def test_what_was_said_does_not_wait_for_slow_applications() -> None:
    turn, notes = Turn(), []
    for one in begun(turn, notes):
        one.work_seconds = PATIENCE_SECONDS * 1.1
    turn.run()
    assert notes[6:] == [f"{stage} {name}" for name in "abc" for stage in STAGES[2:]]
    assert is_over(turn)


def test_a_turn_of_nobody() -> None:
    turn = Turn()
    turn.run()
    turn.begin()
    turn.run()
    assert is_over(turn)


def test_what_is_said_outside_of_a_turn() -> None:
    turn, notes = Turn(), []
    turn.send([Noted(turn, name, notes) for name in "ab"])
    assert notes == [f"{stage} {name}" for stage in STAGES[3:] for name in "ab"]
    assert is_over(turn)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("stage", ["came", "deciphered", "heads"])
def test_who_ends_the_process_lets_the_others_be_served(stage: str, place: int) -> None:
    turn, notes = Turn(FOR_EVER), []
    three = begun(turn, notes)
    three[place].raises[stage] = SystemExit(3)
    with pytest.raises(SystemExit):
        turn.run()
    others = [one.name for one in three if one is not three[place]]
    assert [note for note in notes if note.startswith("unsent")] == [f"unsent {name}" for name in others]
    assert len(notes) == len(set(notes)), "nothing is done twice"
    assert is_over(turn), "and who comes later does not wait in it"
