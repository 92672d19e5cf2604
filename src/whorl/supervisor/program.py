"""What was started, as an application sees it: `sys.argv`, `sys.path`, `__main__` and the interpreter's options.

A worker is another process, but an application that reads these while it is imported finds in it what one process would
have. The parent describes itself (`Program.here`), the worker takes that on (`Program.restore`).
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["Program", "interpreter_options"]

NOT_FOR_WORKERS = "ix"
"""Stay interactive at the end, skip the first line: these are about the program's own source."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program.

    Args:
        argv: `sys.argv`.
        orig_argv: `sys.orig_argv`.
        path: `sys.path`.
        file: `__main__.__file__`, None where there is none.
        package: `__main__.__package__`.
        spec: name and origin of `__main__.__spec__`, None where there is none.
    """

    argv: tuple[str, ...]
    orig_argv: tuple[str, ...]
    path: tuple[str, ...]
    file: str | None = None
    package: str | None = None
    spec: tuple[str, str | None] | None = None

    @classmethod
    def here(cls) -> Program:
        """The program of this process."""
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
        """Have this process look like that program. Its code is not run: it would start a server."""
        sys.argv[:] = self.argv
        sys.orig_argv[:] = self.orig_argv
        sys.path[:] = self.path
        if getattr(sys, "frozen", False):
            return  # each process has run the program itself
        main = ModuleType("__main__")
        main.__package__ = self.package
        main.__dict__["__builtins__"] = builtins
        if self.file is not None:
            main.__file__ = self.file
        if self.spec is not None:
            # multiprocessing reads the name, to import the module in a child as `__mp_main__`.
            main.__spec__ = ModuleSpec(self.spec[0], None, origin=self.spec[1])
        sys.modules["__main__"] = main


def interpreter_options(words: Sequence[str] = ()) -> list[str]:
    """The options that an interpreter was started with: `-X dev`, `-W error`, `-O` and so on.

    They are read from the command line, because neither `sys.flags` nor `subprocess` knows all of them (`-u`, most of
    `-X`), and both mix in what the environment asks for, which a worker inherits anyway.

    Args:
        words: the command line, that of this process by default.
    """
    words = list(words or sys.orig_argv)
    if not words or getattr(sys, "frozen", False):
        return []
    options: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word == "--check-hash-based-pycs":
            options += [word, next(rest, "default")]
        elif not word.startswith("-") or word in ("-", "--"):
            break
        else:
            kept, is_last = letters_of(word)
            if kept in ("-W", "-X"):
                options += [kept, next(rest, "")]
            elif kept != "-":
                options.append(kept)
            if is_last:
                break
    return options


def letters_of(word: str) -> tuple[str, bool]:
    """What a worker gets of a word of options such as `-OOu`, `-Xdev` or `-Im`, and whether the program follows it."""
    kept = "-"
    for index, letter in enumerate(word[1:], 1):
        if letter in "WX":
            return kept + word[index:], False
        if letter in "cm":
            return kept, True
        if letter not in NOT_FOR_WORKERS:
            kept += letter
    return kept, False
