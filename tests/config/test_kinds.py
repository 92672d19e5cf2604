"""How values are written, checked and shown: `whorl.config.kind`, `quantities`, `words`, `header_fields`."""

from __future__ import annotations

import io
import logging
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whorl.config.config import SETTINGS
from whorl.config.header_fields import HeaderFields
from whorl.config.kind import Kind, Missing, OrAuto, OrNone
from whorl.config.quantities import Count, Mode, Seconds, Size
from whorl.config.words import Application, Choice, Directory, File, Flag, Host, LogConfig, RootPath, Text


def complaint(kind: Kind[Any], raw: object) -> str:
    with pytest.raises(ValueError) as caught:
        kind.read(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Count(0, 65535), "8000", 8000),
        (Count(0, 65535), " 0 ", 0),
        (Count(0, 65535), 65535, 65535),
        (Count(1), 10**12, 10**12),
        (Size(0), "65536", 65536),
        (Size(0), 65536, 65536),
        (Size(0), "64KiB", 65536),
        (Size(0), "64 kib", 65536),
        (Size(0), "64k", 65536),
        (Size(0), "0.5KiB", 512),
        (Size(0), "16MiB", 16 << 20),
        (Size(0), "1GiB", 1 << 30),
        (Size(0), "12B", 12),
        (Seconds(), 30, 30.0),
        (Seconds(), "2.5", 2.5),
        (Seconds(), "30s", 30.0),
        (Seconds(), "500ms", 0.5),
        (Seconds(), "2m", 120.0),
        (Seconds(), "1h", 3600.0),
        (Seconds(), "200000", 200_000.0),
        (Seconds(), 31_536_000, 31_536_000.0),
        (Count(1, 9, zero=1), "0", 1),
        (Choice(("auto", "on"), {"trace": "on"}), "TRACE", "on"),
        (OrAuto(Count(1), "as many as there are"), "Auto", "auto"),
        (OrAuto(Count(1), "as many as there are"), "3", 3),
        (Missing(Flag(), False), "no", False),
        (Mode(), "0660", 0o660),
        (Mode(), "660", 0o660),
        (Mode(), "0o660", 0o660),
        (Mode(), 0o660, 0o660),
        (Flag(), "yes", True),
        (Flag(), "OFF", False),
        (Flag(), "1", True),
        (Flag(), False, False),
        (Choice(("auto", "on")), " Auto ", "auto"),
        (Text("a name", "NAME"), Path("x.sock"), "x.sock"),
        (Host(), "::1", "::1"),
        (Host(), "localhost", "localhost"),
        (RootPath(), "/api/", "/api"),
        (RootPath(), "/", ""),
        (RootPath(), "", ""),
        (Application(), " a.b-c:x.y ", "a.b-c:x.y"),
        (Application(), None, None),
        (Application(), print, print),
        (OrNone(Seconds(), "no deadline", zero=True), "none", None),
        (OrNone(Seconds(), "no deadline", zero=True), "None ", None),
        (OrNone(Seconds(), "no deadline", zero=True), "0", None),
        (OrNone(Seconds(), "no deadline", zero=True), 0.0, None),
        (OrNone(Seconds(), "no deadline", zero=True), "1", 1.0),
        (OrNone(Seconds(least=0), "wait for ever"), 0, 0.0),
        (OrNone(Flag(), "by terminal", word="auto"), "auto", None),
    ],
)
def test_reads(kind: Kind[Any], raw: object, value: object) -> None:
    assert kind.read(raw) == value
    assert type(kind.read(raw)) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (Count(0, 65535), -1),
        (Count(0, 65535), 65536),
        (Count(0, 65535), True),
        (Count(0, 65535), 80.0),
        (Count(0, 65535), "0x50"),
        (Count(0, 65535), "٨٠"),
        (Count(0, 65535), ""),
        (Count(0, 65535), None),
        (Size(16), 15),
        (Size(16), "64KB"),
        (Size(16), "64 apples"),
        (Size(16), "-64"),
        (Size(16), "16.5"),
        (Size(16), 64.0),
        (Size(16, 64), 65),
        (Seconds(), 0),
        (Seconds(), 31_536_001),
        (OrAuto(Count(1), "as many as there are"), "often"),
        (OrAuto(Count(1), "as many as there are"), None),
        (Seconds(), float("nan")),
        (Seconds(), float("inf")),
        (Seconds(), "soon"),
        (Seconds(), "1d"),
        (Seconds(), True),
        (Mode(), "0890"),
        (Mode(), "01777"),
        (Mode(), 0o1000),
        (Mode(), -1),
        (Mode(), False),
        (Flag(), "maybe"),
        (Flag(), 2),
        (Flag(), None),
        (Text("a name", "NAME"), ""),
        (Text("a name", "NAME"), "a\nb"),
        (Text("a name", "NAME"), 3),
        (Host(), ""),
        (Host(), "[::1]"),
        (Host(), "localhost:8000"),
        (Host(), "http://localhost"),
        (RootPath(), "api"),
        (RootPath(), "/a b"),
        (RootPath(), "/a?b"),
        (RootPath(), "/ä"),
        (RootPath(), "/a%2Fb"),
        (File(), "no such file"),
        (File(), "."),
        (Directory(), "no such directory"),
        (LogConfig(), "no such file.json"),
        (LogConfig(), 3),
    ],
)
def test_refuses_and_says_what_it_accepts(kind: Kind[Any], raw: object) -> None:
    assert complaint(kind, raw).startswith(f"must be {kind.accepts()}, not {raw!r}")


@given(st.integers(0, 1 << 50))
def test_a_size_that_was_shown_reads_as_itself(value: int) -> None:
    assert Size(0).read(Size(0).show(value)) == value


@given(st.floats(0.001, 86_400))
def test_a_time_that_was_shown_reads_as_itself(value: float) -> None:
    assert Seconds().read(Seconds().show(value)) == value


@given(st.integers(0, 0o777))
def test_a_mode_that_was_shown_reads_as_itself(value: int) -> None:
    assert Mode().read(Mode().show(value)) == value


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_is_sound_and_can_be_written_as_it_is_shown(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.kind.read(setting.default) == setting.default
    if setting.option:
        assert setting.kind.read(setting.shown_default) == setting.default


def test_a_complaint_names_range_unit_and_the_way_to_turn_it_off() -> None:
    kind = OrNone(Count(1, 9, "requests"), "no limit", zero=True)
    assert complaint(kind, 10) == "must be a whole number of requests from 1 to 9 (0 or none: no limit), not 10"


def test_a_choice_suggests_what_was_probably_meant() -> None:
    kind = Choice(("asgi3", "asgi2", "wsgi"))
    assert complaint(kind, "wsgl") == "must be asgi3, asgi2 or wsgi, not 'wsgl': did you mean wsgi?"
    assert complaint(kind, "zzz") == "must be asgi3, asgi2 or wsgi, not 'zzz'"


def test_the_levels_of_logging_are_taken_as_numbers() -> None:
    kind = SETTINGS["log_level"].kind
    assert [kind.read(level) for level in (logging.CRITICAL, logging.WARNING, "10")] == ["critical", "warning", "debug"]


@pytest.mark.parametrize(
    ("raw", "remedy"),
    [
        ("main", "did you mean main:app?"),
        ("main.py", "did you mean main:app?"),
        ("src/main.py:web", "did you mean src.main:web?"),
        ("main:", "did you mean main:app?"),
        (":app", "did you mean main:app?"),
        ("main::app", "did you mean main:app?"),
        ("main:create()", "to call it, write main:create and --factory"),
    ],
)
def test_an_application_in_another_notation_gets_the_right_one(raw: str, remedy: str) -> None:
    assert complaint(Application(), raw) == f"must be <module>:<attribute>, not {raw!r}: {remedy}"


def test_an_application_must_be_callable() -> None:
    assert complaint(Application(), 5) == "must be an application (a callable) or <module>:<attribute>, not 5"


def test_a_log_config_is_a_dictionary_or_a_file_or_what_fileconfig_takes(tmp_path: Path) -> None:
    for name in ("log.YAML", "logging.conf"):
        (tmp_path / name).touch()
        assert LogConfig().read(tmp_path / name) == str(tmp_path / name)
    assert LogConfig().read({"version": 1}) == {"version": 1}
    parser = ConfigParser()
    assert LogConfig().read(parser) is parser
    assert LogConfig().read(io.StringIO("[loggers]\nkeys=root"))["loggers"]["keys"] == "root"
    assert complaint(LogConfig(), io.StringIO("keys=root")).startswith("cannot be read: File contains no section")


@pytest.mark.parametrize(
    "raw",
    [
        ["X-A:  b, c ", "X-B:d: e"],
        [("X-A", "b, c"), (b"X-B", b"d: e")],
        (("x-a", b"b, c"), ["x-b", "d: e"]),
        "X-A: b, c\r\n\nX-B: d: e\n",
    ],
)
def test_header_fields_are_read_from_lines_lists_and_pairs(raw: object) -> None:
    assert HeaderFields().read(raw) == ((b"x-a", b"b, c"), (b"x-b", b"d: e"))


def test_header_fields_that_were_shown_read_as_themselves() -> None:
    fields = ((b"x-a", b"caf\xe9\tau lait"), (b"x-b", b""))
    assert HeaderFields().read(HeaderFields().show(fields)) == fields


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("no colon", 'must be "Name: Value"'),
        (("one", "two", "three"), 'must be "Name: Value"'),
        (("name", 3), 'must be "Name: Value"'),
        (": value", "section 5.1"),
        ("X Y: value", "section 5.1"),
        ("X-Ä: value", "section 5.1"),
        ("X-A: b\r\nX-Evil: c", "section 5.5"),
        ("X-A: b\nc", "section 5.5"),
        ("X-A: b\0c", "section 5.5"),
        ("X-A: b\x7fc", "section 5.5"),
        ("X-A: €", "ISO 8859-1"),
        ("Content-Length: 3", "for Whorl to write"),
        ("Transfer-Encoding: chunked", "for Whorl to write"),
        ("Connection: close", "for Whorl to write"),
    ],
)
def test_a_header_field_that_would_break_a_response_is_refused(item: object, reason: str) -> None:
    assert reason in complaint(HeaderFields(), [item])
