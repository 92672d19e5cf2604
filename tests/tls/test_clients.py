"""What the world's clients say of our TLS: `openssl s_client` and curl, for versions, suites, clients' certificates and
resumption."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.server.client import get
from tests.server.conftest import Pool
from tests.tls.client import Authority, TlsClient

REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PATIENCE_SECONDS = 20

EC_SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.fixture
def own(authority: Authority) -> dict[str, Path]:
    """A client's certificate."""
    return authority.issue("me@example.org", common_name="me", to="client")


@pytest.fixture
def demanding(pool: Pool, loop_name: str, certificate: dict[str, Any], authority: Authority) -> Process:
    """A server that wants one."""
    return pool.server(loop=loop_name, ssl_cert_reqs="required", ssl_ca_certs=authority.ca_certs, **certificate)


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")
class TestOpenssl:
    def ask(self, server: Process, authority: Authority, *words: str | Path, request: str = REQUEST) -> str:
        """What `openssl s_client` shows of a connection with one request on it."""
        place = ["-connect", f"127.0.0.1:{server.port}", "-servername", "localhost"]
        trust = ["-CAfile", str(authority.ca_certs), "-verify_return_error", "-verify_hostname", "localhost"]
        found = subprocess.run(
            ["openssl", "s_client", *place, *trust, "-ign_eof", *map(str, words)],
            input=request,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return found.stdout + found.stderr

    @pytest.mark.parametrize(("version", "name"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
    def test_versions(self, server: Process, authority: Authority, version: str, name: str) -> None:
        told = self.ask(server, authority, version)
        assert f"New, {name}, Cipher is " in told
        assert "Verify return code: 0 (ok)" in told
        assert "Compression: NONE" in told
        assert "\nHTTP/1.1 200 OK" in told
        assert told.count("hello") == 1

    @pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
    def test_older_versions(self, server: Process, authority: Authority, version: str) -> None:
        told = self.ask(server, authority, version, "-cipher", "ALL:@SECLEVEL=0")
        assert "alert protocol version" in told
        assert "HTTP/1.1" not in told

    @pytest.mark.parametrize("suite", [EC_SUITE, "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
    def test_suites(self, server: Process, authority: Authority, suite: str) -> None:
        assert f"New, TLSv1.2, Cipher is {suite}" in self.ask(server, authority, "-tls1_2", "-cipher", suite)

    @pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"])
    def test_suites_of_1_3(self, server: Process, authority: Authority, suite: str) -> None:
        assert f"New, TLSv1.3, Cipher is {suite}" in self.ask(server, authority, "-tls1_3", "-ciphersuites", suite)

    @pytest.mark.parametrize("suites", ["kRSA", "aNULL", "SHA1", "CAMELLIA", "kDHE"])
    def test_weak_suites(self, server: Process, authority: Authority, suites: str) -> None:
        told = self.ask(server, authority, "-tls1_2", "-cipher", f"{suites}:@SECLEVEL=0")
        assert "handshake failure" in told
        assert "HTTP/1.1" not in told

    def test_the_protocol(self, server: Process, authority: Authority) -> None:
        assert "ALPN protocol: http/1.1" in self.ask(server, authority, "-alpn", "h2,http/1.1")

    def test_early_data_is_not_offered(self, server: Process, authority: Authority) -> None:
        assert "Max Early Data: 0" in self.ask(server, authority, "-tls1_3")

    @pytest.mark.parametrize(("version", "name"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
    def test_resumption(self, server: Process, authority: Authority, version: str, name: str, tmp_path: Path) -> None:
        session = tmp_path / "session"
        assert f"New, {name}" in self.ask(server, authority, version, "-sess_out", session)
        told = self.ask(server, authority, version, "-sess_in", session)
        assert f"Reused, {name}" in told
        assert "\nHTTP/1.1 200 OK" in told

    @pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
    def test_a_certificate_of_the_client(
        self, demanding: Process, authority: Authority, own: dict[str, Path], version: str
    ) -> None:
        words = ("-cert", own["ssl_certfile"], "-key", own["ssl_keyfile"])
        request = REQUEST.replace("GET /", "GET /scope")
        told = self.ask(demanding, authority, version, *words, request=request)
        assert "'client_cert_name': 'CN=me," in told
        told = self.ask(demanding, authority, version, request=request)
        assert "alert certificate required" in told or "alert handshake failure" in told
        assert "HTTP/1.1" not in told

    def test_renegotiation(self, server: Process, authority: Authority) -> None:
        place = ["-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-CAfile", str(authority.ca_certs)]
        found = subprocess.run(
            ["openssl", "s_client", *place], input="R\n", capture_output=True, text=True, timeout=20, check=False
        )
        assert "Secure Renegotiation IS supported" in found.stdout
        assert "no renegotiation" in found.stderr

    def test_new_keys(self, server: Process, authority: Authority, trusting: ssl.SSLContext) -> None:
        """A client wants new keys (RFC 8446 section 4.6.3): OpenSSL says so by itself, before it says anything else."""
        place = ["-connect", f"127.0.0.1:{server.port}", "-tls1_3", "-CAfile", str(authority.ca_certs), "-msg"]
        ways = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        words_and_signs = (
            (b"", b"read R BLOCK"),
            (b"K\n", b">>> TLS 1.3, Handshake [length 0005], KeyUpdate"),
            (REQUEST.encode(), b"<<< TLS 1.3, Handshake [length 0005], KeyUpdate"),
            (b"", b"hello"),
        )
        with (
            subprocess.Popen(["stdbuf", "-oL", "openssl", "s_client", *place], **ways) as client,
            TlsClient(server, trusting) as other,
        ):
            patience = threading.Timer(PATIENCE_SECONDS, client.kill)
            patience.start()
            try:
                for words, sign in words_and_signs:
                    client.stdin.write(words)
                    client.stdin.flush()
                    while sign not in (line := client.stdout.readline()):
                        assert line
                    assert other.ask(get()).content == b"hello"
            finally:
                patience.cancel()
                client.kill()


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")


@needs_curl
class TestCurl:
    def ask(self, server: Process, authority: Authority, path: str, *words: str | Path) -> tuple[int, str]:
        """The exit status of `curl`, and what it shows."""
        trust = ["--cacert", str(authority.ca_certs)]
        found = subprocess.run(
            ["curl", "-sS", *trust, *map(str, words), f"https://localhost:{server.port}{path}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return found.returncode, found.stdout + found.stderr

    @pytest.mark.parametrize(
        "words",
        [
            ("--tlsv1.3",),
            ("--tlsv1.2", "--tls-max", "1.2"),
            ("--tls-max", "1.2", "--ciphers", EC_SUITE),
            ("--tls13-ciphers", "TLS_AES_128_GCM_SHA256"),
            ("--http2",),
        ],
    )
    def test_versions_and_suites(self, server: Process, authority: Authority, words: tuple[str, ...]) -> None:
        assert self.ask(server, authority, "/echo", *words, "-d", "content") == (0, "content")

    @pytest.mark.parametrize("words", [("--tlsv1.0", "--tls-max", "1.1"), ("--tls-max", "1.2", "--ciphers", "kRSA")])
    def test_older_ones(self, server: Process, authority: Authority, words: tuple[str, ...]) -> None:
        assert self.ask(server, authority, "/", *words)[0] == 35  # no common ground

    def test_it_says_who_it_talks_to(self, server: Process, authority: Authority) -> None:
        assert self.ask(server, authority, "/", "--cacert", "/etc/ssl/certs/ca-certificates.crt")[0] == 60

    def test_a_certificate_of_the_client(self, demanding: Process, authority: Authority, own: dict[str, Path]) -> None:
        words = ("--cert", own["ssl_certfile"], "--key", own["ssl_keyfile"])
        status, told = self.ask(demanding, authority, "/scope", *words)
        assert (status, "'client_cert_name': 'CN=me," in told) == (0, True)
        assert self.ask(demanding, authority, "/scope")[0] in (35, 56)  # TLS 1.2, and TLS 1.3, where it learns later

    def test_a_large_upload(self, server: Process, authority: Authority, tmp_path: Path) -> None:
        content = tmp_path / "content"
        content.write_bytes(b"0123456789" * 300_000)
        assert self.ask(server, authority, "/count", "-T", content) == (0, "3000000")


@needs_curl
def test_the_password_may_stand_in_a_variable(
    authority: Authority, certificate: dict[str, Any], tmp_path: Path
) -> None:
    """A key that `openssl` has encrypted."""
    key = tmp_path / "encrypted.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(certificate["ssl_keyfile"]), "-out", str(key)]
    subprocess.run([*command, "-passout", "pass:secret"], check=True, timeout=PATIENCE_SECONDS)
    options = {"ssl_certfile": certificate["ssl_certfile"], "ssl_keyfile": key}
    password = {"WHORL_SSL_KEYFILE_PASSWORD": "secret"}
    with serve("tests.apps:app", environment=password, **options) as process:
        assert TestCurl().ask(process, authority, "/") == (0, "hello")
