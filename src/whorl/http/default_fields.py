"""The fields of every response (RFC 9110 sections 6.6.1 and 10.2.4): Date, Server, and those of the setting `headers`.

They are encoded once a second, not once a response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import gmtime, time
from typing import Final

from whorl.http.encoder import HAS_DATE, HAS_SERVER

__all__ = ["DefaultFields", "http_date"]

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(seconds: float) -> bytes:
    """Format a time in seconds since 1970 as IMF-fixdate (RFC 9110 section 5.6.7)."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(seconds)
    text = f"{WEEKDAYS[weekday]}, {day:02} {MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return text.encode("ascii")


class DefaultFields:
    """The fields of every response of a server, encoded for one version of HTTP.

    Args:
        encode: encodes a name and value.
        server_name: the value of Server; empty to leave it out.
        with_date: whether to add Date, which RFC 9110 section 6.6.1 requires of a server with a clock.
        extra: further fields. A `server` or `date` among them replaces the server's.
    """

    __slots__ = ("_encode", "_fixed", "_next_second", "_second", "_server_line", "_variants", "_with_date")

    def __init__(
        self,
        encode: Callable[[bytes, bytes], bytes],
        server_name: bytes,
        with_date: bool,
        extra: Sequence[tuple[bytes, bytes]],
    ) -> None:
        self._encode = encode
        names = {name.lower() for name, _ in extra}
        self._fixed = b"".join(encode(name, value) for name, value in extra)
        self._server_line = encode(b"server", server_name) if server_name and b"server" not in names else b""
        self._with_date = with_date and b"date" not in names
        self._second = self._next_second = 0.0
        self._variants = (b"", b"", b"", b"")

    def header_block(self, flags: int) -> bytes:
        """Return the encoded fields that a response lacks, and the empty line that ends its head.

        Args:
            flags: what the response's own fields decide, see `whorl.http.encoder`.
        """
        now = time()
        if not self._second <= now < self._next_second:  # a clock may be set back
            self._refresh(now)
        return self._variants[flags & (HAS_DATE | HAS_SERVER)]

    def _refresh(self, now: float) -> None:
        self._second = float(int(now))
        self._next_second = self._second + 1.0
        date = self._encode(b"date", http_date(now)) if self._with_date else b""
        server = self._server_line
        fixed = self._fixed + b"\r\n"
        self._variants = (server + date + fixed, server + fixed, date + fixed, fixed)
