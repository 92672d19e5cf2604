"""Loggers belong to the process: every test here gives them back as it found them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from whorl.observe.logs import ACCESS_LOGGER, ERROR_LOGGER


@pytest.fixture(autouse=True)
def loggers_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(variable, raising=False)
    loggers = [logging.getLogger(name) for name in (ERROR_LOGGER, ACCESS_LOGGER)]
    before = [(logger.handlers[:], logger.filters[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, filters, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.filters[:], logger.propagate, logger.disabled = handlers, filters, propagate, False
        logger.setLevel(level)  # and forget what was worked out from the old one
