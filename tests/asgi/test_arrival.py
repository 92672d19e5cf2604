"""An arrival is a future to the task that awaits it, and runs it at once where it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar

import pytest

from tests.loops_here import LOOP_PARAMS
from whorl.asgi.message_waiter import MessageWaiter
from whorl.loops import resolve

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


def arrival_on(loop: asyncio.AbstractEventLoop) -> MessageWaiter:
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)
    return MessageWaiter(loop, done)


async def hand_over(loop: asyncio.AbstractEventLoop, arrival: MessageWaiter, event: str) -> None:
    """From a callback of the loop, as a transport does."""
    called = asyncio.Event()

    def call() -> None:
        arrival.hand_over(event)
        called.set()

    loop.call_soon(call)
    await called.wait()


async def it_runs_the_task_at_once_and_in_its_own_context() -> None:
    loop = asyncio.get_running_loop()
    arrivals = [arrival_on(loop), arrival_on(loop)]
    heard: list[object] = []

    async def wait() -> None:
        VARIABLE.set("of the task")
        heard.append((await arrivals[0], VARIABLE.get(), asyncio.current_task()))
        heard.append((await arrivals[1], VARIABLE.get(), asyncio.current_task()))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)

    def call() -> None:
        arrivals[0].hand_over("one")
        assert heard == [("one", "of the task", task)]
        arrivals[1].set_result("two")
        assert len(heard) == 1

    loop.call_soon(call)
    await asyncio.wait_for(task, 5)
    assert heard[1] == ("two", "of the task", task)
    assert VARIABLE.get() == "unset"


async def it_may_have_come_before_it_is_awaited() -> None:
    arrival = arrival_on(asyncio.get_running_loop())
    arrival.hand_over("early")
    assert arrival.done()
    assert await arrival == "early"


async def a_task_that_is_cancelled_stops_waiting() -> None:
    loop = asyncio.get_running_loop()
    arrival = arrival_on(loop)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(arrival_of(arrival), 0.01)
    assert arrival.cancelled()


async def a_message_is_quicker_than_a_cancellation_that_comes_after_it() -> None:
    loop = asyncio.get_running_loop()
    arrival = arrival_on(loop)
    task = asyncio.create_task(arrival_of(arrival))
    await asyncio.sleep(0)
    arrival.set_result("x")
    assert not arrival.cancel()
    assert await task == "x"


async def what_the_task_raises_is_its_own() -> None:
    loop = asyncio.get_running_loop()
    arrival = arrival_on(loop)

    async def wait() -> None:
        await arrival
        raise ZeroDivisionError

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await hand_over(loop, arrival, "x")
    with pytest.raises(ZeroDivisionError):
        await task


async def arrival_of(arrival: MessageWaiter) -> str | bytes | None:
    return await arrival


@pytest.mark.parametrize("name", LOOP_PARAMS)
@pytest.mark.parametrize(
    "scene",
    [
        it_runs_the_task_at_once_and_in_its_own_context,
        it_may_have_come_before_it_is_awaited,
        a_task_that_is_cancelled_stops_waiting,
        a_message_is_quicker_than_a_cancellation_that_comes_after_it,
        what_the_task_raises_is_its_own,
    ],
    ids=lambda scene: scene.__name__,
)
def test_on_every_loop(name: str, scene: Callable[[], Coroutine[None, None, None]]) -> None:
    with resolve(name).make().runner() as runner:
        runner.run(scene())
