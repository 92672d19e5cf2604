"""The kind of a setting: how its value is written, checked and shown.

A kind reads what a person wrote (text from the command line, the environment or a file, or a Python value), and
answers with the checked value or with a `ValueError` whose text completes a sentence that begins with the setting's
name: "must be a whole number from 0 to 65535, not 99999". What it shows can be read again and gives the same value.
The concrete kinds are in `quantities`, `words` and `header_fields`.

`setting` ties a kind to a name. A kind knows neither its setting nor the place where the value was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Kind", "Many", "Missing", "OrAuto", "OrNone", "Unused"]

Value = TypeVar("Value")


class Kind(Generic[Value]):
    """What all kinds have in common. A concrete kind says `read` and `accepts`; the rest has a sensible answer here."""

    def read(self, raw: object) -> Value:
        """The checked value of what was written.

        Args:
            raw: text, or a Python value; a value that was read before is taken as it is.

        Raises:
            ValueError: what is wrong, as the end of a sentence that begins with the setting's name.
        """
        raise NotImplementedError

    def accepts(self) -> str:
        """What may be written, with its unit and bounds, as it stands after "must be"."""
        raise NotImplementedError

    def show(self, value: Value) -> str:
        """The value as a person would write it."""
        return str(value)

    @property
    def metavar(self) -> str:
        """The word that stands for the value in the help text."""
        return "TEXT"

    @property
    def switch(self) -> tuple[str, str] | None:
        """What `--name` and `--no-name` without a value stand for; None where the command line needs a value."""
        return None

    @property
    def is_list(self) -> bool:
        """Whether the command line takes the option more than once."""
        return False

    def note(self, value: Value) -> str | None:
        """What to tell the user about a value that is accepted and has no effect, as the end of a sentence that begins
        with the setting and the value; None for most values."""
        return None

    def refusal(self, raw: object) -> ValueError:
        """The usual complaint about a value that is not of this kind."""
        return ValueError(f"must be {self.accepts()}, not {raw!r}")


@dataclass(frozen=True, repr=False, eq=False)
class OrNone(Kind[Value | None]):
    """A kind whose value may also be absent, which is `None` in Python and a word elsewhere (TOML has no null).

    Args:
        kind: the kind of a value that is there.
        means: what absence means, for the documentation: "no limit".
        zero: whether 0 is another way to write None.
        word: how absence is written.
    """

    kind: Kind[Value]
    means: str
    zero: bool = False
    word: str = "none"

    def read(self, raw: object) -> Value | None:
        if raw is None or (isinstance(raw, str) and raw.strip().lower() == self.word):
            return None
        if self.zero and not isinstance(raw, bool) and raw in (0, "0"):
            return None
        try:
            return self.kind.read(raw)
        except ValueError as error:
            if str(error) == str(self.kind.refusal(raw)):
                raise self.refusal(raw) from None  # the same complaint, with the other spelling that would have done
            raise

    def accepts(self) -> str:
        words = f"0 or {self.word}" if self.zero else self.word
        return f"{self.kind.accepts()} ({words}: {self.means})"

    def show(self, value: Value | None) -> str:
        return self.word if value is None else self.kind.show(value)

    @property
    def metavar(self) -> str:
        return self.kind.metavar

    @property
    def switch(self) -> tuple[str, str] | None:
        return self.kind.switch


@dataclass(frozen=True, repr=False, eq=False)
class OrAuto(Kind[Value | Literal["auto"]]):
    """A kind whose value may also be the word auto: Whorl finds the value when it starts.

    Args:
        kind: the kind of a value that is written.
        means: what auto stands for, for the documentation.
    """

    kind: Kind[Value]
    means: str

    def read(self, raw: object) -> Value | Literal["auto"]:
        if isinstance(raw, str) and raw.strip().lower() == "auto":
            return "auto"
        try:
            return self.kind.read(raw)
        except ValueError:
            raise self.refusal(raw) from None

    def accepts(self) -> str:
        return f"{self.kind.accepts()} (auto: {self.means})"

    def show(self, value: Value | Literal["auto"]) -> str:
        return value if isinstance(value, str) else self.kind.show(value)

    @property
    def metavar(self) -> str:
        return self.kind.metavar


@dataclass(frozen=True, repr=False, eq=False)
class Unused(Kind[Value]):
    """The kind of an option that Uvicorn has and Whorl has no use for: it is checked, and the user is told.

    Args:
        kind: the kind of the value.
        reason: why Whorl has no use for it.
    """

    kind: Kind[Value]
    reason: str

    def read(self, raw: object) -> Value:
        return self.kind.read(raw)

    def accepts(self) -> str:
        return self.kind.accepts()

    def show(self, value: Value) -> str:
        return self.kind.show(value)

    def note(self, value: Value) -> str:
        return f"has no effect: {self.reason}"

    @property
    def metavar(self) -> str:
        return self.kind.metavar

    @property
    def switch(self) -> tuple[str, str] | None:
        return self.kind.switch


@dataclass(frozen=True, repr=False, eq=False)
class Missing(Kind[Value]):
    """The kind of an option that Uvicorn has and Whorl does not have yet. Only the value that turns it off is accepted,
    because anything else would be lost without a word.

    Args:
        kind: the kind of the value.
        off: the value that turns it off.
    """

    kind: Kind[Value]
    off: Value

    def read(self, raw: object) -> Value:
        try:
            is_off = self.kind.read(raw) == self.off
        except ValueError:
            is_off = False
        if not is_off:
            raise ValueError("is an option of Uvicorn that this release of Whorl does not have: leave it out")
        return self.off

    def accepts(self) -> str:
        return self.kind.show(self.off)

    def show(self, value: Value) -> str:
        return self.kind.show(value)

    @property
    def metavar(self) -> str:
        return self.kind.metavar

    @property
    def switch(self) -> tuple[str, str] | None:
        return self.kind.switch


@dataclass(frozen=True, repr=False, eq=False)
class Many(Kind[tuple[Value, ...]]):
    """A list of values of one kind; the command line repeats the option, one text has commas or line ends between.

    Args:
        kind: the kind of each.
    """

    kind: Kind[Value]

    def read(self, raw: object) -> tuple[Value, ...]:
        if isinstance(raw, str):
            raw = [item.strip() for item in raw.replace("\n", ",").split(",") if item.strip()]
        if not isinstance(raw, Iterable) or isinstance(raw, (bytes, bytearray, dict)):
            raise self.refusal(raw)
        return tuple(self.kind.read(item) for item in raw)

    def accepts(self) -> str:
        return self.kind.accepts()

    def show(self, value: tuple[Value, ...]) -> str:
        return "\n".join(map(self.kind.show, value))

    @property
    def metavar(self) -> str:
        return self.kind.metavar

    @property
    def is_list(self) -> bool:
        return True
