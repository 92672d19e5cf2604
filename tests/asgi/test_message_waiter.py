"""A message waiter is a future to the task that awaits it, and can run the task inline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar

import pytest

from tests.loops_here import LOOP_PARAMS
from whorl.asgi.message_waiter import MessageWaiter
from whorl.loops import resolve

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


def make_waiter(loop: asyncio.AbstractEventLoop) -> MessageWaiter:
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)
    return MessageWaiter(loop, done)


async def wake_from_callback(loop: asyncio.AbstractEventLoop, waiter: MessageWaiter, event: str) -> None:
    """From a callback of the loop, as a transport does."""
    called = asyncio.Event()

    def call() -> None:
        waiter.wake_inline(event)
        called.set()

    loop.call_soon(call)
    await called.wait()


async def a_task_runs_inline_in_its_own_context() -> None:
    loop = asyncio.get_running_loop()
    waiters = [make_waiter(loop), make_waiter(loop)]
    received: list[object] = []

    async def wait() -> None:
        VARIABLE.set("of the task")
        received.append((await waiters[0], VARIABLE.get(), asyncio.current_task()))
        received.append((await waiters[1], VARIABLE.get(), asyncio.current_task()))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)

    def call() -> None:
        waiters[0].wake_inline("one")
        assert received == [("one", "of the task", task)]
        waiters[1].set_result("two")
        assert len(received) == 1

    loop.call_soon(call)
    await asyncio.wait_for(task, 5)
    assert received[1] == ("two", "of the task", task)
    assert VARIABLE.get() == "unset"


async def a_message_may_come_before_the_wait() -> None:
    waiter = make_waiter(asyncio.get_running_loop())
    waiter.wake_inline("early")
    assert waiter.done()
    assert await waiter == "early"


async def a_task_that_is_cancelled_stops_waiting() -> None:
    loop = asyncio.get_running_loop()
    waiter = make_waiter(loop)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(await_it(waiter), 0.01)
    assert waiter.cancelled()


async def a_cancellation_after_a_message_has_no_effect() -> None:
    loop = asyncio.get_running_loop()
    waiter = make_waiter(loop)
    task = asyncio.create_task(await_it(waiter))
    await asyncio.sleep(0)
    waiter.set_result("x")
    assert not waiter.cancel()
    assert await task == "x"


async def an_error_stays_in_the_task() -> None:
    loop = asyncio.get_running_loop()
    waiter = make_waiter(loop)

    async def wait() -> None:
        await waiter
        raise ZeroDivisionError

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await wake_from_callback(loop, waiter, "x")
    with pytest.raises(ZeroDivisionError):
        await task


async def await_it(waiter: MessageWaiter) -> str | bytes | None:
    return await waiter


@pytest.mark.parametrize("name", LOOP_PARAMS)
@pytest.mark.parametrize(
    "scene",
    [
        a_task_runs_inline_in_its_own_context,
        a_message_may_come_before_the_wait,
        a_task_that_is_cancelled_stops_waiting,
        a_cancellation_after_a_message_has_no_effect,
        an_error_stays_in_the_task,
    ],
    ids=lambda scene: scene.__name__,
)
def test_on_every_loop(name: str, scene: Callable[[], Coroutine[None, None, None]]) -> None:
    with resolve(name).make().runner() as runner:
        runner.run(scene())
