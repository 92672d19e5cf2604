"""The handshake (RFC 8446, RFC 5246): versions, suites, names, clients' certificates, resumption, and what the
application is told of it (ASGI TLS extension 0.2)."""

from __future__ import annotations

import ast
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import get
from tests.tls.client import Authority, TlsClient

TELL = get("/scope", "x-tell: yes")
ONE_POINT_TWO = {"maximum_version": ssl.TLSVersion.TLSv1_2}


def scope_of(client: TlsClient) -> dict[str, Any]:
    scope = ast.literal_eval(client.ask(TELL).content.decode())
    assert isinstance(scope, dict)
    return scope


class TestVersions:
    @pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
    def test_both_are_spoken(self, server: Process, authority: Authority, version: str) -> None:
        context = authority.context()
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version.replace(".", "_"))
        with TlsClient(server, context) as client:
            assert client.tls.version() == version
            assert client.tls.compression() is None
            assert client.ask(get()).content == b"hello"

    def test_an_older_one_is_not(self, server: Process) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            TlsClient(server, context)

    def test_the_oldest_can_be_raised(self, loop_name: str, certificate: dict[str, Any], authority: Authority) -> None:
        with serve("tests.apps:app", loop=loop_name, ssl_version="TLSv1.3", **certificate) as process:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                TlsClient(process, authority.context(**ONE_POINT_TWO))
            with TlsClient(process, authority.context()) as client:
                assert client.ask(get()).content == b"hello"


class TestSuites:
    def test_of_tls_1_2_are_authenticated_and_forward_secret(self, server: Process, authority: Authority) -> None:
        context = authority.context(**ONE_POINT_TWO)
        context.set_ciphers("AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            TlsClient(server, context)

    def test_can_be_chosen(self, loop_name: str, certificate: dict[str, Any], authority: Authority) -> None:
        only = "ECDHE-ECDSA-AES128-GCM-SHA256"
        with serve("tests.apps:app", loop=loop_name, ssl_ciphers=only, **certificate) as process:
            with TlsClient(process, authority.context(**ONE_POINT_TWO)) as client:
                assert (client.tls.cipher() or "")[0] == only
                assert scope_of(client)["extensions"]["tls"]["cipher_suite"] == 0xC02B


class TestProtocol:
    @pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"]])
    def test_http_1_1_is_agreed_on(self, server: Process, authority: Authority, offered: list[str]) -> None:
        context = authority.context()
        context.set_alpn_protocols(offered)
        with TlsClient(server, context) as client:
            assert client.tls.selected_alpn_protocol() == "http/1.1"


class TestScope:
    def test_without_a_client_certificate(self, server: Process, trusting: ssl.SSLContext) -> None:
        with TlsClient(server, trusting) as client:
            first, second = scope_of(client), scope_of(client)
            assert first["scheme"] == "https"
            tls = first["extensions"]["tls"]
            assert tls == second["extensions"]["tls"]
            shown = client.tls.getpeercert(True)
            assert shown is not None
            assert ssl.PEM_cert_to_DER_cert(tls.pop("server_cert")) == shown
            assert tls == {
                "client_cert_chain": (),
                "client_cert_name": None,
                "client_cert_error": None,
                "tls_version": 0x0304,
                "cipher_suite": 0x1302,
            }

    def test_without_tls_there_is_none(self, loop_name: str) -> None:
        with serve("tests.apps:app", loop=loop_name) as process:
            assert b"'tls'" not in process.exchange(get("/scope", "x-tell: yes", "Connection: close"))


class TestClientCertificates:
    @pytest.fixture
    def wanted(self, authority: Authority, certificate: dict[str, Any]) -> dict[str, Any]:
        return {"ssl_ca_certs": authority.ca_certs, **certificate}

    @pytest.fixture
    def known(self, authority: Authority) -> ssl.SSLContext:
        context = authority.context()
        issued = authority.issue("me@example.org", organization_name='Acme, "Inc"', common_name=" me", to="client")
        context.load_cert_chain(issued["ssl_certfile"], issued["ssl_keyfile"])
        return context

    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_required(
        self,
        loop_name: str,
        wanted: dict[str, Any],
        known: ssl.SSLContext,
        authority: Authority,
        version: str,
    ) -> None:
        maximum = getattr(ssl.TLSVersion, version)
        known.maximum_version = maximum
        with serve("tests.apps:app", loop=loop_name, ssl_cert_reqs="required", **wanted) as process:
            with TlsClient(process, known) as client:
                tls = scope_of(client)["extensions"]["tls"]
                assert tls["client_cert_name"].startswith("CN=\\ me,OU=")
                assert tls["client_cert_name"].endswith(',O=Acme\\, \\"Inc\\"')
                assert tls["client_cert_chain"][0].startswith("-----BEGIN CERTIFICATE-----\n")
            stranger = Authority(authority.directory).ca.issue_cert("x@example.org")
            for context in (authority.context(maximum_version=maximum), authority.context(maximum_version=maximum)):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    # In TLS 1.3 the client learns of it when it reads.
                    with TlsClient(process, context) as client:
                        client.ask(get())
                stranger.configure_cert(context)

    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_the_chain_is_what_the_client_sent(
        self, loop_name: str, wanted: dict[str, Any], authority: Authority, version: str
    ) -> None:
        """Without the root, which is ours; and a resumed session still knows its client."""
        context = authority.context(maximum_version=getattr(ssl.TLSVersion, version))
        issued = authority.ca.create_child_ca().issue_cert("me@example.org")
        issued.configure_cert(context)
        sent = [pem.bytes().decode() for pem in issued.cert_chain_pems]
        assert len(sent) == 2
        with serve("tests.apps:app", loop=loop_name, ssl_cert_reqs="required", **wanted) as process:
            session = None
            for most in (len(sent) if sys.version_info >= (3, 13) else 1, 1):
                with TlsClient(process, context, session=session) as client:
                    resumed = session is not None
                    tls = scope_of(client)["extensions"]["tls"]
                    session = client.tls.session
                    assert client.tls.session_reused is resumed
                    assert [pem.split() for pem in tls["client_cert_chain"]] == [pem.split() for pem in sent[:most]]
                    assert tls["client_cert_name"].startswith("OU=")

    def test_optional(
        self, loop_name: str, wanted: dict[str, Any], known: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        with serve("tests.apps:app", loop=loop_name, ssl_cert_reqs="optional", **wanted) as process:
            with TlsClient(process, known) as client:
                assert scope_of(client)["extensions"]["tls"]["client_cert_name"].startswith("CN=\\ me,")
            with TlsClient(process, trusting) as client:
                assert scope_of(client)["extensions"]["tls"]["client_cert_name"] is None


class TestResumption:
    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    def test_with_a_ticket(self, server: Process, authority: Authority, version: str) -> None:
        context = authority.context(maximum_version=getattr(ssl.TLSVersion, version))
        with TlsClient(server, context) as client:
            client.ask(get())  # in TLS 1.3 the tickets come after the handshake
            session = client.tls.session
            assert client.tls.session_reused is False
        with TlsClient(server, context, session=session) as client:
            assert client.ask(get()).content == b"hello"
            assert client.tls.session_reused is True


class TestNames:
    def test_choose_the_certificate(self, loop_name: str, authority: Authority, certificate: dict[str, Any]) -> None:
        tables = [authority.issue("one.example"), authority.issue("*.many.example", "two.example")]
        words = [f"certfile={table['ssl_certfile']},keyfile={table['ssl_keyfile']}" for table in tables]
        context = authority.context()
        lenient = authority.context(check_hostname=False)
        with serve("tests.apps:app", loop=loop_name, tls=words, **certificate) as process:
            for name, shown in {
                "one.example": "one.example",
                "TWO.example": "two.example",
                "a.many.example": "*.many.example",
                "localhost": "localhost",
            }.items():
                with TlsClient(process, context, name) as client:
                    assert shown in client.names()
                    certificate_told = scope_of(client)["extensions"]["tls"]["server_cert"]
                    assert ssl.PEM_cert_to_DER_cert(certificate_told) == client.tls.getpeercert(True)
            for name in ("unknown.example", "b.a.many.example", "many.example"):
                with TlsClient(process, lenient, name) as client:
                    assert "localhost" in client.names()

    def test_from_a_file(self, loop_name: str, authority: Authority, tmp_path: Path) -> None:
        tables = [authority.issue("localhost", to="first"), authority.issue("one.example")]
        (tmp_path / "whorl.toml").write_text(
            "".join(f"[[tls]]\ncertfile = '{t['ssl_certfile']}'\nkeyfile = '{t['ssl_keyfile']}'\n" for t in tables)
        )
        with serve("tests.apps:app", loop=loop_name, config=tmp_path / "whorl.toml") as process:
            for name in ("localhost", "one.example"):
                with TlsClient(process, authority.context(), name) as client:
                    assert name in client.names()
