"""The access log: one line when a response has ended, on the logger `whorl.access`.

    2026-11-23 08:51:56 127.0.0.1:51234 "GET /a?b HTTP/1.1" 200 17 0.4ms
    2026-11-23 08:51:57 127.0.0.1:51234 "GET / HTTP/2.0" 505 101 0.0ms
    2026-11-23 08:51:58 127.0.0.1:51234 "%16%03%01%02%00" 400 52 0.0ms

That is: when it ended, client, request line, status, bytes of content sent, and the time from the request's head to
the response's end. What came from the wire is quoted (`whorl.observe.escaping`); an unknown client is a dash. Of a
request that was refused before it had a head, the line is there as it came, without a duration.

A trip through `logging` costs more than the rest of a request. While `whorl.access` has the one handler that we gave
it and nobody changed it, lines are formatted here, collected for the turn of the loop, and leave in one write. Once
somebody attaches a handler or a filter, each line is an ordinary LogRecord with the fields as attributes; the next
line after that goes the new way. Text and order are the same on both.

`asgi` calls `response_ended`, the connection `request_refused`; the server calls `create` at start and `flush` before
it leaves.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from enum import Enum
from time import localtime, strftime, time

from whorl.observe.colors import paint_status
from whorl.observe.escaping import PLAIN, escape_bytes, escape_text
from whorl.observe.logs import (
    ACCESS_LINE,
    ACCESS_LOGGER,
    ERROR_LOGGER,
    TIME_FORMAT,
    AccessFormatter,
    LineHandler,
    LogSettings,
)

__all__ = ["AccessLog", "create"]

WORDS_LIMIT = 4096
"""How many clients and methods are remembered as quoted: about a busy server's open connections."""
WORD_LIMIT_CHARACTERS = 64
"""The longest that is remembered. A client may send a method as long as the request line may be."""


class LogPath(Enum):
    """Which way a line goes."""

    DIRECT = "formatted here and written to our handler's stream"
    RECORDS = "through logging, because somebody changed something"
    SILENT = "nowhere: the level is above info, or the stream is gone"


class AccessLog:
    """Writes access lines for one server.

    Args:
        loop: the server's event loop. Lines of one turn leave at its end.
        logger: `whorl.access`, as `configure` left it.
    """

    __slots__ = (
        "_broken",
        "_colors",
        "_context",
        "_handler",
        "_lines",
        "_logger",
        "_loop",
        "_second",
        "_stamp",
        "_statuses",
        "_words",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, logger: logging.Logger) -> None:
        self._loop = loop
        self._logger = logger
        self._handler: LineHandler | None = None
        self._broken: LineHandler | None = None
        self._colors = False
        self._context = Context()  # a flush must not keep the context of the request that happened to come first
        self._lines: list[str] = []
        self._second = -1
        self._stamp = ""
        self._words: dict[str, str] = {}
        self._statuses: dict[int, str] = {}

    def response_ended(
        self, client: str, method: str, target: bytes, version: str, status: int, body_bytes: int, milliseconds: float
    ) -> None:
        """Log one response.

        Args:
            client: the peer's address, "" when it has none.
            method: the request's method.
            target: the request's target, as it came.
            version: HTTP's version as in "1.1".
            status: the final status code.
            body_bytes: bytes of content that were sent, framing not counted.
            milliseconds: from the request's head to the response's end.
        """
        lines = self._lines
        if not lines:
            path = self._choose_path()
            if path is not LogPath.DIRECT:
                if path is LogPath.RECORDS:
                    self._log_record(client, method, target, version, status, body_bytes, milliseconds)
                return
            self._loop.call_soon(self.flush, context=self._context)
            second = int(time())
            if second != self._second:
                self._second = second
                self._stamp = strftime(TIME_FORMAT, localtime(second))
        words = self._words
        client = words.get(client) or self._remember(client)
        method = words.get(method) or self._remember(method)
        text = escape_bytes(target) if target.translate(None, PLAIN) else target.decode()
        code = self._statuses.get(status) or self._remember_status(status)
        # The same line as ACCESS_LINE makes.
        lines.append(
            f'{self._stamp} {client} "{method} {text} HTTP/{version}" {code} {body_bytes} {milliseconds:.1f}ms\n'
        )

    def request_refused(self, client: str, line: bytes, status: int, body_bytes: int) -> None:
        """Log the response to what was no request. Such are rare and end their connection: each is a record.

        Args:
            client: the peer's address, "" when it has none.
            line: what came of the request line, any bytes; empty when nothing did.
            status: the status code of the refusal.
            body_bytes: bytes of content that were sent.
        """
        if self._choose_path() is LogPath.SILENT:
            return
        self.flush()  # what came earlier stands earlier
        parts = [escape_bytes(part) for part in line.split(b" ")]
        if len(parts) == 3 and all(parts):
            method, target, protocol = parts
            self._record(
                client, " ".join(parts), method, target, protocol.removeprefix("HTTP/"), status, body_bytes, 0.0
            )
        else:  # one word, whatever it holds: whoever splits the log at its spaces must find the status in its place
            text = escape_bytes(line) or "-"
            self._record(client, text, "-", text, "-", status, body_bytes, 0.0)

    def flush(self) -> None:
        """Write the lines that are waiting, in one write. A stream that is gone ends the access log, not the server."""
        lines, handler = self._lines, self._handler
        if not lines or handler is None:
            return
        text = "".join(lines)
        lines.clear()
        handler.acquire()  # another thread may be logging through the same handler
        try:
            handler.stream.write(text)
            handler.stream.flush()
        except BlockingIOError:
            pass  # a pipe that somebody made non-blocking is full: these lines are lost, later ones may not be
        except (OSError, ValueError) as error:
            self._broken = handler
            logging.getLogger(ERROR_LOGGER).error("the access log's stream is gone (%s): no more access lines", error)
        finally:
            handler.release()

    def _choose_path(self) -> LogPath:
        """Asked once for the lines of a turn, and for each line that does not go directly."""
        logger = self._logger
        if not logger.isEnabledFor(logging.INFO):
            return LogPath.SILENT
        handlers = logger.handlers
        if len(handlers) != 1 or logger.propagate or logger.filters:
            return LogPath.RECORDS
        handler = handlers[0]
        if type(handler) is not LineHandler or handler.level > logging.INFO or handler.filters:
            return LogPath.RECORDS
        formatter = handler.formatter
        if type(formatter) is not AccessFormatter:
            return LogPath.RECORDS
        if handler is not self._handler or formatter.colors is not self._colors:
            self._handler = handler
            self._colors = formatter.colors
            self._statuses.clear()
        return LogPath.DIRECT if handler is not self._broken else LogPath.SILENT

    def _log_record(
        self, client: str, method: str, target: bytes, version: str, status: int, body_bytes: int, milliseconds: float
    ) -> None:
        method, text = escape_text(method), escape_bytes(target)
        line = f"{method} {text} HTTP/{version}"
        self._record(client, line, method, text, version, status, body_bytes, milliseconds)

    def _record(
        self,
        client: str,
        line: str,
        method: str,
        target: str,
        version: str,
        status: int,
        body_bytes: int,
        milliseconds: float,
    ) -> None:
        """Everything but the client is quoted."""
        client = escape_text(client) or "-"
        fields = {
            "client": client,
            "method": method,
            "target": target,
            "version": version,
            "status": status,
            "body_bytes": body_bytes,
            "milliseconds": milliseconds,
        }
        self._logger.info(ACCESS_LINE, client, line, status, body_bytes, milliseconds, extra=fields)

    def _remember(self, word: str) -> str:
        quoted = escape_text(word) or "-"
        if len(word) <= WORD_LIMIT_CHARACTERS:
            if len(self._words) >= WORDS_LIMIT:
                self._words.clear()
            self._words[word] = quoted
        return quoted

    def _remember_status(self, status: int) -> str:
        text = self._statuses[status] = paint_status(status) if self._colors else str(status)
        return text


def create(loop: asyncio.AbstractEventLoop, settings: LogSettings) -> AccessLog | None:
    """The access log of a server, or None where no line can ever be wanted.

    Args:
        loop: the server's event loop.
        settings: the configuration; `configure` has been called with it.
    """
    logger = logging.getLogger(ACCESS_LOGGER)
    ours_and_quiet = settings.log_config is None and not logger.isEnabledFor(logging.INFO)
    return AccessLog(loop, logger) if settings.access_log and not ours_and_quiet else None
