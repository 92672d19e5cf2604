"""The command `whorl`, as a user meets it: words in, lines and an exit status out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from whorl.cli.main import main
from whorl.config import SETTINGS, Config
from whorl.errors import StartError
from whorl.version import __version__

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory without files, and an environment without Whorl's variables."""
    for variable in [name for name in os.environ if name.startswith("WHORL_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that the command line hands to the server, which is not started."""
    configs: list[Config] = []

    def run_config(config: Config) -> int:
        configs.append(config)
        return 7

    module = ModuleType("whorl.entry")
    module.run_config = run_config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "whorl.entry", module)
    return configs


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the table: setting -> value and origin."""
    split = [line.split() for line in text.splitlines() if line.startswith("  ")]
    return {words[0]: words[1:] for words in split}


def test_serving_hands_over_what_was_written_and_returns_the_status(served: list[Config]) -> None:
    flags = ["--no-date-header", "--use-colors"]
    values = ["--port", "9000", "--timeout-keep-alive", "2m", "--limit-body-size=none"]
    assert main(["main:app", *flags, *values, "--header", "X-A: b c", "--header", "X-B: d"]) == 7
    assert served == [
        Config(
            "main:app",
            port=9000,
            date_header=False,
            use_colors=True,
            timeout_keep_alive=120.0,
            headers=((b"x-a", b"b c"), (b"x-b", b"d")),
        )
    ]


def test_nothing_written_is_the_default(served: list[Config]) -> None:
    main(["main:app"])
    assert served == [Config("main:app")]


def test_the_application_may_come_from_elsewhere(served: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("whorl.toml").write_text("app = 'file:app'")
    main([])
    monkeypatch.setenv("WHORL_APP", "environment:app")
    main([])
    main(["loops:app"])  # not the command: it has a colon
    assert [config.app for config in served] == ["file:app", "environment:app", "loops:app"]


def test_a_missing_application_is_a_usage_error(served: list[Config], capsys: Captured) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("whorl: error: no application: write whorl <module>:<attribute>")
    assert not served


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["m:a", "--port"], "Option '--port' requires an argument."),
        (["m:a", "n:b"], "Got unexpected extra argument (n:b)"),
        (["loops", "m:a"], "Got unexpected extra argument (m:a)"),
    ],
)
def test_a_usage_error_is_one_line(words: list[str], line: str, capsys: Captured) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == f"whorl: error: {line}\n"


@pytest.mark.parametrize("words", [["--http2"], ["--callback-notify", "m:f"]])
def test_an_option_of_uvicorn_that_would_lose_something_is_named_as_such(words: list[str], capsys: Captured) -> None:
    assert main(["m:a", *words]) == 3
    absent = "is an option of Uvicorn that this release of Whorl does not have: leave it out"
    assert capsys.readouterr().err == f"whorl: error: {words[0]} {absent}\n"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--proxy-headers", "m:a"], "auto"),
        (["m:a", "--proxy-headers"], "auto"),
        (["--proxy-headers", "--port", "1", "m:a"], "auto"),
        (["m:a", "--no-proxy-headers"], "off"),
        (["m:a", "--proxy-headers", "x-forwarded"], "x-forwarded"),
        (["m:a", "--proxy-headers=forwarded"], "forwarded"),
        (["m:a", "--proxy-headers", "false"], "off"),
    ],
)
def test_proxy_headers_is_a_switch_and_a_word(words: list[str], value: str, served: list[Config]) -> None:
    main(words)
    assert [(config.app, config.proxy_headers) for config in served] == [("m:a", value)]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--ws-per-message-deflate", "m:a"], True),
        (["--no-ws-per-message-deflate", "m:a"], False),
        (["--ws-per-message-deflate", "false", "m:a"], False),
        (["--ws-per-message-deflate=0", "m:a"], False),
        (["m:a", "--ws-per-message-deflate", "True"], True),
    ],
)
def test_a_switch_may_have_a_value(words: list[str], value: bool, served: list[Config]) -> None:
    main(words)
    assert [(config.app, config.ws_per_message_deflate) for config in served] == [("m:a", value)]


def test_short_forms(served: list[Config]) -> None:
    main(["m:a", "-p", "9000", "-w", "2"])
    main(["m:a", "-b", ":80", "-b", "unix:/x"])
    assert served == [Config("m:a", port=9000, workers=2), Config("m:a", bind=[":80", "unix:/x"])]  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [["--no-config"], ["--config", ""], ["--config="]])
def test_no_file_is_read_on_request(words: list[str], served: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("whorl.toml").write_text("app = 'evil:app'\nport = 1")
    monkeypatch.setenv("WHORL_CONFIG", "whorl.toml")
    main(["m:a"])
    main(["m:a", *words])
    assert [config.port for config in served] == [1, 8000]


def test_what_has_no_effect_is_told_on_a_line_of_its_own(capsys: Captured) -> None:
    words = ["--http", "httptools", "--ws", "wsproto", "--reload", "--workers", "4", "--h11-max-incomplete-event-size"]
    assert main(["m:a", "--check-config", *words, "65536", "--reset-contextvars", "--timeout-notify", "4"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "whorl: note: ws=wsproto means auto: Whorl has one implementation of WebSocket",
        "whorl: note: http=httptools has no effect: Whorl has one HTTP parser",
        "whorl: note: h11_max_incomplete_event_size=65536 has no effect: limit_request_line and limit_header_section "
        "bound a request's head",
        "whorl: note: reset_contextvars=true has no effect: each request has a copy of the server's context anyway",
        "whorl: note: timeout_notify=4s has no effect: there is no callback_notify",
        "whorl: note: workers has no effect with reload: one process serves",
    ]


def test_an_unknown_option_suggests_a_known_one(capsys: Captured) -> None:
    assert main(["m:a", "--timeout-keepalive", "3"]) == 2
    assert "--timeout-keep-alive" in capsys.readouterr().err


def test_wrong_values_are_one_line_each(served: list[Config], capsys: Captured) -> None:
    assert main(["main", "--port", "99999", "--lifespan", "of"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "whorl: error: APP must be <module>:<attribute>, not 'main': did you mean main:app?",
        "whorl: error: --lifespan must be auto, on or off, not 'of': did you mean off?",
        "whorl: error: --port must be a whole number from 0 to 65535, not '99999'",
    ]
    assert not served


def test_what_the_server_raises_for_the_user_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def run_config(config: Config) -> int:
        raise StartError(f"port {config.port} is in use: choose another")

    module = ModuleType("whorl.entry")
    module.run_config = run_config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "whorl.entry", module)
    assert main(["main:app"]) == 3
    assert capsys.readouterr().err == "whorl: error: port 8000 is in use: choose another\n"


def test_check_config_prints_every_value_with_its_origin(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.toml").write_text("backlog = 5\nheaders = ['X-A: b', 'X-C: d']")
    monkeypatch.setenv("WHORL_LOG_LEVEL", "debug")
    assert main(["--check-config", "--port", "9000", "--config", "mine.toml", "main:app"]) == 0
    table = rows(capsys.readouterr().out)
    assert set(SETTINGS) <= set(table)
    assert table["app"] == ["main:app", "APP"]
    assert table["port"] == ["9000", "--port"]
    assert table["log_level"] == ["debug", "WHORL_LOG_LEVEL"]
    assert table["backlog"] == ["5", "mine.toml"]
    assert table["headers"] == ["x-a:", "b", "mine.toml"]
    assert table["timeout_keep_alive"] == ["75s", "default"]


def test_check_config_needs_no_application_and_refuses_what_is_wrong(capsys: Captured) -> None:
    assert main(["--check-config"]) == 0
    assert rows(capsys.readouterr().out)["app"] == ["none", "default"]
    assert main(["--check-config", "--backlog", "0"]) == 3
    assert capsys.readouterr().out == ""


def test_version_names_whorl_and_python(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"whorl {__version__}, ")


def test_help_names_every_option_and_variable(capsys: Captured) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for setting in SETTINGS.values():
        option = f"--[no-]{setting.option[2:]}" if setting.kind.switch else setting.option
        assert f"  {setting.short}, {option}" in text if setting.short else f"  {option}" in text
        assert f" {setting.variable}\n" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("words", "called"), [(["loops"], "table"), (["loops", "--bench"], "bench")])
def test_loops_are_listed_and_measured(
    words: list[str], called: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    import whorl.loops

    for name, function in (("report", "table"), ("bench", "run")):
        module = ModuleType(f"whorl.loops.{name}")
        setattr(module, function, lambda function=function: "table" if function == "table" else "bench")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(whorl.loops, name, module, raising=False)
    assert main(words) == 0
    assert capsys.readouterr().out == f"{called}\n"


def test_python_m_whorl_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "whorl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"whorl {__version__}, ")


def test_the_command_line_imports_nothing_heavy_before_it_knows_what_is_asked() -> None:
    script = """
import sys, types, pathlib, importlib.util
package = types.ModuleType("whorl")  # without its public names, which are the server
package.__path__ = importlib.util.find_spec("whorl").submodule_search_locations
sys.modules["whorl"] = package
import whorl.cli.main
heavy = {"asyncio", "socket", "ssl", "logging", "tomllib", "difflib", "whorl.server", "whorl.loops", "whorl.observe"}
print(*heavy & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_start_imports_nothing_that_it_has_no_use_for(tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(
        """
import os, sys

async def app(scope, receive, send):
    print(*sys.modules, flush=True)
    os._exit(0)
"""
    )
    words = [sys.executable, "-m", "whorl", "tells:app", "--port", "0", "--loop", "asyncio"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "whorl.server.server" in loaded
    assert not loaded & {
        *("difflib", "importlib.metadata", "logging.config", "logging.handlers", "multiprocessing"),
        *("random", "tempfile", "tomllib", "websockets", "zipfile"),
        *("whorl.reload", "whorl.supervisor.supervisor", "whorl.loops.report"),
    }
