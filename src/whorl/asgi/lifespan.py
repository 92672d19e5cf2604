"""The application's startup and shutdown (ASGI lifespan 2.0).

One task runs as long as the server, because context variables, task groups and cancel scopes belong to a task. The
specification lets an application without lifespan raise. Taken literally, that would hide every error of a startup:
`whorl.asgi.lifespan_support` distinguishes the two. `startup` and `shutdown` may be cancelled; no task is left behind.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any, Literal, NoReturn

from whorl.asgi.coroutines import is_of_application
from whorl.asgi.lifespan_support import Verdict, classify
from whorl.asgi.types import ASGIApp, Message, Scope
from whorl.errors import StartError
from whorl.observe.failures import describe, log_app_error
from whorl.observe.logs import ERROR_LOGGER

__all__ = ["Lifespan"]

CANCEL_SECONDS = 5.0
CANCEL_TIMES = 3
"""An application may swallow its cancellation. After so many, its task is left to the end of the loop."""


class Phase(Enum):
    """What the application has received and sent last. The value completes "... when"."""

    CALLED = "it has not called receive()"
    STARTING = "it has received lifespan.startup"
    STARTED = "it has sent lifespan.startup.complete"
    SHUTDOWN_DUE = "lifespan.shutdown waits in receive()"
    STOPPING = "it has received lifespan.shutdown"
    STOPPED = "it has sent lifespan.shutdown.complete"
    FAILED = "it has sent lifespan.startup.failed or lifespan.shutdown.failed"
    ABSENT = "it has answered as if to a request, so it has no lifespan"


START_PHASES = frozenset({Phase.CALLED, Phase.STARTING})
FINAL_PHASES = frozenset({Phase.STOPPED, Phase.FAILED, Phase.ABSENT})

ANSWERS = {
    # An answer before receive() is accepted too.
    (Phase.CALLED, "lifespan.startup.complete"): Phase.STARTED,
    (Phase.CALLED, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STARTING, "lifespan.startup.complete"): Phase.STARTED,
    (Phase.STARTING, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STOPPING, "lifespan.shutdown.complete"): Phase.STOPPED,
    (Phase.STOPPING, "lifespan.shutdown.failed"): Phase.FAILED,
}
"""Where each message of the application leads. Any other is its error."""

DEFAULT_REASONS = {Phase.FAILED: "it gave no reason", Phase.ABSENT: "it answered as if to a request"}


class Lifespan:
    """One application's lifespan, used once.

    Args:
        app: the application.
        mode: "off": it is not called. "on": it must support lifespan. "auto": it may.

    Attributes:
        state: what the application shares with its requests (ASGI lifespan state); each scope has a shallow copy.
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
    def supported(self) -> bool:
        """Whether the application supports lifespan. Valid after `startup`."""
        return self._task is not None and self._phase is not Phase.ABSENT and self._phase not in START_PHASES

    async def startup(self) -> None:
        """Start the application. Return when it is ready, or has no lifespan and needs none.

        Raises:
            StartError: it failed to start, or has no lifespan in mode "on". The traceback has been logged.
        """
        if self._mode == "off":
            return
        task = self._task = asyncio.get_running_loop().create_task(self._run(), name="whorl lifespan")
        task.add_done_callback(lambda _: self._changed.set())
        try:
            while self._phase in START_PHASES and not task.done():
                await self._wait_change()
            if self._phase is Phase.FAILED:
                await asyncio.wait((task,))  # it may have to clean up
        except asyncio.CancelledError:
            await self._end(task)
            raise
        if self._phase is not Phase.STARTED:
            await self._end(task)
            self._conclude_start()

    async def shutdown(self) -> bool:
        """Shut the application down. Return when its task has ended.

        Returns:
            Whether it succeeded. Errors have been logged. Without lifespan there is nothing to do.
        """
        task = self._task
        serving = self._phase is Phase.STARTED
        if task is None or not serving:
            return True
        if task.done():
            return self._error is None
        self._set_phase(Phase.SHUTDOWN_DUE)
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
                raise  # a cancellation by the server
            self._error = error
            if self._phase is Phase.STARTED:
                sentence = "the application's lifespan failed while it served: it will not receive lifespan.shutdown"
                log_app_error(self._logger, error, sentence)

    async def _receive(self) -> Message:
        if self._phase is Phase.CALLED:
            self._set_phase(Phase.STARTING)
            return {"type": "lifespan.startup"}
        if self._phase is Phase.STARTING:
            self._logger.warning("the application calls receive() again and has not sent lifespan.startup.complete")
        while self._phase is not Phase.SHUTDOWN_DUE:
            if self._phase in FINAL_PHASES and self._task is not None:
                self._task.cancel()  # there is no further message
            await self._wait_change()
        self._set_phase(Phase.STOPPING)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = str(message.get("type"))
        answer = ANSWERS.get((self._phase, kind))
        if answer is None:
            when = self._phase.value
            if self._phase in START_PHASES and not kind.startswith("lifespan."):
                self._set_phase(Phase.ABSENT)
            raise RuntimeError(f'"{kind}" cannot be sent on the lifespan scope when {when}')
        self._reason = str(message.get("message", "")).strip()
        self._set_phase(answer)

    # Conclusions

    def _conclude_start(self) -> None:
        """Log why the application has ended without being ready, and raise if the server may not go on."""
        error, phase, reason = self._error, self._phase, self._reason_line()
        verdict = Verdict.FAILURE if phase is Phase.FAILED else Verdict.REFUSAL
        if error is not None and phase in START_PHASES:
            verdict = classify(error, startup_received=phase is Phase.STARTING)
        if verdict is Verdict.FAILURE or (verdict is Verdict.DOUBT and self._mode == "on"):
            unasked = phase is Phase.CALLED and self._mode == "auto"
            hint = " (if it has no lifespan, write --lifespan off)" if unasked else ""
            self._fail(f"the application failed to start: {reason}{hint}")
        if self._mode == "on":
            self._fail(f"the application has no lifespan, and --lifespan on requires one: {reason}")
        self._phase = Phase.ABSENT
        if verdict is Verdict.DOUBT and error is not None:
            sentence = "the application raised on the lifespan scope: the server starts as if it had no lifespan"
            log_app_error(self._logger, error, f"{sentence} (write --lifespan off or on to decide)", logging.WARNING)
        else:
            self._logger.info("the application has no lifespan")
            self._logger.debug("why the application has no lifespan: %s", reason)

    def _fail(self, sentence: str) -> NoReturn:
        """Raise StartError. Log first what does not fit into one line."""
        if self._error is not None:
            log_app_error(self._logger, self._error, "the application failed to start")
        elif "\n" in self._reason:
            self._logger.error("the application failed to start:\n%s", self._reason)
        raise StartError(sentence) from self._error

    def _reason_line(self) -> str:
        """Return why the application is not ready. The last line of a longer reason, a traceback, is the error."""
        if self._reason and ("\n" not in self._reason or self._error is None):
            return self._reason.splitlines()[-1]
        if self._error is not None:
            return describe(self._error)
        return DEFAULT_REASONS.get(self._phase, "it returned without an answer")

    # Mechanics

    def _set_phase(self, phase: Phase) -> None:
        self._phase = phase
        self._changed.set()

    async def _wait_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Cancel the task if it has not ended, and wait for its end."""
        for _ in range(CANCEL_TIMES):
            if task.done():
                return
            task.cancel()
            await asyncio.wait((task,), timeout=CANCEL_SECONDS)
        if not task.done():
            self._logger.error("the application ignores the cancellation of its lifespan: its task is left behind")
