"""The program as an application sees it: `sys.argv`, `sys.path`, `__main__` and the interpreter's options.

A worker takes on those of its parent, so that an application that reads them while it is imported finds the same as in
a single process.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["Program", "interpreter_options"]

PARENT_ONLY_OPTIONS = "ix"
"""Stay interactive at the end, skip the first line: these concern the program's own source."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, described so that another process can take it on.

    Args:
        argv: `sys.argv`.
        orig_argv: `sys.orig_argv`.
        path: `sys.path`.
        file: `__main__.__file__`, None if there is none.
        package: `__main__.__package__`.
        spec: name and origin of `__main__.__spec__`, None if there is none.
    """

    argv: tuple[str, ...]
    orig_argv: tuple[str, ...]
    path: tuple[str, ...]
    file: str | None = None
    package: str | None = None
    spec: tuple[str, str | None] | None = None

    @classmethod
    def current(cls) -> Program:
        """Describe the program of this process."""
        main = sys.modules.get("__main__")
        spec = getattr(main, "__spec__", None)
        return cls(
            tuple(sys.argv),
            tuple(sys.orig_argv),
            tuple(sys.path),
            getattr(main, "__file__", None),
            getattr(main, "__package__", None),
            None if spec is None else (spec.name, spec.origin),
        )

    def restore(self) -> None:
        """Make this process look like the program. Its code is not run: it would start a server."""
        sys.argv[:] = self.argv
        sys.orig_argv[:] = self.orig_argv
        sys.path[:] = self.path
        if getattr(sys, "frozen", False):
            return  # this process has run the program itself
        main = ModuleType("__main__")
        main.__package__ = self.package
        main.__dict__["__builtins__"] = builtins
        if self.file is not None:
            main.__file__ = self.file
        if self.spec is not None:
            # multiprocessing reads the name, to import the module in a child as `__mp_main__`.
            main.__spec__ = ModuleSpec(self.spec[0], None, origin=self.spec[1])
        sys.modules["__main__"] = main


def interpreter_options(command: Sequence[str] = ()) -> list[str]:
    """Return the options that the interpreter was started with: `-X dev`, `-W error`, `-O` and so on.

    They are read from the command line: `sys.flags` and `subprocess` lack some (`-u`, most of `-X`), and both add what
    the environment sets, which a worker inherits anyway.

    Args:
        command: the command line, by default that of this process.
    """
    command = list(command or sys.orig_argv)
    if not command or getattr(sys, "frozen", False):
        return []
    options: list[str] = []
    rest = iter(command[1:])
    for argument in rest:
        if argument == "--check-hash-based-pycs":
            options += [argument, next(rest, "default")]
        elif not argument.startswith("-") or argument in ("-", "--"):
            break
        else:
            kept, is_last = letters_of(argument)
            if kept in ("-W", "-X"):
                options += [kept, next(rest, "")]
            elif kept != "-":
                options.append(kept)
            if is_last:
                break
    return options


def letters_of(argument: str) -> tuple[str, bool]:
    """Split an argument such as `-OOu`, `-Xdev` or `-Im`. Returns what a worker gets of it, and whether the program
    follows it."""
    kept = "-"
    for index, letter in enumerate(argument[1:], 1):
        if letter in "WX":
            return kept + argument[index:], False
        if letter in "cm":
            return kept, True
        if letter not in PARENT_ONLY_OPTIONS:
            kept += letter
    return kept, False
