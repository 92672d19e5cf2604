"""The access log: the line, what cannot be put into it, the two ways it goes, and a stream that breaks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import io
import logging
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.observe.settings import Settings
from whorl.loops import resolve
from whorl.observe import access, logs
from whorl.observe.access import AccessLog

LOGGER = logging.getLogger("whorl.access")
ANYTHING: dict[str, Any] = {
    "client": "127.0.0.1:51234",
    "method": "GET",
    "target": b"/a?b",
    "version": "1.1",
    "status": 200,
    "body_bytes": 17,
    "milliseconds": 0.4,
}


class Loop:
    """The one thing of a loop that is used here, turned by hand."""

    def __init__(self) -> None:
        self.soon: list[Any] = []

    def call_soon(self, callback: Any, *, context: contextvars.Context) -> None:
        self.soon.append((callback, context))

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback, context in soon:
            context.run(callback)


class Stream(io.StringIO):
    """Counts its writes, and breaks when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.error: Exception | None = None

    def write(self, text: str) -> int:
        self.writes += 1
        if self.error is not None:
            raise self.error
        return super().write(text)


class Records(logging.Handler):
    """Somebody's own handler."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def stream() -> Stream:
    """What is standard output while logging is configured."""
    return Stream()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def configure(stream: Stream, settings: Settings = Settings()) -> None:  # noqa: B008
    with contextlib.redirect_stdout(stream):
        logs.configure(settings)


def make(loop: Loop, stream: Stream, settings: Settings = Settings()) -> AccessLog:  # noqa: B008
    configure(stream, settings)
    log = access.create(loop, settings)  # type: ignore[arg-type]
    assert log is not None
    return log


def line(log: AccessLog, **fields: Any) -> None:
    log.response_ended(**{**ANYTHING, **fields})


def test_the_line(loop: Loop, stream: Stream) -> None:
    log = make(loop, stream)
    line(log)
    log.flush()
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d 127\.0\.0\.1:51234 "GET /a\?b HTTP/1\.1" 200 17 0\.4ms\n', stream.getvalue()
    )


def test_the_time_is_the_clock_of_this_second(loop: Loop, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make(loop, stream)
    for now in (1_700_000_000.1, 1_700_000_000.9, 1_700_000_001.0):
        monkeypatch.setattr(access, "time", lambda now=now: now)
        line(log)
        log.flush()
    seconds = [text[17:19] for text in stream.getvalue().splitlines()]
    assert seconds == ["20", "20", "21"]
    assert stream.getvalue()[:19] == time.strftime(logs.TIME_FORMAT, time.localtime(1_700_000_000))


def test_lines_of_one_turn_leave_in_one_write(loop: Loop, stream: Stream) -> None:
    log = make(loop, stream)
    for status in (200, 201, 202):
        line(log, status=status)
    assert len(loop.soon) == 1
    assert stream.writes == 0
    loop.turn()
    assert stream.writes == 1
    assert re.findall(r'" (\d+) ', stream.getvalue()) == ["200", "201", "202"]
    line(log)
    loop.turn()
    assert stream.writes == 2


def test_flush_without_lines_writes_nothing_and_a_late_turn_finds_nothing(loop: Loop, stream: Stream) -> None:
    log = make(loop, stream)
    log.flush()
    line(log)
    log.flush()
    loop.turn()
    assert stream.writes == 1


def test_a_flush_does_not_keep_the_context_of_a_request(loop: Loop, stream: Stream) -> None:
    request = contextvars.ContextVar("request", default="none")
    log = make(loop, stream)
    contextvars.Context().run(lambda: (request.set("secret"), line(log)))
    assert loop.soon[0][1].get(request, "none") == "none"


def test_it_runs_on_the_real_loops(loop_name: str, stream: Stream) -> None:
    async def lines() -> int:
        log = access.create(asyncio.get_running_loop(), Settings())
        assert log is not None
        line(log)
        line(log)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return stream.writes

    configure(stream)
    with resolve(loop_name).make().runner() as runner:
        assert runner.run(lines()) == 1
    assert stream.getvalue().count("\n") == 2


class TestNothingCanBeInjected:
    """CVE-2020-7694 is the class: whoever sends a request chooses its target, and must not choose the log's lines."""

    @pytest.mark.parametrize(
        ("target", "written"),
        [
            (b"/\x1b[31mred", "/%1B[31mred"),
            (b"/a\r\nb", "/a%0D%0Ab"),
            (b'/?a="x"', "/?a=%22x%22"),
            (b"/a\\", "/a%5C"),
            ("/ü/…".encode(), "/%C3%BC/%E2%80%A6"),
            (b"/\x7f\x80\xff", "/%7F%80%FF"),
            (b"/\xc2\x9b31m", "/%C2%9B31m"),
            (b"/a b\t\x00", "/a%20b%09%00"),
            (b"/already%20escaped", "/already%20escaped"),
            (b"http://h:80/~a;b=c?d=e&f=[g]|{h}^`'<>()*+,$!@#", "http://h:80/~a;b=c?d=e&f=[g]|{h}^`'<>()*+,$!@#"),
        ],
    )
    def test_in_the_target(self, loop: Loop, stream: Stream, target: bytes, written: str) -> None:
        log = make(loop, stream)
        line(log, target=target)
        log.flush()
        assert f' "GET {written} HTTP/1.1" ' in stream.getvalue()

    def test_by_any_octet(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        for octet in range(256):
            line(log, target=bytes([octet]))
        log.flush()
        for octet, text in enumerate(stream.getvalue().split("\n")[:-1]):
            found = re.fullmatch(r'[\d :-]{19} 127\.0\.0\.1:51234 "GET ([!#-\[\]-~]+) HTTP/1\.1" 200 17 0\.4ms', text)
            assert found is not None
            assert found[1] == (chr(octet) if 0x20 < octet < 0x7F and octet not in b'"\\' else f"%{octet:02X}")

    def test_in_a_forwarded_client_or_a_method(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        for _ in range(2):  # remembered the second time
            line(log, client='1.1.1.1 "\n', method="G\x1bT")
        log.flush()
        assert stream.getvalue().count(' 1.1.1.1%20%22%0A "G%1BT /a?b HTTP/1.1" ') == 2

    def test_through_logging_either(self, loop: Loop, stream: Stream) -> None:
        log, theirs = make(loop, stream), Records()
        LOGGER.addHandler(theirs)
        line(log, client="\x1b", method='"', target=b"/\n%s")
        assert theirs.records[0].getMessage() == '%1B "%22 /%0A%s HTTP/1.1" 200 17 0.4ms'


def test_an_unknown_client_is_a_dash(loop: Loop, stream: Stream) -> None:
    log = make(loop, stream)
    line(log, client="")
    log.flush()
    assert stream.getvalue()[19:].startswith(' - "GET ')


def test_what_is_remembered_is_bounded(loop: Loop, stream: Stream) -> None:
    log = make(loop, stream)
    for number in range(access.WORDS_LIMIT + 10):
        line(log, client=f"c{number}")
    log.flush()
    assert 0 < len(log._words) <= access.WORDS_LIMIT
    line(log, method="M" * (access.WORD_LIMIT_CHARACTERS + 1))
    assert max(map(len, log._words)) <= access.WORD_LIMIT_CHARACTERS
    assert re.findall(r" (c\d+) ", stream.getvalue()) == [f"c{number}" for number in range(access.WORDS_LIMIT + 10)]


class TestRefused:
    """What was no request has no method and no target; its line is there as it came, bounded by who hands it in."""

    @pytest.mark.parametrize(
        ("came", "written"),
        [
            (b"GET /a?b HTTP/2.0", "GET /a?b HTTP/2.0"),
            (b"", "-"),
            (b"\x16\x03\x01", "%16%03%01"),
            (b"GET /", "GET%20/"),
            (b'GET / HTTP/1.1" 200 17 0.4ms', "GET%20/%20HTTP/1.1%22%20200%2017%200.4ms"),
            (b'GET "\x1b[31m HTTP/1.1', "GET %22%1B[31m HTTP/1.1"),
            (b"GET  HTTP/1.1", "GET%20%20HTTP/1.1"),
        ],
    )
    def test_the_line_has_three_words_or_one(self, loop: Loop, stream: Stream, came: bytes, written: str) -> None:
        make(loop, stream).request_refused("127.0.0.1:51234", came, 400, 52)
        assert stream.getvalue()[19:] == f' 127.0.0.1:51234 "{written}" 400 52 0.0ms\n'

    def test_it_stands_after_what_came_before_it(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream, Settings(use_colors=True))
        line(log)
        log.request_refused("", b"", 400, 52)
        line(log, status=201)
        loop.turn()
        assert re.findall(r'" \x1b\[\d+m(\d+)', stream.getvalue()) == ["200", "400", "201"]

    def test_a_handler_gets_the_fields(self, loop: Loop, stream: Stream) -> None:
        log, theirs = make(loop, stream), Records()
        LOGGER.addHandler(theirs)
        log.request_refused("127.0.0.1:51234", b"GET /\xff HTTP/3.0", 505, 101)
        log.request_refused("127.0.0.1:51234", b"\x00", 400, 52)
        fields = [[getattr(record, name) for name in ("method", "target", "version")] for record in theirs.records]
        assert fields == [["GET", "/%FF", "3.0"], ["-", "%00", "-"]]

    def test_nothing_where_nobody_listens(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        LOGGER.setLevel(logging.WARNING)
        log.request_refused("", b"", 400, 52)
        assert stream.getvalue() == ""


class TestThroughLogging:
    def test_a_handler_gets_a_record_with_the_fields(self, loop: Loop, stream: Stream) -> None:
        log, theirs = make(loop, stream), Records()
        line(log)
        loop.turn()
        LOGGER.addHandler(theirs)
        line(log)
        (record,) = theirs.records
        assert {name: getattr(record, name) for name in ANYTHING} == {**ANYTHING, "target": "/a?b"}
        assert (record.name, record.levelname) == ("whorl.access", "INFO")

    def test_the_text_is_the_same_as_without(self, loop: Loop, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(access, "time", lambda: 1_700_000_000.5)
        log, theirs = make(loop, stream, Settings(use_colors=True)), Records()
        fields = {"client": "", "target": b"/\xff", "status": 503, "body_bytes": 503, "milliseconds": 1234.56}
        line(log, **fields)
        log.flush()
        direct = stream.getvalue()
        LOGGER.addHandler(theirs)
        line(log, **fields)
        assert "\x1b[31m503\x1b[0m 503 1234.6ms\n" in direct
        assert stream.getvalue()[len(direct) :][19:] == direct[19:]

    def test_and_back_when_the_handler_has_gone(self, loop: Loop, stream: Stream) -> None:
        log, theirs = make(loop, stream), Records()
        LOGGER.addHandler(theirs)
        line(log)
        LOGGER.removeHandler(theirs)
        line(log)
        loop.turn()
        assert len(theirs.records) == 1
        assert stream.getvalue().count("\n") == 2

    def test_whatever_was_changed(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        handler = LOGGER.handlers[0]
        changes = [
            (lambda: LOGGER.addFilter(drop), lambda: LOGGER.removeFilter(drop)),
            (lambda: handler.addFilter(drop), lambda: handler.removeFilter(drop)),
            (lambda: handler.setLevel(logging.ERROR), lambda: handler.setLevel(logging.NOTSET)),
            (lambda: LOGGER.setLevel(logging.ERROR), lambda: LOGGER.setLevel(logging.INFO)),
            (lambda: logging.disable(logging.INFO), lambda: logging.disable(logging.NOTSET)),
            (lambda: setattr(LOGGER, "disabled", True), lambda: setattr(LOGGER, "disabled", False)),
        ]
        for change, undo in changes:
            change()
            line(log)
            loop.turn()
            undo()
        assert stream.getvalue() == ""
        line(log)
        loop.turn()
        assert stream.writes == 1

    def test_a_formatter_of_ones_own(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        LOGGER.handlers[0].setFormatter(logging.Formatter("%(method)s took %(milliseconds)s"))
        line(log)
        assert stream.getvalue() == "GET took 0.4\n"

    def test_propagation(self, loop: Loop, stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
        log = make(loop, stream)
        LOGGER.propagate = True
        line(log)
        assert len(caplog.records) == 1

    def test_a_configuration_of_ones_own(self, loop: Loop, stream: Stream) -> None:
        own = {
            "version": 1,
            "formatters": {"json": {"format": '{"status": %(status)d}'}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": stream}},
            "loggers": {"whorl.access": {"level": "INFO", "handlers": ["out"], "propagate": False}},
        }
        line(make(loop, stream, Settings(log_config=own)))
        assert stream.getvalue() == '{"status": 200}\n'

    def test_a_second_server_brings_a_new_handler(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        line(log)
        loop.turn()
        configure(stream, Settings(use_colors=True))
        line(log)
        loop.turn()
        plain, colored = stream.getvalue().splitlines()
        assert "\x1b" not in plain
        assert "\x1b[32m200\x1b[0m" in colored


def drop(record: logging.LogRecord) -> bool:
    return False


class TestNoAccessLog:
    def test_because_it_is_off(self, loop: Loop, stream: Stream) -> None:
        configure(stream, Settings(access_log=False))
        assert access.create(loop, Settings(access_log=False)) is None  # type: ignore[arg-type]

    def test_because_of_the_level(self, loop: Loop, stream: Stream) -> None:
        configure(stream, Settings(log_level="warning"))
        assert access.create(loop, Settings(log_level="warning")) is None  # type: ignore[arg-type]

    def test_but_loggers_of_ones_own_may_be_opened_later(self, loop: Loop, stream: Stream) -> None:
        LOGGER.setLevel(logging.WARNING)
        theirs = Records()
        LOGGER.addHandler(theirs)
        log = make(loop, stream, Settings(log_config={}))
        line(log)
        LOGGER.setLevel(logging.INFO)
        line(log)
        assert len(theirs.records) == 1


class TestBrokenStream:
    @pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), ValueError("closed file")])
    def test_it_is_said_once_and_the_server_lives(self, loop: Loop, stream: Stream, error: Exception) -> None:
        log, said = make(loop, stream), Records()
        logging.getLogger("whorl.error").addHandler(said)
        stream.error = error
        for _ in range(3):
            line(log)
            loop.turn()
        assert stream.writes == 1
        assert [record.getMessage() for record in said.records] == [
            f"the access log's stream is gone ({error}): no more access lines"
        ]

    def test_a_handler_of_ones_own_goes_on(self, loop: Loop, stream: Stream) -> None:
        log, theirs = make(loop, stream), Records()
        stream.error = BrokenPipeError()
        line(log)
        loop.turn()
        LOGGER.addHandler(theirs)
        line(log)
        assert len(theirs.records) == 1

    def test_a_pipe_that_is_full_loses_lines_and_no_more(self, loop: Loop, stream: Stream) -> None:
        log = make(loop, stream)
        stream.error = BlockingIOError()
        line(log)
        loop.turn()
        stream.error = None
        line(log)
        loop.turn()
        assert stream.getvalue().count("\n") == 1

    def test_a_real_pipe(self) -> None:
        """Nobody reads standard output any more."""
        program = """
import asyncio, sys
from tests.observe.settings import Settings
from whorl.observe import access, logs

async def main():
    logs.configure(Settings())
    log = access.create(asyncio.get_running_loop(), Settings())
    sys.stdin.readline()
    for _ in range(3):
        log.response_ended("", "GET", b"/", "1.1", 200, 0, 0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    print("alive", file=sys.stderr)

asyncio.run(main())
"""
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1, text=True, bufsize=1
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write("go\n")
        process.stdin.close()
        said = process.stderr.read().splitlines()
        process.stderr.close()
        process.wait()
        assert said[0].endswith("the access log's stream is gone ([Errno 32] Broken pipe): no more access lines")
        assert said[1] == "alive"
