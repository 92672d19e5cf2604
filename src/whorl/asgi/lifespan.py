"""The application's start-up and shutdown (ASGI lifespan 2.0), in one task that lives as long as the server.

One task, so that what an application enters at start-up it leaves at shutdown: context variables, task groups and
cancel scopes belong to a task.

In mode `auto` an application may lack lifespan. The specification lets it raise on the scope, and has the server go
on then. Taken to the letter, that hides every error of a start-up, so Whorl tells them apart:

- It called `receive()`, so it was told to start, and then raised: its start-up failed, and the server does not start.
  Unless it answered as if to a request, or missed a key that a request has: then it never looked at the scope's type.
- It raised before: `whorl.asgi.lifespan_support` tells a refusal (at level info; the error, at debug) from a failure
  (the server does not start). In doubt the server starts, with a warning and the traceback.
- It returned without an answer: it has no lifespan.

The server calls `startup` before it accepts and `shutdown` when the last exchange has ended, and bounds either with
`asyncio.timeout` if it wants: both may be cancelled at any time, and leave no task behind.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any, Literal, NoReturn

from whorl.asgi.coroutines import is_of_application
from whorl.asgi.lifespan_support import Verdict, judge
from whorl.asgi.types import ASGIApp, Message, Scope
from whorl.errors import StartError
from whorl.observe.failures import describe, log_app_error
from whorl.observe.logs import ERROR_LOGGER

__all__ = ["Lifespan"]

CANCEL_SECONDS = 5.0
"""How long a cancelled application may take to clean up before it is cancelled again."""
CANCEL_TIMES = 3
"""How often an application is cancelled that swallows it, before it is left to the loop's own end."""


class Phase(Enum):
    """How far the conversation with the application has come."""

    CALLED = "the application runs and has not asked for a message"
    STARTING = "it has lifespan.startup"
    STARTED = "it has said that it is ready"
    SHUTDOWN_DUE = "lifespan.shutdown waits for it"
    STOPPING = "it has lifespan.shutdown"
    STOPPED = "it has said that it has shut down"
    FAILED = "it has said that it could not"
    ABSENT = "it took the scope for a request's: it has no lifespan"


BEFORE_START = frozenset({Phase.CALLED, Phase.STARTING})
LAST_WORDS = frozenset({Phase.STOPPED, Phase.FAILED, Phase.ABSENT})

ANSWERS = {
    # Who answers before it asks is understood all the same.
    (Phase.CALLED, "lifespan.startup.complete"): Phase.STARTED,
    (Phase.CALLED, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STARTING, "lifespan.startup.complete"): Phase.STARTED,
    (Phase.STARTING, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STOPPING, "lifespan.shutdown.complete"): Phase.STOPPED,
    (Phase.STOPPING, "lifespan.shutdown.failed"): Phase.FAILED,
}
"""What the application may say when. Anything else is its mistake."""

UNSAID = {Phase.FAILED: "it gave no reason", Phase.ABSENT: "it answered as if to a request"}


class Lifespan:
    """One application's lifespan, used once.

    Args:
        app: the application.
        mode: "off" never calls it; "on" makes its absence an error; "auto" takes it as it comes.

    Attributes:
        state: what the application left for its requests (ASGI lifespan state); each scope gets a shallow copy.
    """

    def __init__(self, app: ASGIApp, mode: Literal["auto", "on", "off"]) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._logger = logging.getLogger(ERROR_LOGGER)
        self._phase = Phase.CALLED
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._reason = ""
        self._error: BaseException | None = None

    @property
    def present(self) -> bool:
        """Whether the application has a lifespan, known once `startup` has returned."""
        return self._task is not None and self._phase is not Phase.ABSENT and self._phase not in BEFORE_START

    async def startup(self) -> None:
        """Start the application, and return when it is ready, or when it has no lifespan and needs none.

        Raises:
            StartError: it failed to start, or has no lifespan in mode "on". Its traceback has been logged.
        """
        if self._mode == "off":
            return
        task = self._task = asyncio.get_running_loop().create_task(self._run(), name="whorl lifespan")
        task.add_done_callback(lambda _: self._changed.set())
        try:
            while self._phase in BEFORE_START and not task.done():
                await self._change()
            if self._phase is Phase.FAILED:
                await asyncio.wait((task,))  # it may have something to put away
        except asyncio.CancelledError:
            await self._end(task)
            raise
        if self._phase is not Phase.STARTED:
            await self._end(task)
            self._conclude_start()

    async def shutdown(self) -> bool:
        """Shut the application down, and return when its task has ended.

        Returns:
            Whether it went well; what did not has been logged. Without a lifespan there is nothing to shut down.
        """
        task = self._task
        serving = self._phase is Phase.STARTED
        if task is None or not serving:
            return True
        if task.done():
            return self._error is None
        self._become(Phase.SHUTDOWN_DUE)
        try:
            await asyncio.wait((task,))
        finally:
            await self._end(task)
        if self._error is not None:
            log_app_error(self._logger, self._error, "the application failed in its shutdown")
        elif self._phase is Phase.FAILED:
            self._logger.error("the application failed in its shutdown: %s", self._reason or "it gave no reason")
        return self._error is None and self._phase is not Phase.FAILED

    # The application's side

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_of_application(error, self._task):
                raise  # it was asked to stop
            self._error = error
            if self._phase is Phase.STARTED:
                sentence = "the application's lifespan failed while it served: it cannot be told of the shutdown"
                log_app_error(self._logger, error, sentence)

    async def _receive(self) -> Message:
        if self._phase is Phase.CALLED:
            self._become(Phase.STARTING)
            return {"type": "lifespan.startup"}
        if self._phase is Phase.STARTING:
            self._logger.warning("the application waits for its shutdown and has not sent lifespan.startup.complete")
        while self._phase is not Phase.SHUTDOWN_DUE:
            if self._phase in LAST_WORDS and self._task is not None:
                self._task.cancel()  # nothing more will come: this is its end
            await self._change()
        self._become(Phase.STOPPING)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = str(message.get("type"))
        answer = ANSWERS.get((self._phase, kind))
        if answer is None:
            when = self._phase.value
            if self._phase in BEFORE_START and not kind.startswith("lifespan."):
                self._become(Phase.ABSENT)
            raise RuntimeError(f'"{kind}" cannot be sent on the lifespan scope when {when}')
        self._reason = str(message.get("message", "")).strip()
        self._become(answer)

    # Conclusions

    def _conclude_start(self) -> None:
        """It has ended without being ready: say why, and whether the server may go on."""
        error, phase, said = self._error, self._phase, self._said()
        verdict = Verdict.FAILURE if phase is Phase.FAILED else Verdict.REFUSAL
        if error is not None and phase in BEFORE_START:
            verdict = judge(error, told=phase is Phase.STARTING)
        if verdict is Verdict.FAILURE or (verdict is Verdict.DOUBT and self._mode == "on"):
            unasked = phase is Phase.CALLED and self._mode == "auto"
            hint = " (if it has no lifespan, say --lifespan off)" if unasked else ""
            self._fail(f"the application failed to start: {said}{hint}")
        if self._mode == "on":
            self._fail(f"the application has no lifespan, and --lifespan on asks for one: {said}")
        self._phase = Phase.ABSENT
        if verdict is Verdict.DOUBT and error is not None:
            sentence = "the application failed when it was asked to start; the server goes on as if it had no lifespan"
            log_app_error(self._logger, error, f"{sentence} (--lifespan off or on settles it)", logging.WARNING)
        else:
            self._logger.info("the application has no lifespan")
            self._logger.debug("it turned the lifespan down: %s", said)

    def _fail(self, sentence: str) -> NoReturn:
        """Give up the start. What takes more than a line to say goes to the log, once."""
        if self._error is not None:
            log_app_error(self._logger, self._error, "the application failed to start")
        elif "\n" in self._reason:
            self._logger.error("the application failed to start:\n%s", self._reason)
        raise StartError(sentence) from self._error

    def _said(self) -> str:
        """In one line, why it is not ready. A reason of many lines is a traceback; the last one is the error."""
        if self._reason and ("\n" not in self._reason or self._error is None):
            return self._reason.splitlines()[-1]
        if self._error is not None:
            return describe(self._error)
        return UNSAID.get(self._phase, "it returned without an answer")

    # Mechanics

    def _become(self, phase: Phase) -> None:
        self._phase = phase
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Have the task end now, by cancellation if it has not ended by itself."""
        for _ in range(CANCEL_TIMES):
            if task.done():
                return
            task.cancel()
            await asyncio.wait((task,), timeout=CANCEL_SECONDS)
        if not task.done():
            self._logger.error("the application ignores that its lifespan is cancelled: it is left behind")
