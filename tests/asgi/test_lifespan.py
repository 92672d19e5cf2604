"""The application's startup and shutdown (ASGI lifespan 2.0): the conversation, its mistakes, and its end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from typing import Any

import pytest

from tests.asgi.lifespans import COMPLETE, Channel, Scope, fail, run, start
from whorl.asgi import lifespan as module
from whorl.asgi.lifespan import Lifespan


@pytest.fixture(autouse=True)
def _every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "whorl.error")


class TestWell:
    def test_startup_and_shutdown_in_one_task(self, loop_name: str) -> None:
        seen: list[Any] = []
        variable = contextvars.ContextVar("variable", default="unset")

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            seen.append(scope["type"])
            seen.append(scope["asgi"])
            seen.append(await receive())
            variable.set("set in startup")
            scope["state"]["pool"] = "open"
            seen.append(asyncio.current_task())
            await send(COMPLETE)
            seen.append(await receive())
            seen.append(asyncio.current_task())
            seen.append(variable.get())
            await send({"type": "lifespan.shutdown.complete"})

        async def test() -> None:
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            assert lifespan.supported
            assert lifespan.state == {"pool": "open"}
            assert await lifespan.shutdown() is True

        run(loop_name, test())
        assert seen[:3] == ["lifespan", {"version": "3.0", "spec_version": "2.0"}, {"type": "lifespan.startup"}]
        assert seen[3] is seen[5]
        assert seen[4] == {"type": "lifespan.shutdown"}
        assert seen[6] == "set in startup"

    def test_a_cancel_scope_may_span_it(self, loop_name: str) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            async with asyncio.TaskGroup() as group, asyncio.timeout(60):
                background = group.create_task(asyncio.Event().wait())
                await send(COMPLETE)
                await receive()
                background.cancel()
            await send({"type": "lifespan.shutdown.complete"})

        async def test() -> None:
            lifespan = Lifespan(app, "on")
            await lifespan.startup()
            assert await lifespan.shutdown() is True

        run(loop_name, test())

    def test_off_does_not_call_it(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            raise AssertionError("called")

        assert not start(app, "off").supported

    def test_what_follows_shutdown_complete_is_waited_for(self) -> None:
        after = []

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            await asyncio.sleep(0.01)
            after.append("closed")

        start(app)
        assert after == ["closed"]

    def test_one_that_never_stops_to_receive_is_ended(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})

        start(app)

    def test_an_answer_before_receive_is_accepted(self) -> None:
        messages = []

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await send(COMPLETE)
            messages.append(await receive())

        assert start(app, "on").supported
        assert messages == [{"type": "lifespan.shutdown"}]

    def test_one_that_is_done_after_startup_has_nothing_to_shut_down(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)

        async def test() -> None:
            lifespan = Lifespan(app, "on")
            await lifespan.startup()
            await asyncio.sleep(0)
            assert await lifespan.shutdown() is True

        run("asyncio", test())
        assert not caplog.records

    def test_waits_that_are_cancelled_leave_nothing_behind(self, loop_name: str) -> None:
        """An application may poll while it serves; and it hears of the shutdown all the same."""
        grown: list[int] = []

        async def poll(receive: Channel, times: int) -> None:
            for _ in range(times):
                task = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait((task,))
            gc.collect()

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)
            await poll(receive, 10)
            before = len(gc.get_objects())
            await poll(receive, 1_000)
            grown.append(len(gc.get_objects()) - before)
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        async def test() -> None:
            lifespan = Lifespan(app, "on")
            await lifespan.startup()
            while not grown:
                await asyncio.sleep(0)
            assert await lifespan.shutdown() is True

        run(loop_name, test())
        assert grown[0] < 100


class TestWrongMessages:
    @pytest.mark.parametrize(
        ("first", "then", "expected"),
        [
            (COMPLETE, COMPLETE, '"lifespan.startup.complete" cannot be sent on the lifespan scope when it has sent'),
            (COMPLETE, {"type": "lifespan.shutdown.complete"}, '"lifespan.shutdown.complete" cannot be sent'),
            (COMPLETE, {"type": "http.response.body"}, '"http.response.body" cannot be sent'),
            (COMPLETE, {}, '"None" cannot be sent'),
        ],
    )
    def test_after_startup(self, first: Any, then: Any, expected: str) -> None:
        errors = []

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(first)
            try:
                await send(then)
            except RuntimeError as error:
                errors.append(str(error))
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        assert start(app).supported
        assert errors[0].startswith(expected)

    def test_a_wrong_answer_to_startup(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        error = fail(app)
        assert error.startswith("the application failed to start: RuntimeError: ")
        assert error.endswith(
            '"lifespan.shutdown.complete" cannot be sent on the lifespan scope when it has received lifespan.startup'
        )

    def test_one_that_receives_again_without_an_answer_is_warned(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await receive()

        async def test() -> None:
            task = asyncio.ensure_future(Lifespan(app, "auto").startup())
            while not caplog.records:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait((task,))

        run("asyncio", test())
        assert "has not sent lifespan.startup.complete" in caplog.text


async def freezes_in_startup(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()
    await asyncio.Event().wait()


async def freezes_in_shutdown(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()
    await send(COMPLETE)
    await receive()
    await asyncio.Event().wait()


async def never_asks_for_its_shutdown(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()
    await send(COMPLETE)
    await asyncio.Event().wait()


class TestCancellation:
    def test_a_frozen_startup(self, loop_name: str) -> None:
        async def test() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(Lifespan(freezes_in_startup, "auto").startup(), 0.01)

        run(loop_name, test())

    @pytest.mark.parametrize("app", [freezes_in_shutdown, never_asks_for_its_shutdown])
    def test_a_frozen_shutdown(self, loop_name: str, app: Any) -> None:
        async def test() -> None:
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lifespan.shutdown(), 0.01)

        run(loop_name, test())

    def test_it_is_awaited(self) -> None:
        """A frozen startup that is cancelled cleans up before `startup` has ended."""
        cleaned = []

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                cleaned.append(True)

        async def test() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(Lifespan(app, "auto").startup(), 0.01)
            assert cleaned == [True]

        run("asyncio", test())

    def test_at_the_very_moment_of_the_answer(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            starting.cancel()
            await send(COMPLETE)
            await receive()

        async def test() -> None:
            nonlocal starting
            starting = asyncio.ensure_future(Lifespan(app, "auto").startup())
            await asyncio.wait((starting,))
            assert starting.cancelled()

        starting: Any = None
        run("asyncio", test())

    def test_one_that_swallows_it_is_cancelled_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CANCEL_SECONDS", 0.01)

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        async def test() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(Lifespan(app, "auto").startup(), 0.01)

        run("asyncio", test())

    def test_one_that_ignores_it_is_left_behind(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "CANCEL_SECONDS", 0.01)

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    pass

        async def test() -> None:
            nonlocal released
            released = asyncio.Event()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(Lifespan(app, "auto").startup(), 0.01)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            released.set()
            await asyncio.wait(left)

        released: Any = None
        run("asyncio", test())
        assert "ignores the cancellation of its lifespan" in caplog.text


class TestAfterStartup:
    def test_one_that_dies_while_it_serves_is_logged_once(
        self, loop_name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)
            await asyncio.sleep(0)
            raise LookupError("background work")

        async def test() -> bool:
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            while not caplog.records:
                await asyncio.sleep(0)
            return await lifespan.shutdown()

        assert run(loop_name, test()) is False
        (record,) = caplog.records
        assert "failed while it served" in record.getMessage()
        assert "LookupError: background work" in caplog.text

    @pytest.mark.parametrize(
        "answer",
        [{"type": "lifespan.shutdown.failed", "message": "no disk"}, None, {"type": "lifespan.shutdown.complete"}],
    )
    def test_a_shutdown_that_fails(self, answer: Any, loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)
            await receive()
            if answer is not None:
                await send(answer)
            if answer is None or answer["type"] == "lifespan.shutdown.complete":
                raise OSError("no disk")

        async def test() -> bool:
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            return await lifespan.shutdown()

        assert run(loop_name, test()) is False
        assert len(caplog.records) == 1
        assert "the application failed in its shutdown" in caplog.text
        assert "no disk" in caplog.text

    def test_one_that_ends_without_an_answer_has_ended(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send(COMPLETE)
            await receive()

        async def test() -> bool:
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            return await lifespan.shutdown()

        assert run("asyncio", test()) is True
