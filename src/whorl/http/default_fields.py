"""The fields a server adds to every response (RFC 9110 sections 6.6.1 and 10.2.4): Date, Server, and what the
configuration adds.

They are encoded once a second, not once a response. One `DefaultFields` belongs to one server and one version of HTTP.
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
    """IMF-fixdate (RFC 9110 section 5.6.7) for a time in seconds since 1970."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(seconds)
    text = f"{WEEKDAYS[weekday]}, {day:02} {MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return text.encode("ascii")


class DefaultFields:
    """The lines that every response of a server carries.

    Args:
        encode: makes a line of a name and value.
        server_name: the value of Server, empty to leave it out.
        with_date: whether Date is added. RFC 9110 section 6.6.1 wants it of a server with a clock.
        more: further fields from the configuration. A `server` or `date` among them takes the place of ours.
    """

    __slots__ = ("_encode", "_fixed", "_next_second", "_second", "_server_line", "_variants", "_with_date")

    def __init__(
        self,
        encode: Callable[[bytes, bytes], bytes],
        server_name: bytes,
        with_date: bool,
        more: Sequence[tuple[bytes, bytes]],
    ) -> None:
        self._encode = encode
        names = {name.lower() for name, _ in more}
        self._fixed = b"".join(encode(name, value) for name, value in more)
        self._server_line = encode(b"server", server_name) if server_name and b"server" not in names else b""
        self._with_date = with_date and b"date" not in names
        self._second = self._next_second = 0.0
        self._variants = (b"", b"", b"", b"")

    def last_lines(self, flags: int) -> bytes:
        """The encoded lines to add to a response whose own fields said `flags`, and the empty line that ends its
        head."""
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
