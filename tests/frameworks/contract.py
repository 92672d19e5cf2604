"""What every framework's application does: the same routes with the same answers, so that one set of tests serves all.

    GET HEAD /json             GREETING
    any      /echo/<word>      what was asked, see `echoed`
    any      /body             `digest` of the body, read whole
    POST     /body/pieces      `digest` of the body, read in pieces
    POST     /form             the fields `name` and `word` (a list) of a form
    POST     /upload           field `title`, and the name and `digest` of `file` (multipart)
    GET      /drip             `Stage.drip`
    POST     /release          opens the gate once, 204
    GET      /events/<name>    `Stage.events` as server-sent events
    GET      /wait/<name>      notes `<name> entered`, waits until the client leaves, and notes <name>
    GET      /noticed/<name>   whether the application came to note that name
    GET      /cookies/set      sets COOKIES
    GET      /cookies          the cookies that came
    GET      /redirect         302 to /json
    GET      /empty            204
    GET      /fail             raises
    GET      /fail/midway      raises after the first piece of content
    GET HEAD /file             the file that `file_path` names
    GET      /background       answers, then runs `Stage.after_response`
    GET      /state            what start-up left behind: {"started": 1}
    GET      /meet             `Stage.meet`
    GET      /time-out         `Stage.time_out`
    GET      /context          `context_before`
    GET      /thread           `in_main_thread`, from a handler that is not async

The applications in `apps` import this file, and the tests read what it promises. It knows no framework.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

GREETING = {"greeting": "Grüß dich", "numbers": [1, 2, 3]}
COOKIES = {"flavour": "oat", "size": "2"}
PIECES = 3
PARALLEL = 20
FILE_VARIABLE = "CONTRACT_FILE"
SHUT_DOWN = "the contract's application shuts down"
PATIENCE_SECONDS = 10.0

SEEN: ContextVar[str | None] = ContextVar("SEEN", default=None)


def file_path() -> str:
    return os.environ[FILE_VARIABLE]


def digest(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def echoed(method: str, word: str, queries: list[str], header: str) -> dict[str, Any]:
    """The request's method, the word in its path, all values of `q` in its query, and its field `X-Word`."""
    return {"method": method, "word": word, "q": queries, "header": header}


def context_before() -> dict[str, Any]:
    """What an earlier request left in a context variable, which must be nothing; leaves something."""
    before = SEEN.get()
    SEEN.set("an earlier request")
    return {"before": before}


def in_main_thread() -> dict[str, bool]:
    return {"main": threading.current_thread() is threading.main_thread()}


def say_shut_down() -> None:
    """Called when the application is told to shut down."""
    print(SHUT_DOWN, flush=True)


class Stage:
    """Where a served application and the test meet: they wait for each other here, and for no clock."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(0)
        self._barrier = asyncio.Barrier(PARALLEL)
        self._noted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._tasks: set[asyncio.Task[None]] = set()

    def release(self) -> None:
        self._gate.release()

    def note(self, name: str) -> None:
        self._noted[name].set()

    def enter(self, name: str) -> None:
        self.note(f"{name} entered")

    async def noticed(self, name: str) -> dict[str, bool]:
        """Whether the name is noted within PATIENCE_SECONDS.

        A framework may leave a generator behind in a cycle of references (Django does when `send()` raised), and only
        the collector ends it.
        """
        noted = self._noted[name]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not noted.is_set():
                    gc.collect()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(noted.wait(), 0.1)
        return {"noticed": noted.is_set()}

    async def drip(self) -> AsyncIterator[bytes]:
        """PIECES lines, each but the first after one /release."""
        for number in range(PIECES):
            if number:
                await self._gate.acquire()
            yield b"piece %d\n" % number

    async def events(self, name: str) -> AsyncIterator[bytes]:
        """Events without end; notes the name when the framework gives up."""
        try:
            number = 0
            while True:
                yield b"data: %d\n\n" % number
                number += 1
                await asyncio.sleep(0.01)
        finally:
            self.note(name)

    async def fail_midway(self) -> AsyncIterator[bytes]:
        yield b"the first piece\n"
        raise RuntimeError("failed midway, as asked")

    async def wait_for_ever(self, name: str) -> None:
        """For a framework that cancels the handler when the client leaves."""
        self.enter(name)
        try:
            await asyncio.Event().wait()
        finally:
            self.note(name)

    async def after_response(self) -> None:
        """Waits for one /release, and notes `background`."""
        await self._gate.acquire()
        self.note("background")

    def start_after_response(self) -> None:
        """For a framework without background tasks of its own."""
        task = asyncio.create_task(self.after_response())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def meet(self) -> dict[str, int]:
        """Returns when PARALLEL requests are in here at the same time."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._barrier.wait()
        return {"met": PARALLEL}

    async def time_out(self) -> dict[str, bool]:
        """asyncio.timeout() and a task group need a current task that can be cancelled."""
        try:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
        except TimeoutError:
            return {"timed_out": True}
        return {"timed_out": False}


class NotePathsend:
    """Middleware that notes `pathsend` when a file is left to the server (ASGI extension http.response.pathsend)."""

    def __init__(self, app: Any, stage: Stage) -> None:
        self.app = app
        self.stage = stage

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def noting_send(message: Any) -> None:
            if message["type"] == "http.response.pathsend":
                self.stage.note("pathsend")
            await send(message)

        await self.app(scope, receive, noting_send)
