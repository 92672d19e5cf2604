"""Command line, environment, files and defaults become one configuration: `sources` and `files` of `whorl.config`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from whorl.config import SETTINGS, load_env_file
from whorl.config.sources import Assembled, assemble
from whorl.errors import ConfigError


class Place:
    """A directory and an environment to assemble a configuration in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment: dict[str, str] = {}

    def write(self, name: str, text: str) -> str:
        (self.directory / name).write_text(text, encoding="utf-8")
        return str(self.directory / name)

    def assemble(self, command_line: Mapping[str, object] | None = None, file: str | None = None) -> Assembled:
        return assemble(command_line or {}, self.environment, self.directory, file)

    def problems(self, command_line: Mapping[str, object] | None = None, file: str | None = None) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            self.assemble(command_line, file)
        return caught.value.problems


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_command_line_beats_environment_beats_file_beats_default(place: Place) -> None:
    place.write("whorl.toml", "port = 1\nbacklog = 1\nlog_level = 'error'")
    place.environment = {"WHORL_PORT": "2", "WHORL_BACKLOG": "2"}
    assembled = place.assemble({"port": "3"})
    config, origins = assembled.config, assembled.origins
    assert (config.port, config.backlog, config.log_level, config.lifespan) == (3, 2, "error", "auto")
    assert [origins[name] for name in ("port", "backlog", "log_level", "lifespan")] == [
        "--port",
        "WHORL_BACKLOG",
        "whorl.toml",
        "default",
    ]


class TestWhatThePlatformSuggests:
    """WEB_CONCURRENCY, the default of workers."""

    def test_it_beats_the_default_and_nothing_else(self, place: Place) -> None:
        place.environment = {"WEB_CONCURRENCY": "4"}
        assembled = place.assemble()
        assert (assembled.config.workers, assembled.origins["workers"]) == (4, "WEB_CONCURRENCY")
        place.write("whorl.toml", "workers = 3")
        assert place.assemble().config.workers == 3
        place.environment["WHORL_WORKERS"] = "2"
        assert place.assemble().config.workers == 2
        assert place.assemble({"workers": "1"}).config.workers == 1

    def test_an_empty_one_is_absent_and_a_wrong_one_is_named(self, place: Place) -> None:
        place.environment = {"WEB_CONCURRENCY": ""}
        assert place.assemble().config.workers == 1
        place.environment = {"WEB_CONCURRENCY": "many"}
        (problem,) = place.problems()
        assert problem.startswith("WEB_CONCURRENCY ")

    def test_not_for_who_develops(self, place: Place) -> None:
        place.environment = {"WEB_CONCURRENCY": "4"}
        assert place.assemble({"reload": True}).config.workers == 1
        assert place.assemble({"reload": False}).config.workers == 4
        assert place.assemble({"reload": True, "workers": "4"}).config.notes == (
            "workers has no effect with reload: one process serves",
        )

    def test_from_an_env_file(self, place: Place) -> None:
        path = place.write(".env", "WEB_CONCURRENCY=5")
        assembled = place.assemble({"env_file": path})
        assert (assembled.config.workers, assembled.origins["workers"]) == (5, f"WEB_CONCURRENCY in {path}")


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_can_be_written_in_the_environment(place: Place, name: str) -> None:
    setting = SETTINGS[name]
    place.environment = {setting.variable: setting.shown_default if setting.option else "main:app"}
    assembled = place.assemble()
    assert getattr(assembled.config, name) == (setting.default if setting.option else "main:app")
    assert assembled.origins[name] == (setting.variable if setting.shown_default else "default")


def test_pyproject_has_a_table_of_its_own(place: Place) -> None:
    place.write(
        "pyproject.toml", "[project]\nname = 'x'\n[tool.whorl]\napp = 'main:app'\nheaders = ['X-A: b c', 'X-B: d']"
    )
    assembled = place.assemble()
    assert assembled.config.app == "main:app"
    assert assembled.config.headers == ((b"x-a", b"b c"), (b"x-b", b"d"))
    assert assembled.origins["app"] == "pyproject.toml"


def test_a_pyproject_of_somebody_else_is_no_configuration(place: Place) -> None:
    place.write("pyproject.toml", "[tool.other]\nport = 1")
    assert place.assemble().config.port == 8000
    assert place.problems(file="pyproject.toml") == (
        "pyproject.toml has no table [tool.whorl]: write one, or name another file",
    )


def test_two_files_with_settings_are_refused_unless_one_is_named(place: Place) -> None:
    place.write("pyproject.toml", "[tool.whorl]\nport = 1")
    place.write("whorl.toml", "port = 2")
    (problem,) = place.problems()
    assert "whorl.toml" in problem
    assert "pyproject.toml" in problem
    assert place.assemble(file="pyproject.toml").config.port == 1
    place.environment["WHORL_CONFIG"] = "whorl.toml"
    assert place.assemble().config.port == 2
    assert place.assemble(file="pyproject.toml").config.port == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"port = ", "whorl.toml is not TOML: "),
        (b"port = '\xff'", "whorl.toml is not TOML: "),
    ],
)
def test_a_file_that_is_not_toml_is_one_line(place: Place, content: bytes, reason: str) -> None:
    (place.directory / "whorl.toml").write_bytes(content)
    (problem,) = place.problems()
    assert problem.startswith(reason)
    assert "\n" not in problem


def test_a_named_file_must_exist(place: Place) -> None:
    assert place.problems(file="nope.toml") == ("nope.toml cannot be read: No such file or directory",)


def test_every_problem_of_every_place_is_reported_with_its_place(place: Place) -> None:
    place.write("whorl.toml", "prot = 1\nbacklog = 0\ncallback_notify = 2")
    place.environment = {
        "WHORL_LIFESPAM": "on",
        "WHORL_TIMEOUT_RESPONSE": "-1",
        "OTHER": "x",
        "WHORL_HTTP2": "1",
    }
    assert place.problems({"port": "x", "uds": "a", "fd": "3", "app": "main"}) == (
        "prot in whorl.toml is not a setting: did you mean port?",
        "WHORL_LIFESPAM is not a setting: did you mean WHORL_LIFESPAN?",
        "APP must be <module>:<attribute>, not 'main': did you mean main:app?",
        "--port must be a whole number from 0 to 65535, not 'x'",
        "backlog in whorl.toml must be a whole number of connections from 1 to 65535, not 0",
        "WHORL_TIMEOUT_RESPONSE must be a time from 0.001 to 31536000 seconds (0 or none: no deadline), not '-1'",
        "WHORL_HTTP2 is an option of Uvicorn that this release of Whorl does not have: leave it out",
        "callback_notify in whorl.toml is an option of Uvicorn that this release of Whorl does not have: leave it out",
        "--fd and --uds are two places to listen on: give one of them",
    )


def test_a_value_that_another_place_overrides_is_not_read(place: Place) -> None:
    place.environment = {"WHORL_PORT": "tcp://10.0.0.1:80"}
    assert place.assemble({"port": "1"}).config.port == 1


def test_an_empty_variable_counts_as_absent(place: Place) -> None:
    place.environment = {"WHORL_PORT": "", "WHORL_CONFIG": "", "WHORL_ENV_FILE": ""}
    assert place.assemble().config.port == 8000


def test_what_the_build_was_told_is_no_setting(place: Place) -> None:
    place.environment = {"WHORL_COMPILE": "1"}
    assert place.assemble().config == place.assemble({}).config


def test_a_list_in_the_environment_has_an_item_per_line(place: Place) -> None:
    place.environment = {"WHORL_HEADERS": "X-A: b c, d\nX-B: e"}
    assert place.assemble().config.headers == ((b"x-a", b"b c, d"), (b"x-b", b"e"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
def test_the_highest_place_decides_which_way_to_listen(place: Place) -> None:
    place.write("whorl.toml", "uds = 'x.sock'\nuds_mode = 0o600")
    config = place.assemble().config
    assert (config.uds, config.uds_mode) == ("x.sock", 0o600)
    config = place.assemble({"port": "1"}).config
    assert (config.uds, config.uds_mode, config.port) == (None, 0o666, 1)
    place.environment = {"WHORL_FD": "3", "WHORL_PORT": "9"}
    config = place.assemble({"uds_mode": "0640", "uds": "y.sock"}).config
    assert (config.uds, config.uds_mode, config.fd, config.port) == ("y.sock", 0o640, None, 8000)


def test_the_parts_of_one_way_to_listen_may_come_from_several_places(place: Place) -> None:
    place.write("whorl.toml", "host = '::1'")
    config = place.assemble({"port": "1"}).config
    assert (config.host, config.port) == ("::1", 1)


@pytest.mark.parametrize("where", ["command line", "environment", "file"])
def test_an_env_file_adds_variables_that_settings_may_come_from(place: Place, where: str) -> None:
    path = place.write(".env", "WHORL_PORT=1\nWHORL_BACKLOG=1\nSECRET='s p'")
    place.environment = {"WHORL_BACKLOG": "2"}
    if where == "environment":
        place.environment["WHORL_ENV_FILE"] = path
    if where == "file":
        place.write("whorl.toml", f"env_file = {path!r}")
    assembled = place.assemble({"env_file": path} if where == "command line" else {})
    assert (assembled.config.port, assembled.config.backlog) == (1, 2)
    assert (place.environment["SECRET"], place.environment["WHORL_BACKLOG"]) == ("s p", "2")
    assert assembled.origins["port"] == f"WHORL_PORT in {path}"


def test_an_env_file_that_does_not_exist_is_one_line(place: Place) -> None:
    assert place.problems({"env_file": "nope"}) == (
        "--env-file must be a file that exists (none: no file), not 'nope'",
    )
    with pytest.raises(ConfigError, match="env_file must be a file that exists, not 'nope'"):
        load_env_file("nope", {})


def test_a_higher_place_can_take_an_env_file_back(place: Place) -> None:
    place.environment = {"WHORL_ENV_FILE": place.write(".env", "WHORL_PORT=1")}
    assert place.assemble({"env_file": "none"}).config.port == 8000


def test_an_env_file_needs_a_package(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    path = place.write(".env", "A=1")
    assert place.problems({"env_file": path}) == (
        f"env_file {path} needs the package python-dotenv: pip install 'whorl[dotenv]'",
    )
