"""What `configure` makes of the configuration, and what it leaves alone."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.observe.settings import Settings
from whorl.config import Config
from whorl.errors import ConfigError
from whorl.observe import logs
from whorl.observe.logs import AccessFormatter, LineFormatter, LineHandler

ERRORS = logging.getLogger("whorl.error")
ACCESS = logging.getLogger("whorl.access")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Streams:
    """What standard output and standard error are while logging is configured."""

    def __init__(self, out: io.StringIO | None, err: io.StringIO | None) -> None:
        self.streams = out, err

    def configure(self, settings: Settings | Config) -> None:
        with contextlib.redirect_stdout(self.streams[0]), contextlib.redirect_stderr(self.streams[1]):
            logs.configure(settings)

    @property
    def out(self) -> str:
        assert self.streams[0] is not None
        return self.streams[0].getvalue()

    @property
    def err(self) -> str:
        assert self.streams[1] is not None
        return self.streams[1].getvalue()


@pytest.fixture
def streams() -> Streams:
    return Streams(io.StringIO(), io.StringIO())


def test_the_two_loggers_go_to_the_two_streams(streams: Streams) -> None:
    streams.configure(Settings())
    ERRORS.warning("no room for %s", "manoeuvre")
    ACCESS.info("a line")
    assert streams.err[19:] == " WARNING no room for manoeuvre\n"
    assert streams.out[19:] == " a line\n"


def test_a_line_begins_with_the_time(streams: Streams) -> None:
    record = logging.LogRecord("whorl.error", logging.INFO, "", 0, "ready", (), None)
    record.created = 1_700_000_000.9
    for formatter, rest in ((LineFormatter(), " INFO    ready"), (AccessFormatter(), " ready")):
        formatter.converter = __import__("time").gmtime
        assert formatter.format(record) == f"2023-11-14 22:13:20{rest}"


def test_a_traceback_is_part_of_the_line(streams: Streams) -> None:
    streams.configure(Settings())
    try:
        raise LookupError("nowhere")
    except LookupError:
        ERRORS.exception("failed")
    assert streams.err.endswith("LookupError: nowhere\n")


def test_the_level_holds_for_both(streams: Streams) -> None:
    streams.configure(Settings(log_level="warning"))
    ERRORS.info("quiet")
    ACCESS.info("quiet")
    assert streams.out == streams.err == ""
    streams.configure(Settings(log_level="debug"))
    ERRORS.debug("loud")
    assert "loud" in streams.err


def test_configuring_again_does_not_double_the_lines(streams: Streams) -> None:
    streams.configure(Settings())
    streams.configure(Settings())
    ERRORS.info("once")
    assert streams.err.count("once") == 1


def test_the_root_logger_does_not_get_the_lines_too(streams: Streams, caplog: pytest.LogCaptureFixture) -> None:
    streams.configure(Settings())
    ERRORS.error("ours")
    assert not caplog.records


def test_without_a_console_there_are_no_handlers() -> None:
    Streams(None, None).configure(Settings())
    assert ERRORS.handlers == ACCESS.handlers == []


def test_without_an_access_log_its_logger_has_no_handler(streams: Streams) -> None:
    streams.configure(Settings(access_log=False))
    assert not ACCESS.handlers


def test_a_stream_that_is_gone_is_not_complained_about(streams: Streams, capsys: pytest.CaptureFixture[str]) -> None:
    streams.configure(Settings())
    assert streams.streams[0] is not None
    streams.streams[0].close()
    ACCESS.info("lost")
    assert capsys.readouterr().err == ""


class TestOthersAreLeftAlone:
    def test_their_handlers_on_our_loggers_stay(self, streams: Streams) -> None:
        theirs = logging.NullHandler()
        ACCESS.addHandler(theirs)
        streams.configure(Settings())
        streams.configure(Settings())
        assert theirs in ACCESS.handlers
        assert sum(isinstance(handler, LineHandler) for handler in ACCESS.handlers) == 1

    def test_their_open_files_stay_open(self, streams: Streams, tmp_path: Path) -> None:
        """`dictConfig` would close it, and a file opened with mode "w" would never be written again."""
        theirs = logging.FileHandler(tmp_path / "theirs.log", mode="w")
        logger = logging.getLogger("somebody.else")
        logger.addHandler(theirs)
        try:
            streams.configure(Settings())
            logger.error("still here")
            assert "still here" in (tmp_path / "theirs.log").read_text()
        finally:
            logger.removeHandler(theirs)
            theirs.close()

    def test_their_loggers_and_the_root_are_as_before(self, streams: Streams) -> None:
        root, theirs = logging.getLogger(), logging.getLogger("somebody.else")
        before = (root.level, root.handlers[:], theirs.disabled, theirs.level)
        streams.configure(Settings(log_level="critical"))
        assert (root.level, root.handlers[:], theirs.disabled, theirs.level) == before

    def test_an_empty_dictionary_touches_nothing(self, streams: Streams) -> None:
        theirs = logging.NullHandler()
        ERRORS.addHandler(theirs)
        ERRORS.setLevel(logging.CRITICAL)
        streams.configure(Settings(log_config={}))
        assert ERRORS.handlers == [theirs]
        assert ERRORS.level == logging.CRITICAL


class TestColours:
    def configure(self, settings: Settings = Settings()) -> tuple[str, str]:  # noqa: B008
        """Standard output is a terminal and standard error a file. Returns what each got."""
        out, err = Terminal(), io.StringIO()
        Streams(out, err).configure(settings)
        ERRORS.error("level")
        ACCESS.info(logs.ACCESS_LINE, "-", "GET / HTTP/1.1", 404, 404, 0.0, extra={"status": 404})
        return out.getvalue(), err.getvalue()

    def test_each_stream_decides_for_itself(self) -> None:
        out, err = self.configure()
        assert ' HTTP/1.1" \x1b[33m404\x1b[0m 404 0.0ms' in out
        assert "\x1b" not in err

    @pytest.mark.parametrize(
        ("variables", "use_colors", "out_coloured", "err_coloured"),
        [
            ({"NO_COLOR": "1"}, None, False, False),
            ({"NO_COLOR": ""}, None, True, False),
            ({"FORCE_COLOR": "1"}, None, True, True),
            ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, False, False),
            ({"TERM": "dumb"}, None, False, False),
            ({"NO_COLOR": "1"}, True, True, True),
            ({"FORCE_COLOR": "1"}, False, False, False),
        ],
    )
    def test_who_decides(
        self,
        monkeypatch: pytest.MonkeyPatch,
        variables: dict[str, str],
        use_colors: bool | None,
        out_coloured: bool,
        err_coloured: bool,
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        out, err = self.configure(Settings(use_colors=use_colors))
        assert ("\x1b" in out, "\x1b" in err) == (out_coloured, err_coloured)

    def test_another_handler_sees_no_colours(self) -> None:
        before, after = logging.StreamHandler(io.StringIO()), logging.StreamHandler(io.StringIO())
        ACCESS.addHandler(before)
        Streams(Terminal(), io.StringIO()).configure(Settings())
        ACCESS.addHandler(after)
        ACCESS.info(logs.ACCESS_LINE, "-", "GET / HTTP/1.1", 404, 404, 0.0, extra={"status": 404})
        for theirs in (before, after):
            assert theirs.stream.getvalue() == '- "GET / HTTP/1.1" 404 404 0.0ms\n'


HANDLER = {"class": "logging.FileHandler", "formatter": "bare"}
OWN = {"version": 1, "formatters": {"bare": {"format": "%(name)s|%(message)s"}}, "root": {"handlers": ["file"]}}


class TestConfigurationOfOnesOwn:
    def own(self, tmp_path: Path) -> dict[str, object]:
        return {**OWN, "handlers": {"file": {**HANDLER, "filename": str(tmp_path / "log")}}}

    def write(self, tmp_path: Path, suffix: str) -> Path:
        path, log = tmp_path / f"logging{suffix}", tmp_path / "log"
        text = {
            ".json": json.dumps(self.own(tmp_path)),
            ".toml": f"""
                version = 1
                root.handlers = ["file"]
                formatters.bare.format = "%(name)s|%(message)s"
                handlers.file = {{class = "logging.FileHandler", formatter = "bare", filename = '{log}'}}
            """,
            ".ini": f"""
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = bare
[logger_root]
handlers = file
[handler_file]
class = FileHandler
args = ({str(log)!r},)
formatter = bare
[formatter_bare]
format = %(name)s|%(message)s
            """,
        }
        text[".conf"] = text[".ini"]
        path.write_text(text.get(suffix, text[".json"]))  # JSON is YAML
        return path

    @pytest.fixture(autouse=True)
    def _root_as_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:])
        ERRORS.propagate = True
        ERRORS.handlers.clear()

    @pytest.mark.parametrize("suffix", [".json", ".toml", ".yaml", ".yml", ".ini", ".conf", ".JSON"])
    def test_from_a_file(self, tmp_path: Path, suffix: str) -> None:
        logs.configure(Settings(log_config=str(self.write(tmp_path, suffix))))
        ERRORS.error("hello")
        self.close()
        assert (tmp_path / "log").read_text() == "whorl.error|hello\n"

    def test_from_a_parser(self, tmp_path: Path) -> None:
        parser = ConfigParser(None)
        parser.read(self.write(tmp_path, ".ini"))
        logs.configure(Settings(log_config=parser))
        ERRORS.error("hello")
        self.close()
        assert (tmp_path / "log").read_text() == "whorl.error|hello\n"

    def test_from_a_dictionary_which_is_not_changed(self, tmp_path: Path) -> None:
        own = self.own(tmp_path)
        before = json.dumps(own)
        logs.configure(Settings(log_config=own))
        ERRORS.error("hello")
        self.close()
        assert (tmp_path / "log").read_text() == "whorl.error|hello\n"
        assert json.dumps(own) == before

    @pytest.mark.parametrize("suffix", [".json", ".ini"])
    def test_loggers_that_exist_stay_enabled(self, tmp_path: Path, suffix: str) -> None:
        theirs = logging.getLogger("somebody.else")
        logs.configure(Settings(log_config=str(self.write(tmp_path, suffix))))
        self.close()
        assert not theirs.disabled
        assert not ERRORS.disabled

    def test_our_formatters_can_be_named(self, streams: Streams) -> None:
        own = {
            "version": 1,
            "formatters": {"line": {"()": "whorl.observe.logs.LineFormatter", "colors": False}},
            "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "line"}},
            "loggers": {"whorl.error": {"handlers": ["err"], "propagate": False}},
        }
        streams.configure(Settings(log_config=own))
        ERRORS.error("hello")
        assert streams.err.endswith(" ERROR   hello\n")

    def test_its_levels_hold(self, tmp_path: Path) -> None:
        own = {**self.own(tmp_path), "loggers": {"whorl.error": {"level": "ERROR"}}}
        logs.configure(Settings(log_config=own, log_level="debug"))
        self.close()
        assert ERRORS.level == logging.ERROR

    @pytest.mark.parametrize(
        ("name", "text", "says"),
        [
            ("missing.json", None, "missing.json cannot be read: No such file or directory"),
            ("logging.json", "{", "logging.json does not configure logging: Expecting property name"),
            ("logging.toml", "version =", "logging.toml does not configure logging: Invalid value"),
            ("logging.yaml", "a: [", "logging.yaml does not configure logging: while parsing"),
            ("logging.yaml", "- 1", "logging.yaml does not hold a table"),
            ("logging.json", "\xff", "logging.json does not configure logging: 'utf-8' codec"),
            ("logging.json", "{}", "doesn't specify a version"),
            ("logging.ini", "", "logging.ini does not configure logging: "),
            ("logging.conf", "", "logging.conf does not configure logging: 'formatters' is missing"),
            ("logging.conf", "version = 1", "logging.conf does not configure logging: File contains no section"),
            (
                "logging.json",
                '{"version": 1, "handlers": {"x": {"class": "no.such.Handler"}}}',
                "Unable to configure handler 'x': Cannot resolve 'no.such.Handler'",
            ),
        ],
    )
    def test_a_wrong_one_is_one_line(self, tmp_path: Path, name: str, text: str | None, says: str) -> None:
        if text is not None:
            (tmp_path / name).write_text(text, "latin-1")
        with pytest.raises(ConfigError) as caught:
            logs.configure(Settings(log_config=str(tmp_path / name)))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_wrong_dictionary_is_one_line(self) -> None:
        with pytest.raises(ConfigError, match=r"^log_config does not configure logging: .*version"):
            logs.configure(Settings(log_config={"handlers": {}}))

    def test_yaml_without_its_package_names_the_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "yaml", None)
        with pytest.raises(ConfigError, match=r"pip install 'whorl\[yaml\]'"):
            logs.configure(Settings(log_config=str(self.write(tmp_path, ".yaml"))))

    def close(self) -> None:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.close()


def test_a_configuration_has_what_is_read(streams: Streams) -> None:
    streams.configure(Config("main:app", log_level="error"))
    assert ERRORS.level == logging.ERROR


def test_a_handler_whose_errors_lead_back_to_themselves() -> None:
    def handler() -> logging.Handler:
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    wanted = {"version": 1, "handlers": {"odd": {"()": handler}}, "root": {"handlers": ["odd"]}}
    with pytest.raises(ConfigError, match=r"handler 'odd': first: second$"):
        logs.configure(Settings(log_config=wanted))


class TestDisabledByOthers:
    """A configuration that disables all loggers that exist means somebody else's."""

    @pytest.fixture(autouse=True)
    def _ours(self) -> Iterator[None]:
        loggers = [logging.root, *(logging.getLogger(name) for name in ("whorl", "whorl.error", "whorl.access"))]
        before = [(logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]
        everything = [found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
        disabled = [logger for logger in everything if logger.disabled]
        yield
        for logger in everything:
            logger.disabled = logger in disabled
        for logger, level, handlers, propagate, is_disabled in before:
            logger.setLevel(level)
            logger.handlers[:], logger.propagate, logger.disabled = handlers, propagate, is_disabled

    def disable(self, **loggers: dict[str, object]) -> None:
        wanted = {name.replace("_", "."): settings for name, settings in loggers.items()}
        logging.config.dictConfig({"version": 1, "loggers": wanted})

    def test_both_are_enabled_again_and_it_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        ERRORS.propagate = True
        self.disable()
        logging.root.addHandler(caplog.handler)
        assert ERRORS.disabled
        assert ACCESS.disabled
        logs.keep_enabled()
        logs.keep_enabled()
        assert not ERRORS.disabled
        assert not ACCESS.disabled
        (record,) = caplog.records
        assert record.getMessage().endswith(
            "whorl.error and whorl.access are enabled again (disable_existing_loggers=False leaves them alone)"
        )

    def test_fileconfig_too(self, tmp_path: Path) -> None:
        file = tmp_path / "logging.ini"
        file.write_text("[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n")
        logging.config.fileConfig(file)
        assert ERRORS.disabled
        logs.keep_enabled()
        assert not ERRORS.disabled

    def test_one_that_is_named_is_left_as_it_was_configured(self) -> None:
        self.disable(whorl_error={"level": "CRITICAL"})
        logs.keep_enabled()
        assert ERRORS.level == logging.CRITICAL
        assert not ACCESS.disabled

    def test_one_that_is_disabled_by_its_name_stays_so(self) -> None:
        ACCESS.disabled = True
        logs.keep_enabled()
        assert ACCESS.disabled

    def test_one_whose_parent_is_named_is_nobody_s_to_enable(self) -> None:
        self.disable(whorl={"level": "CRITICAL"})
        ACCESS.disabled = True
        logs.keep_enabled()
        assert ACCESS.disabled

    def test_a_log_config_that_disables_them_without_naming_them(self) -> None:
        logs.configure(Settings(log_config={"version": 1, "disable_existing_loggers": True}))
        assert not ERRORS.disabled
        assert not ACCESS.disabled
