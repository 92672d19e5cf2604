"""How clients are spoken to in secret.

One section of `Config`, which puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from whorl.config.kind import OrNone
from whorl.config.setting import description, setting
from whorl.config.tls_words import CertificateFiles, CertificateTables, ContextFactory, Secret
from whorl.config.words import Choice, File, Flag, Text

__all__ = ["TlsSettings"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class TlsSettings:
    """How clients are spoken to in secret."""

    ssl_certfile: str | None = setting(
        "TLS",
        None,
        OrNone(File(), "plain HTTP"),
        "Speak TLS, with the certificate in this PEM file; certificates of intermediate authorities follow it there.",
    )
    ssl_keyfile: str | None = setting(
        "TLS", None, OrNone(File(), "in the certificate's file"), "The private key of the certificate, a PEM file."
    )
    ssl_keyfile_password: str | None = setting(
        "TLS",
        None,
        OrNone(Secret(), "not encrypted"),
        "The password of the private key. Other users of the machine can read command lines: prefer the variable.",
    )
    tls: tuple[CertificateFiles, ...] = setting(
        "TLS",
        (),
        CertificateTables(),
        "A certificate for other names, chosen by the name that the client asks for (SNI); repeatable. In a file: "
        "[[tls]] tables with certfile, keyfile and keyfile_password.",
    )
    ssl_self_signed: bool = setting(
        "TLS",
        False,
        Flag(),
        "Speak TLS with a certificate made up at the start, which no client trusts: for development. "
        "Needs the package trustme.",
    )
    ssl_cert_reqs: str = setting(
        "TLS",
        "none",
        Choice(
            ("none", "optional", "required"),
            {
                "0": "none",
                "1": "optional",
                "2": "required",
                "cert_none": "none",
                "cert_optional": "optional",
                "cert_required": "required",
            },
        ),
        "Whether clients show a certificate: required ends the handshake without one.",
    )
    ssl_ca_certs: str | None = setting(
        "TLS",
        None,
        OrNone(File(), "no authority"),
        "The authorities that vouch for clients' certificates, a PEM file.",
    )
    ssl_version: str = setting(
        "TLS",
        "TLSv1.2",
        Choice(
            ("TLSv1.2", "TLSv1.3"),
            {
                "tlsv1.2": "TLSv1.2",
                "tlsv1.3": "TLSv1.3",
                "1.2": "TLSv1.2",
                "1.3": "TLSv1.3",
                "2": "TLSv1.2",  # ssl.PROTOCOL_TLS
                "5": "TLSv1.2",  # ssl.PROTOCOL_TLSv1_2
                "17": "TLSv1.2",  # ssl.PROTOCOL_TLS_SERVER
            },
        ),
        "The oldest version of TLS that is spoken.",
        why="Older ones are broken (RFC 8996).",
    )
    ssl_ciphers: str = setting(
        "TLS",
        "ECDHE+AESGCM:ECDHE+CHACHA20",
        Text("a list of cipher suites as OpenSSL writes it", "LIST"),
        "The cipher suites of TLS 1.2; those of TLS 1.3 are all sound, and always on.",
        why="Forward secrecy and authenticated encryption only.",
    )
    ssl_context_factory: Any = field(
        default=None,
        metadata=description(
            "TLS",
            OrNone(ContextFactory(), "not used"),
            "A function of yours that makes the ssl.SSLContext: it is called with the configuration and with a "
            "function that makes the usual one.",
        ),
    )
    ssl_keylog: str | None = setting(
        "TLS",
        None,
        OrNone(Text("the path of a file", "FILE"), "not written"),
        "Append the secrets of every connection to this file, so that Wireshark can read it: for development.",
    )

    @property
    def speaks_tls(self) -> bool:
        """Whether clients are spoken to in TLS."""
        return self.ssl_self_signed or self.renews_certificates

    @property
    def renews_certificates(self) -> bool:
        """Whether certificates come from somewhere where others may come from later."""
        return bool(self.ssl_certfile or self.tls or self.ssl_context_factory)
