"""Settings that are a number with a unit: a count, a size in bytes, a time in seconds, the mode of a file.

Each has bounds, and refuses a value outside them with the bounds and the unit in the text. Sizes and times may carry
their unit ("64KiB", "2m"). `config` uses these to describe its fields; see `kind` for what a kind is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from whorl.config.kind import Kind

__all__ = ["GIB", "KIB", "MIB", "Count", "Mode", "Seconds", "Size"]

NUMBER_AND_UNIT: Final = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?) *([A-Za-z]*)")
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BYTES_PER_UNIT: Final = {"": 1, "b": 1, "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB}
SECONDS_PER_UNIT: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def number_and_unit(text: str) -> tuple[str, str] | None:
    """The two parts of "2.5 h", the unit in lower case, or None if the text is something else."""
    match = NUMBER_AND_UNIT.fullmatch(text.strip())
    return (match[1], match[2].lower()) if match else None


@dataclass(frozen=True, repr=False, eq=False)
class Count(Kind[int]):
    """A whole number.

    Args:
        least, most: the bounds, both included; `most` may be None.
        unit: what is counted, in the plural.
        zero: the number that 0 stands for, where 0 itself is out of range; None where 0 is nothing special.
    """

    least: int
    most: int | None = None
    unit: str = ""
    zero: int | None = None

    def read(self, raw: object) -> int:
        if isinstance(raw, str) and raw.strip().isascii() and raw.strip().isdigit():
            value = int(raw)
        elif isinstance(raw, int) and not isinstance(raw, bool):
            value = raw
        else:
            raise self.refusal(raw)
        if value == 0 and self.zero is not None:
            return self.zero
        if value < self.least or (self.most is not None and value > self.most):
            raise self.refusal(raw)
        return value

    def accepts(self) -> str:
        number = f"a whole number of {self.unit}" if self.unit else "a whole number"
        return f"{number}, {self.least} or more" if self.most is None else f"{number} from {self.least} to {self.most}"

    @property
    def metavar(self) -> str:
        return "NUMBER"


@dataclass(frozen=True, repr=False, eq=False)
class Size(Kind[int]):
    """A number of bytes, written bare or with B, K, KiB, M, MiB, G or GiB, which are powers of 1024.

    KB and MB are refused: half of their readers take them for 1000 and a million.

    Args:
        least, most: the bounds in bytes, both included; `most` may be None.
    """

    least: int
    most: int | None = None

    def read(self, raw: object) -> int:
        value = self.bytes_of(raw)
        if value is None or value < self.least or (self.most is not None and value > self.most):
            raise self.refusal(raw)
        return value

    def bytes_of(self, raw: object) -> int | None:
        """How many bytes were written, or None if it is no size."""
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        parts = number_and_unit(raw) if isinstance(raw, str) else None
        if parts is None or parts[1] not in BYTES_PER_UNIT:
            return None
        number, factor = parts[0], BYTES_PER_UNIT[parts[1]]
        exact = float(number) * factor if "." in number else int(number) * factor
        return int(exact) if exact == int(exact) else None

    def accepts(self) -> str:
        least = self.show(self.least)
        return f"a size, {least} or more" if self.most is None else f"a size from {least} to {self.show(self.most)}"

    def show(self, value: int) -> str:
        for unit in ("GiB", "MiB", "KiB"):
            count, rest = divmod(value, BYTES_PER_UNIT[unit.lower()])
            if count and not rest:
                return f"{count}{unit}"
        return f"{value}B"

    @property
    def metavar(self) -> str:
        return "SIZE"


@dataclass(frozen=True, repr=False, eq=False)
class Seconds(Kind[float]):
    """A time in seconds, written bare or with ms, s, m or h.

    Args:
        least, most: the bounds in seconds, both included. The default `most` is a year, because "for
            ever" is often written as a large number; every loop can wait that long.
    """

    least: float = 0.001
    most: float = 31_536_000.0

    def read(self, raw: object) -> float:
        value = self.seconds_of(raw)
        if value is None or not self.least <= value <= self.most:  # the comparison refuses NaN, too
            raise self.refusal(raw)
        return value

    def seconds_of(self, raw: object) -> float | None:
        """How many seconds were written, or None if it is no time."""
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return float(raw)
        parts = number_and_unit(raw) if isinstance(raw, str) else None
        if parts is None or parts[1] not in SECONDS_PER_UNIT:
            return None
        return float(parts[0]) * SECONDS_PER_UNIT[parts[1]]

    def accepts(self) -> str:
        return f"a time from {self.least:g} to {self.most:.12g} seconds"

    def show(self, value: float) -> str:
        return f"{value!r}s".replace(".0s", "s")

    @property
    def metavar(self) -> str:
        return "SECONDS"


class Mode(Kind[int]):
    """The permission bits of a file, chmod(2). Text is octal, as for the command chmod; a number is itself."""

    def read(self, raw: object) -> int:
        if isinstance(raw, str):
            digits = raw.strip().lower().removeprefix("0o")
            value = int(digits, 8) if re.fullmatch("[0-7]+", digits) else -1
        elif isinstance(raw, int) and not isinstance(raw, bool):
            value = raw
        else:
            value = -1
        if not 0 <= value <= 0o777:
            raise self.refusal(raw)
        return value

    def accepts(self) -> str:
        return 'octal permission bits from 0000 to 0777, such as "0660"'

    def show(self, value: int) -> str:
        return f"{value:04o}"

    @property
    def metavar(self) -> str:
        return "OCTAL"
