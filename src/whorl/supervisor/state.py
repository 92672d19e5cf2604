"""The states of the supervisor, and the events that change them."""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["TRANSITIONS", "Event", "State"]


class State(Enum):
    """What the supervisor does."""

    BOOTING = "starts the first worker, which shows whether the application starts at all"
    FILLING = "starts the other workers"
    RUNNING = "all workers have served; it replaces those that need it"
    STOPPING = "all workers drain"
    KILLING = "all workers exit without a drain"


class Event(Enum):
    """What changes the state."""

    WORKER_READY = auto()
    ALL_READY = auto()
    STOP = auto()


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.BOOTING: {Event.WORKER_READY: State.FILLING, Event.STOP: State.STOPPING},
    State.FILLING: {Event.ALL_READY: State.RUNNING, Event.STOP: State.STOPPING},
    State.RUNNING: {Event.STOP: State.STOPPING},
    State.STOPPING: {Event.STOP: State.KILLING},
    State.KILLING: {},
}
