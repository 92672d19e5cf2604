"""A request, as every version of HTTP has it (RFC 9110)."""

from __future__ import annotations

__all__ = ["Field"]

Field = tuple[bytes, bytes]
"""A field's name in lower case and its value (RFC 9110 section 5)."""
