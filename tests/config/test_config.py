"""`Config`: what Python users construct, and what every other layer reads."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import ssl

import pytest

from whorl.config import Config
from whorl.config import relations as relations_module
from whorl.config.relations import NOTES, RELATIONS
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
        "lifespan must be auto, on or off, not 'of': did you mean off?",
        "port must be a whole number from 0 to 65535, not -1",
        "callback_notify is an option of Uvicorn that this release of Whorl does not have: leave it out",
        "buffer_response_low must not be more than buffer_response_high",
    )


@pytest.mark.parametrize("options", [{"http2": True}, {"callback_notify": print}])
def test_an_option_of_uvicorn_that_would_lose_something_is_named_as_such(options: dict[str, object]) -> None:
    (name,) = options
    assert problems_of(**options) == (
        f"{name} is an option of Uvicorn that this release of Whorl does not have: leave it out",
    )


def test_an_option_that_whorl_does_not_need_says_why() -> None:
    assert Config("main:app", http="h11").notes == ("http=h11 has no effect: Whorl has one HTTP parser",)


@pytest.mark.parametrize("name", ["http", "ws"])
def test_an_implementation_of_the_users_own_is_refused_and_not_ignored(name: str) -> None:
    (problem,) = problems_of(**{name: "mine:Protocol"})
    assert problem.startswith(f"{name} must be auto, ")
    (problem,) = problems_of(**{name: Platform})
    assert problem.startswith(f"{name} must be auto, ")


UVICORN_DEFAULTS: dict[str, object] = {  # of uvicorn.Config, 0.54.0, but log_config, which names Uvicorn's own classes
    "host": "127.0.0.1",
    "port": 8000,
    "uds": None,
    "fd": None,
    "loop": "auto",
    "http": "auto",
    "http2": False,
    "ws": "auto",
    "ws_max_size": 16777216,
    "ws_max_queue": 32,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": True,
    "lifespan": "auto",
    "env_file": None,
    "log_level": None,
    "access_log": True,
    "use_colors": None,
    "interface": "auto",
    "reload": False,
    "reload_dirs": None,
    "reload_delay": 0.25,
    "reload_includes": None,
    "reload_excludes": None,
    "workers": None,
    "proxy_headers": True,
    "server_header": True,
    "date_header": True,
    "forwarded_allow_ips": None,
    "root_path": "",
    "limit_concurrency": None,
    "limit_max_requests": None,
    "limit_max_requests_jitter": 0,
    "backlog": 2048,
    "timeout_keep_alive": 5,
    "timeout_notify": 30,
    "timeout_graceful_shutdown": None,
    "timeout_worker_healthcheck": 5,
    "callback_notify": None,
    "ssl_keyfile": None,
    "ssl_certfile": None,
    "ssl_keyfile_password": None,
    "ssl_version": ssl.PROTOCOL_TLS_SERVER,
    "ssl_cert_reqs": ssl.CERT_NONE,
    "ssl_ca_certs": None,
    "ssl_ciphers": None,
    "ssl_context_factory": None,
    "headers": None,
    "factory": False,
    "h11_max_incomplete_event_size": None,
    "reset_contextvars": False,
    "app_dir": None,
}


def test_the_defaults_of_uvicorn_are_accepted_as_what_they_are() -> None:
    config = Config(print, **UVICORN_DEFAULTS)  # type: ignore[arg-type]
    ours = Config(print)
    differ = {name for name in UVICORN_DEFAULTS if getattr(config, name) != getattr(ours, name)}
    assert differ == {"timeout_keep_alive", "timeout_graceful_shutdown", "timeout_worker_healthcheck"}
    assert config.timeout_graceful_shutdown is None
    assert config.notes == (
        "timeout_worker_healthcheck has no effect without workers: one process has no parent that checks it",
    )


def test_uvicorn_has_no_option_that_is_unknown_here() -> None:
    uvicorn = pytest.importorskip("uvicorn")
    signature = set(inspect.signature(uvicorn.Config).parameters) | set(inspect.signature(uvicorn.run).parameters)
    assert signature - {field.name for field in dataclasses.fields(Config)} == set()


def test_none_is_the_default_where_none_is_no_value() -> None:
    config = Config("main:app", workers=None, port=None, log_level=None, headers=None)  # type: ignore[arg-type]
    assert config == Config("main:app")


def test_host_none_is_every_address() -> None:
    assert Config("main:app", host=None).host is None
    assert Config("main:app", host="*").host is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fd": 3, "uds": "x"}, ("fd", "uds")),
        ({"uds_mode": 0o600}, ("uds_mode", "uds")),
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
        {"limit_max_requests_jitter": 5},
        {"timeout_worker_healthcheck": 60.0},
        {"workers": 2, "timeout_worker_healthcheck": 60.0},
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
    assert all(set(relation.settings) <= known for relation in (*RELATIONS, *NOTES))
