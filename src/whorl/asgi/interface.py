"""Detects the calling convention of an application, and adapts it to ASGI 3.

    asgi3   await app(scope, receive, send)
    asgi2   await app(scope)(receive, send)     ("Legacy Applications" of the ASGI specification)
    wsgi    app(environ, start_response)        (PEP 3333, by the package a2wsgi)

Only the signature decides: to call the application could have effects, and its errors would be taken for an answer.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal, cast

from whorl.asgi.types import ASGIApp, Receive, Scope, Send
from whorl.errors import StartError

__all__ = ["Interface", "adapt", "check", "detect", "looks_like_factory", "takes"]

Interface = Literal["asgi3", "asgi2", "wsgi"]

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "asgi3": ("scope", "receive", "send"),
    "asgi2": ("scope",),
    "wsgi": ("environ", "start_response"),
}


def detect(app: Any, subject: str) -> Interface:
    """Return how an application is called.

    Args:
        app: the application.
        subject: its name in an error.

    Raises:
        StartError: it is not an application; or it is probably a factory, or WSGI, which is never assumed.
    """
    if not callable(app):
        raise StartError(f"{subject} is no application: {_article(type(app).__name__)} cannot be called")
    if inspect.isclass(app):
        return _detect_class(app, subject)
    if looks_like_factory(app):
        raise StartError(f"{subject} looks like a factory, because it takes no arguments: add --factory")
    if takes(app, 3):
        return "asgi3"
    if not _is_coroutine_function(app):
        if takes(app, 1):
            return "asgi2"
        if takes(app, 2):
            raise StartError(
                f"{subject} takes two arguments, as a WSGI application does: add --interface wsgi if it is one"
            )
    raise StartError(f"{subject} is no ASGI application: it cannot be called with (scope, receive, send)")


def check(app: Any, interface: Interface, subject: str) -> None:
    """Check that an application can be called by the configured interface.

    Raises:
        StartError: it cannot.
    """
    arguments = ARGUMENTS[interface]
    if callable(app) and takes(app, len(arguments)):
        return
    remedy = ": it looks like a factory, add --factory" if callable(app) and looks_like_factory(app) else ""
    raise StartError(f"{subject} cannot be called as {interface} with ({', '.join(arguments)}){remedy}")


def adapt(app: Any, interface: Interface) -> ASGIApp:
    """Return the application as ASGI 3.

    Raises:
        StartError: the package that runs WSGI applications is not installed.
    """
    if interface == "asgi2":
        return _from_asgi2(app)
    if interface == "wsgi":
        try:
            from a2wsgi import WSGIMiddleware
        except ModuleNotFoundError:
            raise StartError("--interface wsgi needs the package a2wsgi: pip install 'whorl[wsgi]'") from None
        return cast("ASGIApp", WSGIMiddleware(app))
    return cast("ASGIApp", app)


def takes(app: Callable[..., Any], count: int) -> bool:
    """Return whether an object can be called with so many positional arguments. True if it has no signature, as in
    compiled code."""
    signature = _signature(app)
    if signature is None:
        return True
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True


def looks_like_factory(app: Callable[..., Any]) -> bool:
    """Return whether an object is called without arguments.

    A decorator's `*args` does not count. An async function that also takes three arguments is an application with
    defaults.
    """
    signature = _signature(app)
    if signature is None or not takes(app, 0):
        return False
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values()):
        return False
    return not (_is_coroutine_function(app) and takes(app, 3))


def _detect_class(app: type, subject: str) -> Interface:
    """Detect the interface of a class. Its instance is awaited in ASGI 3, called in ASGI 2."""
    if takes(app, 3) and hasattr(app, "__await__"):
        return "asgi3"
    if takes(app, 1) and not takes(app, 0):
        return "asgi2"
    remedy = ", or add --factory to have one made" if takes(app, 0) else ""
    raise StartError(f"{subject} is a class and no application: name an instance of it{remedy}")


def _from_asgi2(app: Callable[[Scope], Callable[[Receive, Send], Any]]) -> ASGIApp:
    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "asgi": {**scope["asgi"], "version": "2.0"}})(receive, send)

    return asgi3


def _is_coroutine_function(app: object) -> bool:
    """Return whether a call makes a coroutine: it is an async function, or its `__call__` is."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


def _signature(app: Callable[..., Any]) -> inspect.Signature | None:
    try:
        # PEP 649: annotations are evaluated on demand, and may name what only a type checker imports.
        if sys.version_info >= (3, 14):
            from annotationlib import Format

            return inspect.signature(app, annotation_format=Format.FORWARDREF)
        return inspect.signature(app)
    except (TypeError, ValueError):
        return None


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"
