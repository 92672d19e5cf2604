"""Command lines for Uvicorn, as they stand in Dockerfiles, compose files, units and scripts: each is accepted with
`whorl` in place of `uvicorn`, and what has no effect is told."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from whorl.cli.main import main

COMMAND_LINES = [  # the settings that are told to have no effect
    # Dockerfiles, and platforms that set a port
    ("uvicorn main:app", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8000", ""),
    ("uvicorn app.main:app --host=0.0.0.0 --port=80", ""),
    ("uvicorn main:app --host 0.0.0 --port 80 --ws-per-message-deflate=false", ""),
    ("uvicorn app.main:app --proxy-headers --host 0.0.0.0 --port 80", ""),
    ("uvicorn --proxy-headers app.main:app", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8080 --workers 1 --proxy-headers", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8000 --no-proxy-headers --timeout-graceful-shutdown 3", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8000 --no-proxy-headers --limit-concurrency 200", ""),
    ("uvicorn app.main:app --host 0.0.0.0 --port 8080 --no-access-log --proxy-headers --forwarded-allow-ips=*", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8000 --proxy-headers --forwarded-allow-ips 172.16.0.10 --reload", ""),
    ("uvicorn main:app --port 8000 --proxy-headers --forwarded-allow-ips '10.0.0.0/8,127.0.0.1'", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8443 --ssl-keyfile=./key.pem --ssl-certfile=./cert.pem", ""),
    ("uvicorn main:app --ssl-certfile cert.pem --ssl-keyfile key.pem --ssl-ca-certs cert.pem --ssl-cert-reqs 2", ""),
    ("uvicorn main:app --ssl-certfile cert.pem --ssl-keyfile key.pem --ssl-version 17 --ssl-ciphers ECDHE+AESGCM", ""),
    ("python -m uvicorn server:app --host 0.0.0.0 --port 8765 --workers 4 --limit-concurrency 1000", ""),
    ("python3 -m uvicorn main:app --timeout-keep-alive 2 --access-log --no-use-colors", ""),
    ("uvicorn main:app --host 0.0.0.0 --port 8000 --timeout-keep-alive 620", ""),
    ("uvicorn main:app --host :: --port 8000", ""),
    ("uvicorn main:app --workers 0", ""),
    # the fast parts, by name
    ("uvicorn main:app --host 0.0.0.0 --port 8000 --workers 4 --loop uvloop --http httptools", "http"),
    ("uvicorn core.asgi:application --workers 4 --lifespan off --loop uvloop --http httptools", "http"),
    ("uvicorn docs.app:app --interface asgi3 --http httptools --no-access-log --log-level warning", "http"),
    ("uvicorn main:app --loop asyncio --http h11", "http"),
    ("uvicorn main:app --loop auto --http auto --ws auto --interface auto --lifespan auto", ""),
    ("uvicorn main:app --http h11 --h11-max-incomplete-event-size 65536", "h11_max_incomplete_event_size http"),
    ("uvicorn app.main:app --reload --h11-max-incomplete-event-size 536870912", "h11_max_incomplete_event_size"),
    ("uvicorn main:app --http zttp --loop zuvloop", "http"),
    ("uvicorn main:app --loop none", ""),
    ("uvicorn main:app --loop mine:new_event_loop", ""),
    ("uvicorn main:app --reset-contextvars", "reset_contextvars"),
    ("uvicorn server:app --host 0.0.0.0 --port 8000 --reload --use-colors --http h11 --ws websockets", "http ws"),
    # WebSocket
    ("uvicorn app.main:app --host 0.0.0.0 --port 7860 --ws websockets", "ws"),
    ("uvicorn app.main:app --host 127.0.0.1 --ws wsproto --proxy-headers --timeout-keep-alive 300", "ws"),
    ("uvicorn main:app --ws websockets-sansio --ws-max-size 65536 --ws-per-message-deflate false", "ws"),
    ("uvicorn api:app --host 0.0.0.0 --port 5042 --reload --ws none", ""),
    ("uvicorn main:app --ws-ping-interval 20 --ws-ping-timeout 300", ""),
    ("uvicorn main:app --ws-ping-interval 0 --ws-ping-timeout 0", ""),
    ("uvicorn main:app --ws-ping-interval 10 --ws-ping-timeout 200000", ""),
    ("uvicorn main:app --ws-max-size 16777216 --ws-max-queue 1 --ws-per-message-deflate true", ""),
    # development
    ("uvicorn main:app --reload", ""),
    ("uvicorn main:app --reload --workers 4", "workers"),
    ("uvicorn main:app --workers 1 --reload", ""),
    ("uvicorn --factory app.main:create_app --reload --reload-dir backend --reload-dir parser --port 8000", ""),
    ("uvicorn main:app --reload --reload-include '*.html' --reload-exclude 'tests/*' --reload-delay 1", ""),
    ("uvicorn --reload --reload-dir=backend --log-level=debug main:app", ""),
    ("uvicorn main:app --reload --log-config logging.conf", ""),
    ("uvicorn main:app --reload --workers 1 --log-config logger.ini --log-level debug --port 5000", ""),
    ("uvicorn main:app --log-config logging.yaml --timeout-keep-alive 3600", ""),
    ("uvicorn main:app --log-config backend/logging.json --no-use-colors --no-access-log", ""),
    ("uvicorn main:app --log-config=log.cfg", ""),
    ("uvicorn main:app --env-file .env --app-dir backend", ""),
    ("uvicorn main:app --log-level trace", ""),
    ("uvicorn main:app --log-level critical --no-access-log", ""),
    # behind a server in front
    ("uvicorn --uds /tmp/uvicorn.sock --no-access-log --loop uvloop --http httptools myapp:app", "http"),
    ("uvicorn main:app --uds=/run/app.sock --proxy-headers --forwarded-allow-ips='*' --root-path /api", ""),
    ("uvicorn main:app --fd 0", ""),
    ("uvicorn main:app --fd=3 --workers 2", ""),
    ("uvicorn main:app --no-server-header --no-date-header --header 'X-Frame-Options: DENY'", ""),
    ("uvicorn main:app --header server:nginx --header x-version:1", ""),
    ("uvicorn main:app --root-path=/v1 --backlog 4096", ""),
    # workers that come and go
    ("uvicorn main:app --workers 4 --limit-max-requests 1000 --limit-max-requests-jitter 100", ""),
    ("uvicorn main:app --limit-max-requests-jitter 100", "limit_max_requests_jitter"),
    ("uvicorn main:app --workers 2 --timeout-worker-healthcheck 60", ""),
    ("uvicorn main:app --timeout-worker-healthcheck 60", "timeout_worker_healthcheck"),
    ("uvicorn main:app --workers 2 --timeout-keep-alive 65 --limit-concurrency 100 --backlog 2048", ""),
    ("uvicorn project.wsgi:application --interface wsgi --lifespan off", ""),
]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory with the files that the command lines name, and an environment without settings."""
    for variable in [name for name in os.environ if name.startswith(("WHORL_", "WEB_"))]:
        monkeypatch.delenv(variable)
    for directory in ("backend", "parser"):
        (tmp_path / directory).mkdir()
    files = "key.pem cert.pem .env logging.conf logger.ini logging.yaml backend/logging.json log.cfg"
    for name in files.split():
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("line", "noted"), COMMAND_LINES)
def test_a_command_line_for_uvicorn_is_accepted(line: str, noted: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)
    written = words[words.index("uvicorn") + 1 :]
    status = main([*written, "--check-config"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    told = [note.removeprefix("whorl: note: ").split("=")[0].split()[0] for note in printed.err.splitlines()]
    assert sorted(told) == noted.split()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--http2"], "that this release of Whorl does not have"),
        (["--http", "mine:Protocol"], "--http must be auto, h11, httptools or zttp"),
        (["--ws", "mine:Protocol"], "--ws must be auto, none, "),
        (["--forwarded-allow-ips", "nginx"], "which is no IP address or network"),
        (["--ssl-certfile", "cert.pem", "--ssl-ca-certs", "cert.pem"], "clients are not asked for certificates"),
        (["--header", "no colon"], 'must be "Name: Value"'),
        (["--port", "99999"], "--port must be"),
        (["--host", ""], "--host must be a host name"),  # a variable that is not set, not a wish to be open to everyone
    ],
)
def test_what_would_be_lost_in_silence_is_refused(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["main:app", "--check-config", *words]) == 3
    assert reason in capsys.readouterr().err
