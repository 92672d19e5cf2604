"""What every response carries.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from whorl.config.header_fields import HeaderFields
from whorl.config.setting import setting
from whorl.config.words import Flag

__all__ = ["ResponseSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ResponseSettings:
    """What every response carries."""

    server_header: bool = setting("Response", True, Flag(), "Send the Server field.")
    date_header: bool = setting("Response", True, Flag(), "Send the Date field.")
    headers: tuple[tuple[bytes, bytes], ...] = setting(
        "Response",
        (),
        HeaderFields(),
        "Send this field with every response; may be repeated. A file has a list, a variable one field per line.",
        option="--header",
    )
