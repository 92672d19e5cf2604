"""How failures are told: whose they are, once, from the first frame that matters."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from pathlib import Path

import pytest

from whorl.asgi.lifespan import Lifespan
from whorl.errors import StartError
from whorl.observe.failures import app_traceback, application_failed, describe, log_internal_error


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    return logging.getLogger("somebody")


def test_the_application_s_failure(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise LookupError("gone")
    except LookupError as error:
        application_failed(logger, error, "GET", b'/a"\n')
    (record,) = caplog.records
    assert record.getMessage() == 'the application failed on "GET /a%22%0A"'
    assert record.levelname == "ERROR"
    assert caplog.text.rstrip().endswith("LookupError: gone")


def test_our_own(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    log_internal_error(logger, LookupError("gone"))
    assert "this is a bug of Whorl" in caplog.records[0].getMessage()
    assert caplog.text.rstrip().endswith("LookupError: gone")


def test_our_frames_on_top_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise OSError("no disk")

    with pytest.raises(StartError) as caught:
        asyncio.run(Lifespan(app, "on").startup())  # calls the application from frames of ours
    error = caught.value.__cause__
    assert error is not None
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_globals["__name__"].startswith("whorl.")
    frames = app_traceback(error)
    assert frames is not None
    assert frames.tb_frame.f_code.co_name == "app"
    assert "lifespan.py" not in caplog.text


def test_import_machinery_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raises_on_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.import_module("raises_on_import")
    assert caught.value.__traceback__ is not None
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # this test's own frame
    frames = app_traceback(caught.value)
    assert frames is not None
    assert frames.tb_frame.f_globals["__name__"] == "raises_on_import"
    sys.modules.pop("raises_on_import", None)


def test_an_error_that_none_of_their_code_raised_has_no_frames() -> None:
    assert app_traceback(LookupError()) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError(), "ValueError"),
        (ValueError("  \n"), "ValueError"),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [KeyError("k")])]), "KeyError: 'k'"),
        (ExceptionGroup("tasks", [KeyError("k"), OSError()]), "ExceptionGroup: tasks (2 sub-exceptions)"),
    ],
)
def test_an_error_in_one_line(error: Exception, text: str) -> None:
    assert describe(error) == text


def test_an_error_that_cannot_say_what_it_is() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe(Mute()) == "Mute"
