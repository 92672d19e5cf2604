"""`Config`: what Python users construct, and what every other layer reads."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from whorl.config import Config
from whorl.config import relations as relations_module
from whorl.config.relations import RELATIONS
from whorl.errors import ConfigError
from whorl.platform import Platform


def problems_of(**options: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        Config("main:app", **options)  # type: ignore[arg-type]
    return caught.value.problems


def test_values_are_stored_as_read() -> None:
    config = Config("main:app", timeout_keep_alive="2m", limit_body_size="1MiB", headers=["X-A: b"])  # type: ignore[arg-type]
    assert (config.timeout_keep_alive, config.limit_body_size, config.headers) == (120.0, 1 << 20, ((b"x-a", b"b"),))


def test_the_application_may_be_an_object() -> None:
    assert Config(print).app is print


def test_a_config_cannot_be_changed_but_varied_and_sent_to_another_process() -> None:
    config = Config("main:app", port=9000)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.port = 1  # type: ignore[misc]
    assert dataclasses.replace(config, port=9001).port == 9001
    with pytest.raises(ConfigError):
        dataclasses.replace(config, port=-1)
    assert pickle.loads(pickle.dumps(config)) == config


def test_python_reads_neither_environment_nor_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("WHORL_PORT", "9000")
    (tmp_path / "whorl.toml").write_text("port = 9000")  # type: ignore[operator]
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    assert Config("main:app").port == 8000


def test_all_problems_are_reported_at_once() -> None:
    assert problems_of(prot=3, callback_notify=4, port=-1, lifespan="of", buffer_response_low="1MiB") == (
        "prot is not a setting: did you mean port?",
        "callback_notify is an option of Uvicorn that this release of Whorl does not have: leave it out",
        "lifespan must be auto, on or off, not 'of': did you mean off?",
        "port must be a whole number from 0 to 65535, not -1",
        "buffer_response_low must not be more than buffer_response_high",
    )


@pytest.mark.parametrize("name", ["http2", "http2_x"])
def test_an_option_of_uvicorn_that_is_not_here_is_named_as_such(name: str) -> None:
    assert problems_of(**{name: 1}) == (
        f"{name} is an option of Uvicorn that this release of Whorl does not have: leave it out",
    )


def test_an_option_that_whorl_does_not_need_says_why() -> None:
    (problem,) = problems_of(http="h11")
    assert problem == "http is an option of Uvicorn that Whorl does not need (Whorl has one HTTP parser): leave it out"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fd": 3, "uds": "x"}, ("fd", "uds")),
        ({"uds_mode": 0o600}, ("uds_mode", "uds")),
        ({"limit_max_requests_jitter": 5}, ("limit_max_requests_jitter", "limit_max_requests")),
        ({"buffer_response_low": 2, "buffer_response_high": 1}, ("buffer_response_low", "buffer_response_high")),
        ({"lifespan": "on", "interface": "wsgi"}, ("lifespan", "interface")),
    ],
)
def test_settings_that_cannot_go_together(options: dict[str, object], named: tuple[str, ...]) -> None:
    (problem,) = problems_of(**options)
    assert all(name in problem for name in named)


@pytest.mark.parametrize(
    "options",
    [
        {"fd": 0},
        {"uds": "x", "uds_mode": 0o600},
        {"limit_max_requests": 10, "limit_max_requests_jitter": 5},
        {"buffer_response_low": 1, "buffer_response_high": 1},
        {"lifespan": "auto", "interface": "wsgi"},
    ],
)
def test_settings_that_go_together(options: dict[str, object]) -> None:
    config = Config("main:app", **options)  # type: ignore[arg-type]
    assert {name: getattr(config, name) for name in options} == options


def test_a_unix_socket_is_refused_where_asyncio_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations_module, "HERE", Platform(system="win32"))
    assert problems_of(uds="x") == (
        "uds cannot work, because asyncio has no Unix sockets on this platform: give a host and a port",
    )
    assert Config("main:app").uds is None


def test_one_mistake_makes_one_complaint() -> None:
    assert len(problems_of(limit_max_requests="many", limit_max_requests_jitter=5)) == 1


def test_relations_name_settings_that_exist() -> None:
    known = {field.name for field in dataclasses.fields(Config)}
    assert all(set(relation.settings) <= known for relation in RELATIONS)
