"""The field Sec-WebSocket-Extensions (RFC 6455 section 9.1): a list of extensions, each with parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TOKEN", "Extension", "parse_extensions"]

# token = 1*tchar (RFC 9110 section 5.6.2). Possessive, as is all white space here: what does not match is not tried
# again in pieces.
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

# extension-list  = 1#extension
# extension       = extension-token *( ";" extension-param )
# extension-param = token [ "=" (token | quoted-string) ], where the quoted-string holds a token too
EXTENSION = re.compile(
    rf"""[ \t]*+ ({TOKEN}) (
            (?: [ \t]*+ ; [ \t]*+ {TOKEN} (?: [ \t]*+ = [ \t]*+ (?: {TOKEN} | "{TOKEN}" ) )? )*
        ) [ \t]*+""",
    re.VERBOSE,
)
PARAMETER = re.compile(rf""";[ \t]*+ ({TOKEN}) (?: [ \t]*+ = [ \t]*+ "?({TOKEN})"? )?""", re.VERBOSE)


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension with its parameters, as offered or as agreed.

    Attributes:
        name: the extension-token, in lower case.
        parameters: names in lower case and values, in order; None for a parameter without a value.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()

    def field_value(self) -> bytes:
        """It as a member of Sec-WebSocket-Extensions."""
        parameters = [name if value is None else f"{name}={value}" for name, value in self.parameters]
        return "; ".join([self.name, *parameters]).encode("ascii")


def parse_extensions(value: bytes) -> list[Extension] | None:
    """The members of the list.

    Args:
        value: the field's value; where it came in several lines, all of them joined by commas.

    Returns:
        What is offered, in the order of preference; None where the value is malformed.
    """
    extensions = []
    for member in value.decode("latin-1").split(","):  # neither a token nor what is quoted here holds a comma
        if not member.strip(" \t"):
            continue  # RFC 9110 section 5.6.1 wants empty members tolerated
        match = EXTENSION.fullmatch(member)
        if not match:
            return None
        parameters = tuple((name.lower(), text or None) for name, text in PARAMETER.findall(match[2]))
        extensions.append(Extension(match[1].lower(), parameters))
    return extensions or None
