"""A server inside somebody else's program: in a running loop, in a thread, two side by side, and never touching
signals."""

from __future__ import annotations

import asyncio
import signal
import threading
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import whorl
from whorl import Config, ConfigError, Server, StartError
from whorl.loops import resolve

PATIENCE_SECONDS = 20.0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope["server"][1]).encode()})


def config(**options: Any) -> Config:
    return Config(app, port=0, log_config={}, access_log=False, **options)


async def fetch(url: str) -> str:
    def ask() -> str:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
            return str(response.read().decode())

    return await asyncio.get_running_loop().run_in_executor(None, ask)


async def started(server: Server, task: asyncio.Task[None]) -> None:
    """Wait until a server accepts, or fail with why it does not."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0)


def on(loop_name: str, main: Callable[[], Awaitable[None]]) -> None:
    with resolve(loop_name).make().runner() as runner:
        runner.run(main())  # type: ignore[arg-type]


def test_in_a_running_loop(loop_name: str) -> None:
    async def main() -> None:
        server = Server(config())
        task = asyncio.create_task(server.serve())
        await started(server, task)
        (url,) = server.urls
        assert url.endswith(":" + await fetch(url))
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert not server.started
        assert asyncio.all_tasks() == {asyncio.current_task()}

    on(loop_name, main)


def test_two_side_by_side(loop_name: str) -> None:
    async def main() -> None:
        servers = [Server(config()), Server(config(server_header=False))]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        for server, task in zip(servers, tasks, strict=True):
            await started(server, task)
        ports = {await fetch(server.urls[0]) for server in servers}
        assert len(ports) == 2
        servers[0].should_exit = True
        await asyncio.wait_for(tasks[0], PATIENCE_SECONDS)
        assert await fetch(servers[1].urls[0]) in ports
        servers[1].should_exit = True
        await asyncio.wait_for(tasks[1], PATIENCE_SECONDS)

    on(loop_name, main)


def test_signals_stay_as_they_were(loop_name: str) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    async def main() -> None:
        inside = {number: signal.getsignal(number) for number in before}
        server = Server(config())
        task = asyncio.create_task(server.serve())
        await started(server, task)
        assert {number: signal.getsignal(number) for number in before} == inside
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE_SECONDS)

    on(loop_name, main)
    assert {number: signal.getsignal(number) for number in before} == before


def test_in_a_thread_and_told_to_leave_from_another(loop_name: str) -> None:
    server = Server(config())
    ready = threading.Event()

    async def main() -> None:
        task = asyncio.create_task(server.serve())
        await started(server, task)
        ready.set()
        await task

    thread = threading.Thread(target=on, args=(loop_name, main))
    thread.start()
    try:
        assert ready.wait(PATIENCE_SECONDS)
        with urllib.request.urlopen(server.urls[0], timeout=PATIENCE_SECONDS) as response:
            assert response.status == 200
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_cancelling_serve_drains(loop_name: str) -> None:
    """As asyncio.run does with its main task on Ctrl+C."""

    async def main() -> None:
        server = Server(config())
        task = asyncio.create_task(server.serve())
        await started(server, task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_SECONDS)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    on(loop_name, main)


def test_told_to_leave_before_it_starts(loop_name: str) -> None:
    async def main() -> None:
        server = Server(config())
        server.should_exit = True
        await asyncio.wait_for(server.serve(), PATIENCE_SECONDS)

    on(loop_name, main)


def test_an_application_that_cannot_be_found_is_an_exception_and_not_an_exit() -> None:
    async def main() -> None:
        with pytest.raises(StartError, match="no module"):
            await Server(Config("no_such_module:app", port=0, log_config={})).serve()

    on("asyncio", main)


def test_a_wrong_configuration_is_an_exception_and_not_an_exit() -> None:
    with pytest.raises(ConfigError, match="port"):
        Config(app, port=70000)


class TestAsyncContext:
    """`async with Server(config) as server`"""

    def test_serves_inside_the_block(self, loop_name: str) -> None:
        async def main() -> None:
            async with Server(config()) as server:
                (url,) = server.urls
                assert url.endswith(":" + await fetch(url))
                assert not server.shutdown.begun
            assert server.shutdown.begun
            assert not server.started
            assert asyncio.all_tasks() == {asyncio.current_task()}

        on(loop_name, main)

    def test_a_start_that_fails_is_raised(self, loop_name: str, recwarn: pytest.WarningsRecorder) -> None:
        async def main() -> None:
            with pytest.raises(StartError, match="no module"):
                async with Server(Config("no_such_module:app", port=0, log_config={})):
                    raise AssertionError("the block must not run")
            assert asyncio.all_tasks() == {asyncio.current_task()}

        on(loop_name, main)

    def test_it_drains_where_the_block_fails_or_is_cancelled(self, loop_name: str) -> None:
        async def main() -> None:
            with pytest.raises(ZeroDivisionError):
                async with Server(config()) as server:
                    raise ZeroDivisionError
            assert server.shutdown.begun
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    async with Server(config()) as server:
                        await asyncio.Event().wait()
            assert server.shutdown.begun
            assert asyncio.all_tasks() == {asyncio.current_task()}

        on(loop_name, main)

    def test_cancelled_while_it_starts(self, loop_name: str) -> None:
        async def main() -> None:
            starting = asyncio.Event()

            async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
                starting.set()
                await asyncio.Event().wait()

            async def enter() -> None:
                async with Server(Config(slow, port=0, lifespan="on", log_config={})):
                    raise AssertionError("the block must not run")

            task = asyncio.create_task(enter())
            await asyncio.wait_for(starting.wait(), PATIENCE_SECONDS)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

        on(loop_name, main)


class TestThread:
    """`with Server(config) as server`, in a program that has no loop"""

    def test_serves_inside_the_block(self, loop_name: str) -> None:
        with Server(config(loop=loop_name)) as server:
            with urllib.request.urlopen(server.urls[0], timeout=PATIENCE_SECONDS) as response:
                assert response.status == 200
        assert not server.started
        assert "whorl" not in [thread.name for thread in threading.enumerate()]

    def test_a_start_that_fails_is_raised(self, loop_name: str) -> None:
        with pytest.raises(StartError, match="no module"):
            with Server(Config("no_such_module:app", port=0, log_config={}, loop=loop_name)):
                raise AssertionError("the block must not run")
        assert "whorl" not in [thread.name for thread in threading.enumerate()]


class TestReady:
    def test_one_who_gives_up_waiting_does_not_end_it_for_others(self) -> None:
        async def main() -> None:
            server = Server(config())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(server.ready), 0.01)
            async with server:
                assert server.ready.done()

        on("asyncio", main)

    def test_a_server_that_was_told_to_leave_is_never_ready(self) -> None:
        async def main() -> None:
            server = Server(config())
            server.should_exit = True
            await server.serve()
            with pytest.raises(StartError, match="told to stop"):
                server.ready.result(0)

        on("asyncio", main)

    def test_a_server_serves_once(self) -> None:
        async def main() -> None:
            async with Server(config()) as server:
                pass
            with pytest.raises(RuntimeError, match="once"):
                await server.serve()

        on("asyncio", main)


class TestShutdown:
    def test_each_server_has_its_own(self, loop_name: str) -> None:
        async def main() -> None:
            asked, told = asyncio.Event(), asyncio.Event()

            async def waits(scope: dict[str, Any], receive: Any, send: Any) -> None:
                assert scope["type"] == "http"
                asked.set()
                await whorl.shutdown().wait()
                told.set()
                await app(scope, receive, send)

            async with Server(config()) as other:
                async with Server(Config(waits, port=0, log_config={}, access_log=False)) as server:
                    answer = asyncio.create_task(fetch(server.urls[0]))
                    await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
                    assert not told.is_set()
                assert told.is_set()
                assert await answer
                assert not other.shutdown.begun

        on(loop_name, main)

    def test_without_a_server_it_never_begins(self) -> None:
        assert not whorl.shutdown().begun
