"""TLS contexts out of the settings: one for each certificate, chosen by the name that the client asks for (RFC 6066
section 3).

TLS 1.2 at least; no compression (CRIME), no renegotiation, session tickets as OpenSSL makes them (RFC 8446 section
4.6.1). What is wrong is one line.
"""

from __future__ import annotations

import importlib
import inspect
import os
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from whorl.config import Config
from whorl.config.tls_words import CertificateFiles
from whorl.errors import StartError
from whorl.tls.certificate import Certificate, check_is_certificate, inspect_certificate, load
from whorl.tls.self_signed import self_signed

__all__ = ["PROTOCOLS", "Contexts", "make_contexts"]

PROTOCOLS = ["http/1.1"]
"""What is offered to clients that ask (ALPN, RFC 7301)."""

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(slots=True)
class Contexts:
    """Contexts that were made together.

    Attributes:
        default: what a handshake begins with, and goes on with for a name that no certificate has.
        by_name: the others, by the names of their certificates.
        certificates: the certificate of each, where it is known.
        cipher_numbers: the name of each cipher suite, and its number (IANA).
    """

    default: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext] = field(default_factory=dict)
    certificates: dict[ssl.SSLContext, Certificate] = field(default_factory=dict)
    cipher_numbers: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """All names that the certificates are for."""
        return {name for certificate in self.certificates.values() for name in certificate.names}

    def add(self, context: ssl.SSLContext, certificate: Certificate) -> None:
        """Take another certificate; where two have the same name, the first one is shown."""
        self.certificates[context] = certificate
        for name in certificate.names:
            self.by_name.setdefault(name, context)

    def select_by_sni(self, handshake: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """Show the certificate for the name that a client asks for. OpenSSL calls this."""
        if name is not None:
            name = name.lower()
            chosen = self.by_name.get(name) or self.by_name.get(f"*.{name.partition('.')[2]}")
            if chosen is not None:
                handshake.context = chosen


def make_contexts(config: Config) -> Contexts:
    """Make what the configuration asks for, all of it anew.

    Raises:
        StartError: a file, a password or a list of ciphers is not right, or the function that makes the context fails.
    """
    with ExitStack() as stack:
        tables = list(config.tls)
        if config.ssl_certfile is not None:
            tables.insert(0, CertificateFiles(config.ssl_certfile, config.ssl_keyfile, config.ssl_keyfile_password))
        elif config.ssl_self_signed:
            tables.insert(0, stack.enter_context(self_signed(config.host or "::")))
        certificates = [inspect_certificate(table) for table in tables]
        made = [make_context(config, table) for table in tables]
        if config.ssl_context_factory is not None:
            first = from_factory(config, tables[0] if tables else None)
            if config.ssl_certfile is not None:
                made[0] = first
        else:
            first = made[0]
    contexts = Contexts(first)
    for context, certificate in zip(made, certificates, strict=True):
        contexts.add(context, certificate)
    for context in {first, *made}:
        contexts.cipher_numbers.update(
            {str(suite["name"]): int(suite["id"]) & 0xFFFF for suite in context.get_ciphers()}
        )
    if len(made) > 1 or (made and made[0] is not first):
        first.sni_callback = contexts.select_by_sni
    return contexts


def make_context(config: Config, table: CertificateFiles) -> ssl.SSLContext:
    """The usual context, for one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.minimum_version = VERSIONS[config.ssl_version]
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.set_ciphers(config.ssl_ciphers)
    except ssl.SSLError:
        raise StartError(
            f"ssl_ciphers names no cipher suite of OpenSSL's: {config.ssl_ciphers!r} (openssl ciphers -v lists them)"
        ) from None
    load(context, table)
    if config.ssl_ca_certs is not None:
        check_is_certificate(config.ssl_ca_certs)
        context.load_verify_locations(config.ssl_ca_certs)
    context.verify_mode = VERIFY_MODES[config.ssl_cert_reqs]
    if config.ssl_keylog is not None:
        try:
            # OpenSSL would create it with the umask's mode, and whoever reads it can decipher the connections.
            os.close(os.open(config.ssl_keylog, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
            context.keylog_filename = config.ssl_keylog
        except OSError as error:
            raise StartError(f"ssl_keylog {config.ssl_keylog} cannot be written: {error.strerror or error}") from None
    return context


def from_factory(config: Config, table: CertificateFiles | None) -> ssl.SSLContext:
    """The context that the user's own function makes.

    Args:
        config: the first argument for it.
        table: the certificate of the usual context, which the second argument makes.

    Raises:
        StartError: there is no such function, it raises, or what it returns is no context for a server.
    """

    def usual() -> ssl.SSLContext:
        if table is None:
            raise StartError(
                "ssl_context_factory asked for the usual context, which needs a certificate: give ssl_certfile"
            )
        return make_context(config, table)

    factory = config.ssl_context_factory
    assert factory is not None
    name = factory if isinstance(factory, str) else getattr(factory, "__qualname__", repr(factory))
    try:
        context = (imported(factory) if isinstance(factory, str) else factory)(config, usual)
        if inspect.iscoroutine(context):
            context.close()  # or Python warns that nobody awaited it
            raise TypeError("it is an async function, and must be a plain one")
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    except StartError:
        raise
    except Exception as error:
        raise StartError(
            f"ssl_context_factory {name} made no TLS context for a server: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(context, ssl.SSLContext):
        raise StartError(f"ssl_context_factory {name} must return an ssl.SSLContext, not {type(context).__name__}")
    return context


def imported(target: str) -> Callable[..., Any]:
    """What an import string names."""
    module, _, path = target.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found  # type: ignore[no-any-return]
