"""Certificates that are renewed while the server runs: when files change, and on SIGHUP. No request fails, connections
go on, and files that are wrong change nothing."""

from __future__ import annotations

import datetime
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import get, until
from tests.supervisor.load import Load
from tests.tls.client import Authority, TlsClient
from whorl.config import Config
from whorl.tls.certificates import Certificates

SOAK = os.environ.get("WHORL_TEST_SOAK") == "1"
ROTATIONS = 20 if SOAK else 2
# The sweep comes by the oftener the shorter the shortest deadline is; nobody here is a WebSocket.
OFTEN = {"ws_ping_timeout": 0.4}


@dataclass
class Door:
    """Where the clients of a `Load` connect, by TLS and with the name that is asked for."""

    server: Process
    context: ssl.SSLContext
    stderr: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return TlsClient(self.server, self.context).tls


def shown(server: Process, context: ssl.SSLContext) -> set[str]:
    """The names of the certificate that a new connection sees."""
    with TlsClient(server, context) as client:
        assert client.ask(get()).content == b"hello"
        return client.names()


def rotate(server: Process, authority: Authority, stem: str) -> None:
    """Renew the certificate again and again under load, and wait each time until new connections see it."""
    context = authority.context()
    with TlsClient(server, context) as old, Load(Door(server, context, server.stderr)) as load:
        assert old.ask(get()).content == b"hello"
        for number in range(ROTATIONS):
            name = f"number-{number}.example"
            authority.issue("localhost", name, to=stem)
            until(lambda name=name: all(name in shown(server, context) for _ in range(5)))
        assert old.ask(get()).content == b"hello"
    load.check()
    print(f"{ROTATIONS} rotations: {load.report()}")


def test_under_load_no_request_fails(loop_name: str, authority: Authority) -> None:
    paths = authority.issue("localhost", to="rotated")
    with serve("tests.apps:app", loop=loop_name, access_log=False, **OFTEN, **paths) as server:
        rotate(server, authority, "rotated")
        assert server.stop() == 0


def test_nor_in_workers_each_of_which_looks_itself(authority: Authority) -> None:
    paths = authority.issue("localhost", to="shared")
    with serve("tests.apps:app", workers=2, access_log=False, **OFTEN, **paths) as server:
        rotate(server, authority, "shared")
        assert server.stop() == 0


class TestOneProcess:
    def test_a_hangup_loads_at_once(self, loop_name: str, authority: Authority, certificate: dict[str, Any]) -> None:
        with serve("tests.apps:app", loop=loop_name, **certificate) as process:
            with TlsClient(process, authority.context()) as old:
                old.ask(get())
                process.signal(signal.SIGHUP)
                process.wait_for_line("were loaded anew")
                assert old.ask(get()).content == b"hello"
            with TlsClient(process, authority.context()) as client:
                assert client.ask(get()).content == b"hello"

    def test_a_file_that_is_wrong_changes_nothing(self, loop_name: str, authority: Authority) -> None:
        paths = authority.issue("localhost", to="spoilt")
        with serve("tests.apps:app", loop=loop_name, **OFTEN, **paths) as process:
            authority.issue("elsewhere", to="elsewhere")["ssl_keyfile"].replace(paths["ssl_keyfile"])
            assert "does not belong to" in process.wait_for_line("stay as they were")
            with TlsClient(process, authority.context()) as client:
                assert client.ask(get()).content == b"hello"
            assert sum("stay as they were" in line for line in process.stderr) == 1


class TestWhatIsWrong:
    """Each is one line, and the certificates stay as they were."""

    @pytest.fixture
    def paths(self, authority: Authority) -> dict[str, Path]:
        return authority.issue("localhost", to="good")

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda paths, authority: paths["ssl_keyfile"].unlink(), "cannot be read: No such file"),
            (lambda paths, authority: paths["ssl_certfile"].write_text("-----BEGIN"), "holds no certificate"),
            (lambda paths, authority: paths["ssl_certfile"].write_text(""), "holds no certificate"),
            (lambda paths, authority: paths["ssl_keyfile"].write_text(""), "holds no private key"),
            (lambda paths, authority: expire(authority), "expired on"),
            (lambda paths, authority: encrypt(paths["ssl_keyfile"]), "is encrypted: give its password"),
        ],
    )
    def test_it(
        self,
        paths: dict[str, Path],
        authority: Authority,
        caplog: pytest.LogCaptureFixture,
        spoil: Callable[[dict[str, Path], Authority], object],
        words: str,
    ) -> None:
        certificates = Certificates(Config("a:b", **paths), logging.getLogger("whorl.error"))
        before = certificates.contexts
        spoil(paths, authority)
        for _ in range(4):  # at the second look they are at rest, and then no more is said
            certificates.reload_if_changed()
        (told,) = [record.getMessage() for record in caplog.records]
        assert told.startswith("TLS certificates stay as they were: ")
        assert words in told
        assert "\n" not in told
        assert certificates.contexts is before
        authority.issue("localhost", to="good")
        caplog.set_level(logging.INFO)
        certificates.reload_if_changed()
        certificates.reload_if_changed()
        assert certificates.contexts is not before
        assert caplog.records[-1].getMessage() == "TLS certificates were loaded anew"


def expire(authority: Authority) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    authority.issue("localhost", to="good", not_before=yesterday - datetime.timedelta(days=9), not_after=yesterday)


def encrypt(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    form = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
