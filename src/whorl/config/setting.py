"""One setting: its name, default, kind, and the sentences that explain it.

A field of `Config` carries this description in its metadata; the command line, the environment, the file, the
validation and the documentation are all derived from it, so that a new setting is one edit. A setting knows how each
place spells its name, and nothing about who reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, Final, TypeVar, cast

from whorl.config.kind import Kind

__all__ = ["ENVIRONMENT_PREFIX", "Setting", "description", "setting"]

ENVIRONMENT_PREFIX: Final = "WHORL_"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of Whorl.

    Args:
        name: the name of the field, of the Python keyword and of the key in a file.
        default: the value nobody gave.
        kind: how a value is written, checked and shown, with its unit and bounds.
        group: the heading it stands under.
        help: what it does, in a sentence or two.
        why: why the default is what it is; may be empty.
        option: how the command line writes it; empty for the positional argument.
        short: its short form on the command line, such as "-p"; empty for most.
    """

    name: str
    default: Any
    kind: Kind[Any]
    group: str
    help: str
    why: str
    option: str
    short: str

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def shown_default(self) -> str:
        """The default as a person would write it; empty if it is empty."""
        return self.kind.show(self.default)

    @classmethod
    def of(cls, field: Field[Any]) -> Setting:
        """The setting that a field of `Config` describes."""
        default = None if field.default is MISSING else field.default
        words = {"option": "--" + field.name.replace("_", "-"), "short": "", **field.metadata}
        return cls(name=field.name, default=default, **words)


def description(group: str, kind: Kind[Any], help: str, **more: str) -> Mapping[str, Any]:
    """The metadata of a field; see `Setting` for the words."""
    return {"group": group, "kind": kind, "help": help, "why": "", **more}


def setting(group: str, default: Value, kind: Kind[Value], help: str, **more: str) -> Value:
    """A field of `Config` with its description; `more` may be `why`, `option` and `short`.

    It claims the type of the default, as `dataclasses.field` does, so that a type checker sees the field's type.
    """
    described: Any = field(default=default, metadata=description(group, kind, help, **more))
    return cast("Value", described)
