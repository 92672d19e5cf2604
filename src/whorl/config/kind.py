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
from typing import Generic, TypeVar

__all__ = ["Kind", "Many", "OrNone"]

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
    def is_flag(self) -> bool:
        """Whether the command line writes it as `--name/--no-name`, without a value."""
        return False

    @property
    def is_list(self) -> bool:
        """Whether the command line takes the option more than once."""
        return False

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
    def is_flag(self) -> bool:
        return self.kind.is_flag


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
