"""An application that has no lifespan, one that failed to start, and how they are distinguished."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.asgi.lifespans import Channel, Mode, Scope, fail, run, start
from whorl.asgi.lifespan import Lifespan


@pytest.fixture(autouse=True)
def _every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "whorl.error")


class Wrapper:
    """A framework that keeps the scope to itself."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.check()

    def check(self) -> None:
        if self.scope["type"] != "http":
            raise ValueError("only HTTP")


async def asserts(scope: Scope, receive: Channel, send: Channel) -> None:
    assert scope["type"] == "http"


async def misses_a_key(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive_body(scope["method"], receive)


async def misses_a_key_deep_inside(scope: Scope, receive: Channel, send: Channel) -> None:
    class Headers(dict):  # type: ignore[type-arg]
        def __missing__(self, key: str) -> str:
            raise KeyError(key)

    Headers()["path"]


async def receive_body(method: str, receive: Channel) -> None:
    await receive()


async def says_so_in_a_helper(scope: Scope, receive: Channel, send: Channel) -> None:
    def route(kind: str) -> None:
        raise RuntimeError(f"cannot serve {kind}")

    route(scope["type"])


async def refuses_in_a_helper(scope: Scope, receive: Channel, send: Channel) -> None:
    def check(kind: str) -> None:
        assert kind in ("http", "websocket")

    check(scope["type"])


async def wraps(scope: Scope, receive: Channel, send: Channel) -> None:
    Wrapper(dict(scope))


async def is_not_implemented(scope: Scope, receive: Channel, send: Channel) -> None:
    if scope["type"] == "http":
        return
    raise NotImplementedError


async def fails_in_a_group(scope: Scope, receive: Channel, send: Channel) -> None:
    async def inner() -> None:
        assert scope["type"] == "http"

    async with asyncio.TaskGroup() as group:
        group.create_task(inner())


async def returns(scope: Scope, receive: Channel, send: Channel) -> None:
    if scope["type"] != "http":
        return


async def returns_after_asking(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()


async def answers_at_once(scope: Scope, receive: Channel, send: Channel) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def answers_after_reading(scope: Scope, receive: Channel, send: Channel) -> None:
    message = await receive()
    assert not message.get("body")
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def answers_whatever_happens(scope: Scope, receive: Channel, send: Channel) -> None:
    try:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    finally:
        await asyncio.Event().wait()


async def reads_a_body(scope: Scope, receive: Channel, send: Channel) -> None:
    message = await receive()
    message["body"]


LACKING = [
    asserts,
    misses_a_key,
    misses_a_key_deep_inside,
    says_so_in_a_helper,
    refuses_in_a_helper,
    wraps,
    is_not_implemented,
    fails_in_a_group,
    returns,
    returns_after_asking,
    answers_at_once,
    answers_after_reading,
    answers_whatever_happens,
    reads_a_body,
]


class TestNone:
    @pytest.mark.parametrize("app", LACKING)
    def test_auto_goes_on_and_logs_why_at_debug(self, app: Any, caplog: pytest.LogCaptureFixture) -> None:
        """At info there is no error to be seen: it is how most such applications say that they have none."""
        lifespan = start(app)
        assert not lifespan.supported
        plain, why = caplog.records
        assert (plain.levelname, plain.getMessage()) == ("INFO", "the application has no lifespan")
        assert why.levelname == "DEBUG"
        assert why.getMessage().startswith("why the application has no lifespan: ")
        assert plain.exc_info is why.exc_info is None

    @pytest.mark.parametrize("app", LACKING)
    def test_on_does_not(self, app: Any) -> None:
        assert fail(app, "on").startswith("the application has no lifespan, and --lifespan on requires one: ")

    def test_the_error_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        start(misses_a_key)
        assert caplog.records[1].getMessage().endswith(": KeyError: 'method'")

    @pytest.mark.parametrize("app", [returns, returns_after_asking])
    def test_silence_is_named(self, app: Any, caplog: pytest.LogCaptureFixture) -> None:
        start(app)
        assert caplog.records[1].getMessage().endswith(": it returned without an answer")

    def test_on_every_loop(self, loop_name: str) -> None:
        run(loop_name, Lifespan(asserts, "auto").startup())


class TestInDoubt:
    """It raised while it held the scope, but not as a check of the scope would."""

    @staticmethod
    async def app(scope: Scope, receive: Channel, send: Channel) -> None:
        raise RuntimeError("the database is down")

    @staticmethod
    def compiled(scope: Scope, receive: Channel, send: Channel) -> Any:
        """What compiled code looks like from here: an error, and no frame that is not ours."""
        return None

    @pytest.mark.parametrize("app", [app, compiled])
    def test_auto_goes_on_with_a_warning_and_the_traceback(self, app: Any, caplog: pytest.LogCaptureFixture) -> None:
        assert not start(app).supported
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.exc_info is not None

    def test_on_does_not(self, caplog: pytest.LogCaptureFixture) -> None:
        assert fail(self.app, "on") == "the application failed to start: RuntimeError: the database is down"
        assert [record.levelname for record in caplog.records] == ["ERROR"]


async def asserts_in_startup(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()
    assert scope["state"], "no state"


async def builds_before_it_asks(scope: Scope, receive: Channel, send: Channel) -> None:
    def middleware(*, limit: int) -> None: ...

    def build_stack() -> None:
        middleware(size=1)  # type: ignore[call-arg]

    build_stack()


async def opens_a_file_before_it_asks(scope: Scope, receive: Channel, send: Channel) -> None:
    open("/nowhere/lifespan.toml")  # noqa: SIM115


async def imports_before_it_asks(scope: Scope, receive: Channel, send: Channel) -> None:
    import nowhere_at_all  # type: ignore[import-not-found]  # noqa: F401


async def is_cancelled_by_itself(scope: Scope, receive: Channel, send: Channel) -> None:
    await receive()
    raise asyncio.CancelledError


class TestFailure:
    @pytest.mark.parametrize("mode", ["auto", "on"])
    @pytest.mark.parametrize(
        ("app", "error"),
        [
            (asserts_in_startup, "AssertionError: no state"),
            (builds_before_it_asks, "TypeError: "),
            (opens_a_file_before_it_asks, "FileNotFoundError: "),
            (imports_before_it_asks, "ModuleNotFoundError: "),
            (is_cancelled_by_itself, "CancelledError"),
        ],
    )
    def test_it_does_not_start_and_the_traceback_is_logged_once(
        self, app: Any, error: str, mode: Mode, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert fail(app, mode).startswith(f"the application failed to start: {error}")
        (record,) = caplog.records
        assert record.levelname == "ERROR"
        assert record.exc_info is not None
        assert app.__name__ in caplog.text

    def test_another_missing_key_is_a_failure(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            def look_up(settings: dict[str, str]) -> str:
                return settings["path"]

            await receive()
            look_up({})

        assert fail(app) == "the application failed to start: KeyError: 'path'"

    def test_what_may_be_a_lack_of_lifespan_gets_the_remedy(self) -> None:
        assert fail(builds_before_it_asks).endswith(" (if it has no lifespan, write --lifespan off)")
        assert "--lifespan" not in fail(asserts_in_startup)
        assert "--lifespan" not in fail(builds_before_it_asks, "on")

    @pytest.mark.parametrize("mode", ["auto", "on"])
    def test_startup_failed(self, mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        assert fail(app, mode) == "the application failed to start: no database"
        assert not caplog.records

    def test_startup_failed_without_a_message(self) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed"})

        assert fail(app) == "the application failed to start: it gave no reason"

    def test_startup_failed_with_a_traceback_for_a_message(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            message = "Traceback (most recent call last):\n  File …\nOSError: no database\n"
            await send({"type": "lifespan.startup.failed", "message": message})

        assert fail(app) == "the application failed to start: OSError: no database"
        assert caplog.text.count("Traceback") == 1

    def test_startup_failed_and_then_raised(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            try:
                raise OSError("no database")
            except OSError:
                message = "Traceback (most recent call last):\n  File …\nOSError: no database\n"
                await send({"type": "lifespan.startup.failed", "message": message})
                raise

        assert fail(app) == "the application failed to start: OSError: no database"
        assert caplog.text.count("Traceback") == 1

    def test_startup_failed_and_then_a_cleanup(self) -> None:
        put_away = []

        async def app(scope: Scope, receive: Channel, send: Channel) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})
            await asyncio.sleep(0.01)
            put_away.append(True)
            await receive()  # nothing will come

        fail(app)
        assert put_away == [True]
