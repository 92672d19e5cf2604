"""Loads the application from an import string or an object, and calls it first if it is a factory.

An import string is `<module>:<attribute>[.<attribute> …]`. An error of the user (no such module or attribute, a factory
without its flag) is reported in one line with a remedy. An error of the application (its module or its factory raises)
is logged with its traceback, and reported in one line.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NoReturn

from whorl.asgi.interface import Interface, adapt, check, detect, looks_like_factory, takes
from whorl.asgi.types import ASGIApp
from whorl.errors import StartError, WhorlError
from whorl.observe.failures import app_traceback, describe, log_app_error
from whorl.observe.logs import ERROR_LOGGER

__all__ = ["Application", "import_target", "load"]


@dataclass(frozen=True, slots=True)
class Application:
    """An application that can be called.

    Args:
        app: the application as ASGI 3.
        interface: its own interface.
        name: its name in messages: its import string, or its type.
    """

    app: ASGIApp
    interface: Interface
    name: str


async def load(
    target: object, *, factory: bool, app_dir: str, interface: Literal["auto", "asgi3", "asgi2", "wsgi"]
) -> Application:
    """Load the application.

    Args:
        target: an import string, or the application or factory itself.
        factory: whether the target is called without arguments, and awaited if it is async, to get the application.
        app_dir: the directory to import from, "" for the current one. It is put first on `sys.path` if the target is
            an import string.
        interface: how the application is called; "auto" decides by its signature.

    Raises:
        StartError: there is no application, or it failed while it was loaded.
    """
    if isinstance(target, str):
        name, found = target, import_target(target, app_dir)
    else:
        name, found = _name_of(target), target
    subject = f'"{name}"'
    if factory:
        found = await _make(found, subject)
        subject = f"what {subject} returned"
    if interface == "auto":
        interface = detect(found, subject)
    else:
        check(found, interface, subject)
    return Application(adapt(found, interface), interface, name)


def import_target(target: str, app_dir: str) -> object:
    """Import what an import string names: an application or a factory.

    Args:
        target: the import string.
        app_dir: the directory to import from, "" for the current one; put first on `sys.path`.

    Raises:
        StartError: the name does not exist, or its import raised.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise StartError(f'"{target}" does not name an application: write <module>:<attribute>, such as "main:app"')
    directory = os.path.abspath(app_dir)
    if not os.path.isdir(directory):
        raise StartError(f'--app-dir: there is no directory "{app_dir}"')
    if directory in sys.path:
        sys.path.remove(directory)
    sys.path.insert(0, directory)
    found: object = _import_module(module_name, directory, target)
    owner_name = module_name
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise StartError(f'"{owner_name}" has no attribute "{attribute}"{_suggest(found, attribute)}') from None
        except Exception as error:
            _raise_app_error(error, f'"{target}" raised when it was looked up')
        owner_name += f".{attribute}"
    return found


def _import_module(name: str, directory: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except WhorlError:
        raise  # the module calls whorl.run while it is imported
    except Exception as error:
        # The named module is missing if it, or a package that holds it, was not found and no code of the application
        # has run: a module may also fail to import another of the same name.
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}.") or app_traceback(error) is not None:
            _raise_app_error(error, f'"{target}" raised while it was imported')
        raise StartError(_missing(missing, directory, target)) from None


def _missing(module: str, directory: str, target: str) -> str:
    """Return the error for a module that does not exist, with the sibling that was probably meant."""
    package, _, leaf = module.rpartition(".")
    siblings = list(getattr(sys.modules[package], "__path__", [])) if package else [directory]
    if not siblings:
        return f'there is no module "{module}": "{package}" is no package'
    import pkgutil  # here, as difflib below: only an error needs them

    near = nearest(leaf, [sibling.name for sibling in pkgutil.iter_modules(siblings)])
    if not near:
        return f'there is no module "{module}" in {siblings[0]}: --app-dir says where to look'
    meant = target.replace(module, f"{package}.{near[0]}" if package else near[0], 1)
    return f'there is no module "{module}" in {siblings[0]}: did you mean "{meant}"?'


async def _make(factory: object, subject: str) -> object:
    if not callable(factory):
        raise StartError(f"{subject} is no factory: it cannot be called")
    if not takes(factory, 0):
        remedy = "drop --factory" if takes(factory, 3) else "give its parameters defaults"
        raise StartError(f"{subject} is no factory, it cannot be called without arguments: {remedy}")
    try:
        made = factory()
        if inspect.isawaitable(made):
            made = await made
    except WhorlError:
        raise
    except Exception as error:
        _raise_app_error(error, f"the factory {subject} raised")
    if made is None:
        raise StartError(f"the factory {subject} returned None: it must return the application")
    if callable(made) and looks_like_factory(made):
        raise StartError(f"the factory {subject} returned something to call again: it must return the application")
    return made


def _raise_app_error(error: Exception, sentence: str) -> NoReturn:
    """Log the application's traceback, and raise StartError."""
    log_app_error(logging.getLogger(ERROR_LOGGER), error, sentence)
    raise StartError(f"{sentence}: {describe(error)}") from error


def nearest(word: str, names: list[str]) -> list[str]:
    """Return the name most like the word, or none."""
    from difflib import get_close_matches

    return get_close_matches(word, names, 1)


def _suggest(owner: object, attribute: str) -> str:
    """Return what was probably meant: a similar name, else one of an application or its factory."""
    names = [name for name in dir(owner) if not name.startswith("_")]
    near = nearest(attribute, names) or list(_applications(vars(owner) if isinstance(owner, ModuleType) else {}))[:1]
    return f': did you mean "{near[0]}"?' if near else ""


def _applications(namespace: dict[str, Any]) -> Iterable[str]:
    """Yield the public names in a module that are applications by the names of their parameters: many async functions
    take three."""
    for name, value in namespace.items():
        if name.startswith("_") or not callable(value) or inspect.isclass(value):
            continue
        called = value if inspect.isfunction(value) else type(value).__call__
        try:
            parameters = list(inspect.signature(called).parameters)
        except (TypeError, ValueError):
            continue
        if parameters[-3:] == ["scope", "receive", "send"]:
            yield name


def _name_of(target: object) -> str:
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}:{getattr(named, '__qualname__', type(target).__name__)}"
