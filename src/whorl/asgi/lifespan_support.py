"""Tells an application without lifespan from one that failed to start.

ASGI defines no way to refuse the lifespan scope: an application raises what it likes on a scope type that it does not
know. A server that takes every error for that hides a middleware that cannot be built, or a missing setting. A server
that takes none cannot run applications that know only HTTP. So the error and its traceback decide.
"""

from __future__ import annotations

from enum import Enum

from whorl.observe.escaping import text_of
from whorl.observe.failures import app_traceback

__all__ = ["Verdict", "classify"]


class Verdict(Enum):
    """What an error on the lifespan scope means."""

    REFUSAL = "the application does not support the scope"
    DOUBT = "either of the two"
    FAILURE = "the application failed"


FAILURE_KINDS = (OSError, ImportError, MemoryError)
REFUSAL_KINDS = (AssertionError, LookupError, ValueError, TypeError, AttributeError, NotImplementedError)
SCOPE_KEYS = frozenset({"headers", "http_version", "method", "path", "query_string", "raw_path", "root_path"})
"""Keys of an HTTP scope (ASGI HTTP 2.5) that a lifespan scope lacks."""
BODY_KEYS = frozenset({"body", "more_body"})
"""Keys of `http.request`."""


def classify(error: BaseException, startup_received: bool) -> Verdict:
    """Return what it means that the application raised.

    Before `lifespan.startup`:

    - The error names "lifespan", or a key that only an HTTP scope has (`scope["method"]`): a refusal.
    - The function that raised holds the scope, or the word "lifespan", and the error is of a kind that checks raise
      (`assert`, ValueError, KeyError): a refusal.
    - It holds the scope, and the error is of another kind, or no Python code of the application was run: in doubt.
    - The network, the file system or an import failed, or the function never saw the scope: a failure.

    After it, the application has failed, unless it misses a key of a request's message (`message["body"]`).

    Args:
        error: what it raised.
        startup_received: whether it had received `lifespan.startup`.
    """
    while isinstance(error, BaseExceptionGroup):  # a task group wraps its errors
        error = error.exceptions[0]
    missed = error.args[0] if isinstance(error, KeyError) and error.args else None
    if startup_received:
        return Verdict.REFUSAL if missed in BODY_KEYS | SCOPE_KEYS and _had_lifespan(error) else Verdict.FAILURE
    if isinstance(error, FAILURE_KINDS):
        return Verdict.FAILURE
    if "lifespan" in text_of(error) or missed in SCOPE_KEYS:
        return Verdict.REFUSAL
    if app_traceback(error) is None:
        return Verdict.DOUBT
    if not _had_lifespan(error):
        return Verdict.FAILURE
    return Verdict.REFUSAL if isinstance(error, REFUSAL_KINDS) else Verdict.DOUBT


def _had_lifespan(error: BaseException) -> bool:
    """Return whether the function that raised holds the scope or a message: in a local, or an attribute of one."""
    traceback = app_traceback(error)
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    for value in traceback.tb_frame.f_locals.values():
        if _is_lifespan(value) or any(map(_is_lifespan, getattr(value, "__dict__", {}).values())):
            return True
    return False


def _is_lifespan(value: object) -> bool:
    """Compare the type, not the identity: middleware copies scopes."""
    kind = value.get("type") if isinstance(value, dict) else value
    return isinstance(kind, str) and (kind == "lifespan" or kind.startswith("lifespan."))
