"""A client that speaks TLS, and certificates for both ends. No tests in this file."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import trustme

from tests.harness import Process
from tests.server.client import PATIENCE_SECONDS, Client
from whorl.config import Config


class TlsClient(Client):
    """A connection, after its handshake.

    Args:
        server: whom to connect to.
        context: whom to trust, and more.
        name: the host name that is asked for (SNI); it must be in the certificate.
        session: an earlier connection's, to be resumed.
        ragged: whether an end without close_notify is an end; else it is an error.
    """

    def __init__(
        self,
        server: Process,
        context: ssl.SSLContext,
        name: str = "localhost",
        session: ssl.SSLSession | None = None,
        ragged: bool = False,
    ) -> None:
        plain = server.connect(PATIENCE_SECONDS)
        try:
            self.tls = self.socket = context.wrap_socket(
                plain, server_hostname=name, session=session, suppress_ragged_eofs=ragged
            )
        except BaseException:
            plain.close()
            raise
        self.buffer = b""

    def names(self) -> set[str]:
        """The names of the certificate that the server has shown."""
        shown = self.tls.getpeercert()
        assert shown is not None
        return {str(name) for _, name in shown["subjectAltName"]}


@dataclass
class Authority:
    """Makes certificates, and contexts that trust them.

    Args:
        directory: where the files go.
    """

    directory: Path

    @cached_property
    def ca(self) -> trustme.CA:
        return trustme.CA()

    @cached_property
    def ca_certs(self) -> Path:
        path = self.directory / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def issue(self, *names: str, to: str | None = None, **more: object) -> dict[str, Path]:
        """A certificate and its key, as options: `ssl_certfile` and `ssl_keyfile`.

        Args:
            names: what it is for.
            to: the file name without suffix; the first name by default.
            more: for trustme.
        """
        issued = self.ca.issue_cert(*names, **more)  # type: ignore[arg-type]
        stem = (to or names[0]).replace("*", "any")
        paths = {"ssl_certfile": self.directory / f"{stem}.pem", "ssl_keyfile": self.directory / f"{stem}.key"}
        contents = {
            "ssl_certfile": b"".join(blob.bytes() for blob in issued.cert_chain_pems),
            "ssl_keyfile": issued.private_key_pem.bytes(),
        }
        for option, path in paths.items():
            fresh = path.with_suffix(".new")
            fresh.write_bytes(contents[option])
            os.replace(fresh, path)
        return paths

    def context(self, **attributes: object) -> ssl.SSLContext:
        """A client's context that trusts these certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        for name, value in attributes.items():
            setattr(context, name, value)
        return context


def nameless(config: Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """An `ssl_context_factory` whose certificate nobody knows."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def no_newer_than_1_2(config: Config, usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """An `ssl_context_factory` whose context is told from the usual one by its clients."""
    context = usual()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
