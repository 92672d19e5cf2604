"""Certificates, keys and other files: what is wrong is one line."""

from __future__ import annotations

import datetime
import os
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import serve
from tests.server.client import get
from tests.tls.client import Authority, TlsClient
from whorl.config import Config
from whorl.errors import ConfigError, StartError
from whorl.tls.contexts import make_contexts
from whorl.tls.scope_extension import distinguished_name


def refusal(**options: Any) -> str:
    """Why a configuration cannot be served."""
    with pytest.raises((StartError, ConfigError)) as caught:
        make_contexts(Config("tests.apps:app", **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def nobodys_directory() -> Iterator[Path]:
    """A directory that everybody may look into, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user that may not read everything, where we are one that may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def encrypted(authority: Authority, tmp_path: Path) -> dict[str, Any]:
    """A certificate whose key has the password "secret"."""
    from cryptography.hazmat.primitives import serialization

    paths = authority.issue("encrypted.example")
    key = serialization.load_pem_private_key(paths["ssl_keyfile"].read_bytes(), None)
    path = tmp_path / "encrypted.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return {**paths, "ssl_keyfile": path}


class TestWhatIsWrong:
    def test_a_file_that_is_not_there(self, certificate: dict[str, Any]) -> None:
        assert "must be a file that exists" in refusal(ssl_certfile="nowhere.pem")

    @pytest.mark.parametrize("which", ["ssl_certfile", "ssl_keyfile"])
    def test_a_file_that_may_not_be_read(self, which: str) -> None:
        with nobodys_directory() as directory:
            paths = Authority(directory).issue("unreadable.example")
            paths[which].chmod(0)
            with as_nobody():
                assert "cannot be read: Permission denied" in refusal(**paths)

    def test_a_file_without_a_certificate(self, certificate: dict[str, Any]) -> None:
        assert "holds no certificate" in refusal(ssl_certfile=certificate["ssl_keyfile"])
        assert "holds no certificate" in refusal(
            **certificate, ssl_cert_reqs="required", ssl_ca_certs=certificate["ssl_keyfile"]
        )

    def test_a_file_without_a_key(self, certificate: dict[str, Any]) -> None:
        assert "holds no private key" in refusal(ssl_certfile=certificate["ssl_certfile"])

    def test_a_key_of_another_certificate(self, authority: Authority, certificate: dict[str, Any]) -> None:
        other = authority.issue("other.example")
        assert "does not belong to" in refusal(**{**certificate, "ssl_keyfile": other["ssl_keyfile"]})

    def test_a_key_of_another_kind(self, certificate: dict[str, Any], tmp_path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(65537, 2048)
        path = tmp_path / "rsa.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        assert "does not belong to" in refusal(**{**certificate, "ssl_keyfile": path})

    def test_a_password(self, encrypted: dict[str, Any]) -> None:
        assert "is encrypted: give its password" in refusal(**encrypted)
        assert "the password is wrong" in refusal(**encrypted, ssl_keyfile_password="wrong")
        assert make_contexts(Config("a:b", **encrypted, ssl_keyfile_password="secret"))

    def test_a_certificate_that_has_expired(self, authority: Authority) -> None:
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        paths = authority.issue("old.example", not_before=yesterday - datetime.timedelta(days=9), not_after=yesterday)
        assert "expired on" in refusal(**paths)

    def test_a_certificate_that_is_not_valid_yet(self, authority: Authority) -> None:
        tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
        paths = authority.issue("early.example", not_before=tomorrow, not_after=tomorrow + datetime.timedelta(days=9))
        assert "is not valid before" in refusal(**paths)

    def test_a_table_is_looked_at_as_well(self, authority: Authority, certificate: dict[str, Any]) -> None:
        other = authority.issue("other.example")
        table = {"certfile": other["ssl_certfile"], "keyfile": certificate["ssl_keyfile"]}
        assert "does not belong to" in refusal(**certificate, tls=[table])

    def test_a_package_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "trustme", None)
        assert "needs the package trustme: pip install" in refusal(ssl_self_signed=True)

    def test_ciphers(self, certificate: dict[str, Any]) -> None:
        assert "names no cipher suite" in refusal(**certificate, ssl_ciphers="NONE-SUCH")

    def test_it_is_one_line_of_the_command_with_status_3(self, certificate: dict[str, Any]) -> None:
        with serve("tests.apps:app", ready=False, ssl_certfile=certificate["ssl_certfile"]) as process:
            assert process.wait() == 3
            assert len(process.stderr) == 1
            assert "holds no private key" in process.stderr[0]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"ssl_keyfile": __file__}, "a certificate that is not there"),
            ({"ssl_certfile": __file__, "ssl_cert_reqs": "required"}, "give ssl_ca_certs"),
            ({"ssl_certfile": __file__, "ssl_ca_certs": __file__}, "does nothing"),
            ({"ssl_keylog": "x"}, "without TLS"),
            ({"ssl_certfile": __file__, "ssl_version": "TLSv1.1"}, "must be TLSv1.2 or TLSv1.3"),
            ({"ssl_self_signed": True, "ssl_certfile": __file__}, "makes up a certificate"),
            ({"tls": [{"keyfile": __file__}]}, "must be certificates"),
            ({"tls": [{"certfile": "nowhere"}]}, "has a certfile that must be a file"),
        ],
    )
    def test_settings_that_do_not_go_together(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            Config("a:b", **options)


class TestWords:
    @pytest.mark.parametrize("written", ["required", "CERT_REQUIRED", 2, ssl.CERT_REQUIRED])
    def test_of_demands(self, written: object, authority: Authority, certificate: dict[str, Any]) -> None:
        config = Config("a:b", **certificate, ssl_ca_certs=authority.ca_certs, ssl_cert_reqs=written)
        assert make_contexts(config).default.verify_mode is ssl.CERT_REQUIRED

    @pytest.mark.parametrize("written", ["TLSv1.2", "tlsv1.2", 17, ssl.PROTOCOL_TLS_SERVER])
    def test_of_versions(self, written: object) -> None:
        assert Config("a:b", ssl_version=written).ssl_version == "TLSv1.2"

    def test_a_password_is_never_shown(self, encrypted: dict[str, Any]) -> None:
        config = Config("a:b", tls=[{"certfile": encrypted["ssl_certfile"], "keyfile_password": "secret"}])
        assert "secret" not in repr(config.tls)


class TestNames:
    """RFC 4514."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [("a", "a"), (" a ", "\\ a\\ "), ("#a", "\\#a"), ('a,b+"c"', 'a\\,b\\+\\"c\\"'), ("\0", "\\00"), (" ", "\\ ")],
    )
    def test_what_is_special_is_escaped(self, value: str, text: str) -> None:
        assert distinguished_name(((("commonName", value),),)) == f"CN={text}"

    def test_the_last_part_is_first(self) -> None:
        name = ((("countryName", "GB"),), (("organizationName", "A"), ("commonName", "B")))
        assert distinguished_name(name) == "O=A+CN=B,C=GB"


class TestContextFactory:
    def test_is_given_the_usual_one(self, certificate: dict[str, Any]) -> None:
        def factory(config: Config, usual: Any) -> ssl.SSLContext:
            context: ssl.SSLContext = usual()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            return context

        contexts = make_contexts(Config("a:b", **certificate, ssl_context_factory=factory))
        assert contexts.default.maximum_version is ssl.TLSVersion.TLSv1_2
        assert contexts.certificates[contexts.default].names == ("localhost", "127.0.0.1")

    def test_is_served(self, loop_name: str, authority: Authority, certificate: dict[str, Any]) -> None:
        named = "tests.tls.client:no_newer_than_1_2"
        with serve("tests.apps:app", loop=loop_name, ssl_context_factory=named, **certificate) as process:
            with TlsClient(process, authority.context()) as client:
                assert client.tls.version() == "TLSv1.2"
                assert client.ask(get()).content == b"hello"

    @pytest.mark.parametrize("named", ["nowhere:f", "ssl:nothing", "tests.apps:reply", "ssl:create_default_context"])
    def test_that_makes_none_is_one_line(self, named: str) -> None:
        assert f"ssl_context_factory {named}" in refusal(ssl_context_factory=named)


def test_self_signed_is_for_this_machine(loop_name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with serve("tests.apps:app", loop=loop_name, ssl_self_signed=True) as process:
        assert "https://127.0.0.1:" in process.stderr[0]
        with TlsClient(process, context) as client:
            assert client.ask(get()).content == b"hello"


def test_the_secrets_are_written_where_asked(
    loop_name: str, certificate: dict[str, Any], tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    path = tmp_path / "keys"
    with serve("tests.apps:app", loop=loop_name, ssl_keylog=path, **certificate) as process:
        with TlsClient(process, trusting) as client:
            client.ask(get())
    assert "SERVER_TRAFFIC_SECRET_0" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_for_secrets_that_is_there_keeps_its_mode_and_what_it_holds(
    certificate: dict[str, Any], tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    path = tmp_path / "keys"
    path.write_text("# before\n")
    path.chmod(0o640)
    with serve("tests.apps:app", ssl_keylog=path, **certificate) as process:
        with TlsClient(process, trusting) as client:
            client.ask(get())
    said = path.read_text()
    assert said.startswith("# before\n")
    assert "SERVER_TRAFFIC_SECRET_0" in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
