"""Settings that are words: a switch, a choice, a text, a host, a path, the application itself.

`config` uses these to describe its fields; see `kind` for what a kind is. A path is looked up when it is read, so that
a wrong one is reported with all the other mistakes and not after the start. Nothing is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from whorl.config.kind import Kind
from whorl.config.names import nearest

if TYPE_CHECKING:
    from configparser import RawConfigParser

__all__ = ["Application", "Choice", "Directory", "File", "Flag", "Host", "LogConfig", "RootPath", "Text"]

TRUE: Final = ("1", "true", "t", "yes", "y", "on")
FALSE: Final = ("0", "false", "f", "no", "n", "off")


class Flag(Kind[bool]):
    """A switch: `--name` or `--no-name` on the command line, one of `TRUE` or `FALSE` elsewhere, in any case."""

    def read(self, raw: object) -> bool:
        word = str(raw).strip().lower()
        if word not in TRUE and word not in FALSE:
            raise self.refusal(raw)
        return word in TRUE

    def accepts(self) -> str:
        return "true or false"

    def show(self, value: bool) -> str:
        return "true" if value else "false"

    @property
    def switch(self) -> tuple[str, str]:
        return "true", "false"


@dataclass(frozen=True, repr=False, eq=False)
class Choice(Kind[str]):
    """One of a few words, in any case.

    Args:
        words: the choices, in lower case.
        aliases: other spellings that are taken, and the word each stands for.
        placeholder: the word that stands for the choice in the help text; all of the choices by default.
        notes: words that are accepted and have no effect, and what to tell the user about each.
        switched: what `--name` and `--no-name` without a value stand for, if the command line takes these.
    """

    words: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    placeholder: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    switched: tuple[str, str] | None = None

    def read(self, raw: object) -> str:
        word = str(raw).strip().lower()
        word = self.aliases.get(word, word)
        if word in self.words:
            return word
        near = nearest(word, self.words)
        raise ValueError(f"{self.refusal(raw)}: did you mean {near}?") if near else self.refusal(raw)

    def accepts(self) -> str:
        return f"{', '.join(self.words[:-1])} or {self.words[-1]}"

    def note(self, value: str) -> str | None:
        return self.notes.get(value)

    @property
    def metavar(self) -> str:
        return self.placeholder or f"[{'|'.join(self.words)}]"

    @property
    def switch(self) -> tuple[str, str] | None:
        return self.switched


@dataclass(frozen=True, repr=False, eq=False)
class Text(Kind[str]):
    """A text that is not empty and holds no control characters; a path that need not exist yet is taken, too.

    Args:
        noun: what the text is, for messages.
        placeholder: the word that stands for it in the help text.
        aliases: other spellings that are taken, and the text each stands for.
    """

    noun: str
    placeholder: str
    aliases: Mapping[str, str] = field(default_factory=dict)

    def read(self, raw: object) -> str:
        text = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise self.refusal(raw)
        return self.aliases.get(text, text)

    def accepts(self) -> str:
        return self.noun

    @property
    def metavar(self) -> str:
        return self.placeholder


class Host(Kind[str]):
    """A host name or an IP address, without brackets, port or scheme."""

    def read(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw.strip() or not raw.strip().isprintable():
            raise self.refusal(raw)
        host = raw.strip()
        if any(character in host for character in "/[]@ ") or host.count(":") == 1:
            raise ValueError(f"{self.refusal(raw)}: without scheme, port and brackets")
        return host

    def accepts(self) -> str:
        return 'a host name or an IP address ("0.0.0.0" is every IPv4 address, "::" every address)'

    @property
    def metavar(self) -> str:
        return "HOST"


class RootPath(Kind[str]):
    """Empty, or an absolute URL path (ASGI: `root_path`); a slash at its end is dropped, so that `/` is empty."""

    def read(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise self.refusal(raw)
        path = raw.strip().rstrip("/")
        visible = path.isascii() and path.isprintable() and not any(character in path for character in " ?#%")
        if not visible or (path and not path.startswith("/")):
            raise self.refusal(raw)
        return path

    def accepts(self) -> str:
        return 'empty, or a path such as "/api" in plain ASCII'

    @property
    def metavar(self) -> str:
        return "PATH"


class File(Kind[str]):
    """The path of a file that exists."""

    def read(self, raw: object) -> str:
        path = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
        if not isinstance(path, str) or not os.path.isfile(path):
            raise self.refusal(raw)
        return path

    def accepts(self) -> str:
        return "a file that exists"

    @property
    def metavar(self) -> str:
        return "FILE"


class Directory(Kind[str]):
    """The path of a directory that exists; empty is the current one."""

    def read(self, raw: object) -> str:
        path = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
        if not isinstance(path, str) or (path and not os.path.isdir(path)):
            raise self.refusal(raw)
        return path

    def accepts(self) -> str:
        return "a directory that exists, or empty (the current one)"

    @property
    def metavar(self) -> str:
        return "DIRECTORY"


class LogConfig(Kind[Any]):
    """The configuration of `logging`: a file whose suffix names its format, or a dictionary (in TOML: a table).

    From Python also what `logging.config.fileConfig` takes: a `RawConfigParser`, or an open file, which is read here.
    """

    def read(self, raw: object) -> Any:
        if isinstance(raw, dict):
            return raw
        if hasattr(raw, "readline") or hasattr(raw, "read_file"):
            return self.parser(raw)
        try:
            return File().read(raw)
        except ValueError:
            raise self.refusal(raw) from None

    def parser(self, raw: Any) -> RawConfigParser:
        from configparser import ConfigParser, Error, RawConfigParser  # here, because most servers have no use for it

        if isinstance(raw, RawConfigParser):
            return raw
        parser = ConfigParser(None)
        try:
            parser.read_file(raw)
        except (Error, OSError, ValueError) as error:
            raise ValueError(f"cannot be read: {' '.join(str(error).split())}") from None
        return parser

    def accepts(self) -> str:
        return "a file that exists, or a dictionary"

    def show(self, value: Any) -> str:
        return value if isinstance(value, str) else "a table of its own"

    @property
    def metavar(self) -> str:
        return "FILE"


class Application(Kind[Any]):
    """The application: an import string, or from Python the object itself.

    None is allowed: a configuration without an application can be printed, though not served.
    """

    def read(self, raw: object) -> Any:
        if isinstance(raw, str):
            return self.import_string(raw.strip())
        if raw is None or callable(raw):
            return raw
        raise ValueError(f"must be an application (a callable) or {self.accepts()}, not {raw!r}")

    def import_string(self, text: str) -> str:
        """The import string, if it is one. Other forms that people are used to get the right one in the message."""
        module, _, attribute = text.partition(":")
        if attribute.endswith(")"):
            function = text.partition("(")[0]
            raise ValueError(f"must be {self.accepts()}, not {text!r}: to call it, write {function} and --factory")
        is_path = module.endswith(".py") or any(character in text for character in "/\\ ")
        if is_path or not module or not attribute or ":" in attribute:
            module = module.removesuffix(".py").strip("./\\ ").replace("/", ".").replace("\\", ".") or "main"
            likely = f"{module}:{attribute.strip(': ') or 'app'}"
            raise ValueError(f"must be {self.accepts()}, not {text!r}: did you mean {likely}?")
        return text

    def accepts(self) -> str:
        return "<module>:<attribute>"

    def show(self, value: Any) -> str:
        return "none" if value is None else value if isinstance(value, str) else repr(value)

    @property
    def metavar(self) -> str:
        return "APP"
