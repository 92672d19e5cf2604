"""Failures of code, told once each: the application's, with a traceback that begins in the application, and our own,
named as such.

`asgi` calls `application_failed` for a request, and uses `app_traceback` and `describe` where an application fails to
load or to start. Whoever catches what nobody expected calls `bug`. What a peer did wrong is not told here: it is
answered and counted.
"""

from __future__ import annotations

import logging
from types import TracebackType

from whorl.observe.escaping import escape_bytes, escape_text, text_of
from whorl.observe.logs import keep_enabled

__all__ = ["app_traceback", "application_failed", "describe", "log_app_error", "log_internal_error"]

SERVER_PACKAGES = frozenset({"whorl", "importlib", "_frozen_importlib", "_frozen_importlib_external"})
"""The packages that stand between the event loop and the application's first line."""


def application_failed(logger: logging.Logger, error: BaseException, method: str, target: bytes) -> None:
    """Log that the application raised while it handled a request.

    Args:
        logger: where to, `whorl.error` as a rule.
        error: what it raised.
        method: the request's method.
        target: the request's target, as it came.
    """
    log_app_error(logger, error, f'the application failed on "{escape_text(method)} {escape_bytes(target)}"')


def log_internal_error(logger: logging.Logger, error: BaseException) -> None:
    """Log an error that only a mistake in Whorl can cause, or the lack of memory, with the whole traceback."""
    if isinstance(error, MemoryError):
        sentence = "the process is out of memory: the connection that needed more is closed"
    else:
        sentence = "this is a bug of Whorl, please report it with what follows"
    logger.error(sentence, exc_info=error)


def log_app_error(logger: logging.Logger, error: BaseException, sentence: str, level: int = logging.ERROR) -> None:
    """Log a sentence and below it the application's error, without our frames on top."""
    keep_enabled()  # the application may have configured logging just now
    logger.log(level, "%s", sentence, exc_info=(type(error), error, app_traceback(error)))


def app_traceback(error: BaseException) -> TracebackType | None:
    """The error's traceback from the first frame that is not ours; None when no code of theirs ran."""
    traceback = error.__traceback__
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in SERVER_PACKAGES:
            break
        traceback = traceback.tb_next
    return traceback


def describe(error: BaseException) -> str:
    """An error in one line: its type and the first line of what it says."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a task group around one error says nothing by itself
    lines = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
