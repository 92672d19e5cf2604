"""The public names and their signatures: a change of this table is a change for users."""

from __future__ import annotations

import inspect

import whorl

FUNCTIONS = {
    "run": "(app: 'Any', **options: 'Any') -> 'None'",
    "shutdown": "(*, app_owns_close: 'bool' = True) -> 'Shutdown'",
}
NAMES = {"Config", "ConfigError", "ServeError", "Server", "StartError", "WhorlError", "__version__", *FUNCTIONS}


def members(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_public_names() -> None:
    assert set(whorl.__all__) == NAMES


def test_the_functions() -> None:
    assert {name: str(inspect.signature(getattr(whorl, name))) for name in FUNCTIONS} == FUNCTIONS


def test_the_errors() -> None:
    assert issubclass(whorl.ConfigError, ValueError)
    for error in (whorl.ConfigError, whorl.ServeError, whorl.StartError):
        assert issubclass(error, whorl.WhorlError)
        assert error.exit_status == 3


def test_what_a_server_has() -> None:
    methods = {
        "serve",
        "handle_signal",
        "run",
        "let_go",
        "reload_files",
        "reopen_logs",
        "should_exit",
        "force_exit",
        "requests",
    }
    assert methods <= members(whorl.Server)
    attributes = {"config", "started", "urls", "ready", "shutdown", "exit_status"}
    assert attributes <= set(vars(whorl.Server(whorl.Config("main:app"))))
