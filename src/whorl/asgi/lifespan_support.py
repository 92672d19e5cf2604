"""Whether an application that raised on the lifespan scope turned the scope down, or failed at something else.

ASGI has no way for an application to say that it has no lifespan: it raises what it likes when it is called with a
scope type that it does not know. A server that takes every error for such a refusal hides real ones: a middleware
that cannot be built, a setting that is missing. A server that takes none cannot run applications that know only HTTP.
So the error itself is asked, and its traceback:

- It names "lifespan", or it is the lack of a key that an HTTP scope has (`scope["method"]`): a refusal.
- It was raised by a function that had the scope, or the word "lifespan", in hand, and is of a kind that checks raise
  (`assert`, ValueError, KeyError …): a refusal.
- It was raised there, but is of another kind (RuntimeError, a class of the application's own), or no Python code of
  theirs was seen: in doubt.
- The network, the file system or an import failed, or the function that raised never saw the scope: a failure.

An application that has called `receive()` has been told to start, so it failed; unless what it misses is a key of a
request's message (`message["body"]`), and it has the message in hand. `whorl.asgi.lifespan` asks all this.
"""

from __future__ import annotations

from enum import Enum

from whorl.observe.escaping import text_of
from whorl.observe.failures import app_traceback

__all__ = ["Verdict", "judge"]


class Verdict(Enum):
    """What an error on the lifespan scope means."""

    REFUSAL = "the application does not know the scope"
    DOUBT = "it may be either"
    FAILURE = "the application failed"


FAILURE_KINDS = (OSError, ImportError, MemoryError)
REFUSAL_KINDS = (AssertionError, LookupError, ValueError, TypeError, AttributeError, NotImplementedError)
SCOPE_KEYS = frozenset({"headers", "http_version", "method", "path", "query_string", "raw_path", "root_path"})
"""Keys of an HTTP scope (ASGI HTTP 2.5) that a lifespan scope has not."""
BODY_KEYS = frozenset({"body", "more_body"})
"""Keys of `http.request`."""


def judge(error: BaseException, told: bool) -> Verdict:
    """Decide what it means that the application raised.

    Args:
        error: what it raised.
        told: whether it had called `receive()` and got `lifespan.startup`.
    """
    while isinstance(error, BaseExceptionGroup):  # a task group of theirs wraps what happened inside
        error = error.exceptions[0]
    missed = error.args[0] if isinstance(error, KeyError) and error.args else None
    if told:
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
    """Whether the function that raised had the scope or a message of it in hand: as a local, or an attribute of one."""
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
    """By its type and not its identity: middleware copies scopes."""
    kind = value.get("type") if isinstance(value, dict) else value
    return isinstance(kind, str) and (kind == "lifespan" or kind.startswith("lifespan."))
