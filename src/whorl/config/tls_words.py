"""Settings of TLS that are more than a word: a secret, tables of certificates, a function that makes the context.

`config` uses these to describe its fields; see `kind` for what a kind is. No certificate is read here, and `ssl` is not
imported, so that the command line starts fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from whorl.config.kind import Kind
from whorl.config.words import File

__all__ = ["CertificateFiles", "CertificateTables", "ContextFactory", "Secret"]

HIDDEN: Final = "(hidden)"


class Secret(Kind[str]):
    """A password. What it is, is never shown."""

    def read(self, raw: object) -> str:
        if not isinstance(raw, str) or not raw:
            raise ValueError(f"must be {self.accepts()}")  # without what was written
        return raw

    def accepts(self) -> str:
        return "a password"

    def show(self, value: str) -> str:
        return HIDDEN

    @property
    def metavar(self) -> str:
        return "PASSWORD"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One certificate of several.

    Args:
        certfile: a PEM file.
        keyfile: a PEM file with the private key; None where it stands in `certfile`.
        keyfile_password: the password of the private key; None where it has none.
    """

    certfile: str
    keyfile: str | None = None
    keyfile_password: str | None = None

    def __repr__(self) -> str:
        return f"CertificateFiles({shown(self)!r})"


KEYS: Final = tuple(described.name for described in fields(CertificateFiles))


class CertificateTables(Kind[tuple[CertificateFiles, ...]]):
    """Certificates: tables in a file, dictionaries from Python, "certfile=a.pem,keyfile=b.pem" as text; in an
    environment variable one on each line."""

    def read(self, raw: object) -> tuple[CertificateFiles, ...]:
        if isinstance(raw, str):
            return tuple(self.table(line) for line in raw.splitlines() if line.strip())
        if isinstance(raw, Iterable) and not isinstance(raw, (bytes, Mapping)):
            return tuple(self.table(item) for item in raw)
        raise ValueError(f"must be {self.accepts()}")

    def table(self, item: object) -> CertificateFiles:
        """One certificate."""
        if isinstance(item, CertificateFiles):
            return item
        if isinstance(item, str):
            item = {name.strip(): value for name, _, value in (part.partition("=") for part in item.split(","))}
        if not isinstance(item, Mapping) or "certfile" not in item:
            raise ValueError(f"must be {self.accepts()}")
        unknown = [str(name) for name in item if name not in KEYS]
        if unknown:
            raise ValueError(f"must be {self.accepts()}: {', '.join(unknown)} is not known")
        values: dict[str, str] = {}
        for name, value in item.items():
            try:
                values[name] = (Secret() if name == "keyfile_password" else File()).read(value)
            except ValueError as error:
                raise ValueError(f"has a {name} that {error}") from None
        return CertificateFiles(**values)

    def accepts(self) -> str:
        return f"certificates with {', '.join(KEYS[:-1])} and {KEYS[-1]}, such as certfile=a.pem,keyfile=b.pem"

    def show(self, value: tuple[CertificateFiles, ...]) -> str:
        return "\n".join(shown(table) for table in value)

    @property
    def metavar(self) -> str:
        return "CERTIFICATE"

    @property
    def is_list(self) -> bool:
        return True


def shown(table: CertificateFiles) -> str:
    """A certificate's table as text, without its password."""
    words = {"certfile": table.certfile, "keyfile": table.keyfile}
    words["keyfile_password"] = HIDDEN if table.keyfile_password else None
    return ",".join(f"{name}={value}" for name, value in words.items() if value is not None)


class ContextFactory(Kind[str | Callable[..., Any]]):
    """What makes a TLS context: an import string, or from Python the function itself."""

    def read(self, raw: object) -> str | Callable[..., Any]:
        if callable(raw):
            return raw
        if isinstance(raw, str):
            module, colon, attribute = raw.strip().partition(":")
            if colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
                return raw.strip()
        raise self.refusal(raw)

    def accepts(self) -> str:
        return "<module>:<function>"

    def show(self, value: str | Callable[..., Any]) -> str:
        return value if isinstance(value, str) else repr(value)

    @property
    def metavar(self) -> str:
        return "FUNCTION"
