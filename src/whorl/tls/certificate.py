"""One certificate of ours and its key (RFC 5280): read from PEM files, and found sound before anybody connects.

The standard library does not parse a certificate that is not a peer's. So one handshake with ourselves, in memory, is
made with each: it shows the names and the dates, and it proves that certificate and key work.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from whorl.config.tls_words import CertificateFiles
from whorl.errors import StartError

__all__ = ["Certificate", "inspect_certificate", "load"]

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: the dates are compared here, so that the message can name them."""

MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""Another key; one of another kind; and the same again, because OpenSSL has a place for each kind."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of a certificate.

    Args:
        pem: the certificate itself, as PEM text.
        names: the host names and addresses it is for, in lower case; a name may begin with "*.".
    """

    pem: str
    names: tuple[str, ...]


def load(context: ssl.SSLContext, table: CertificateFiles) -> None:
    """Give a context a certificate and its key.

    Raises:
        StartError: a file cannot be read or is no PEM, the password is wrong, or the two do not belong together.
    """
    certfile = table.certfile
    keyfile = table.keyfile or certfile
    check_is_certificate(certfile)
    check_readable(keyfile, "the private key")
    asked: list[bool] = []

    def password() -> str:
        """Called for an encrypted key only. Without it, OpenSSL would ask on the terminal."""
        asked.append(True)
        return table.keyfile_password or ""

    try:
        context.load_cert_chain(certfile, table.keyfile, password)
    except ssl.SSLError as error:
        raise StartError(why_not(error, certfile, keyfile, bool(asked), bool(table.keyfile_password))) from None
    except (OSError, ValueError) as error:
        raise StartError(f"the private key {keyfile} cannot be read: {error}") from None


def check_readable(path: str, noun: str) -> None:
    """Raise StartError for a file that is not there or may not be read."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise StartError(f"{noun} {path} cannot be read: {error.strerror or error}") from None


def check_is_certificate(path: str) -> None:
    """Raise StartError for a file that holds no certificate."""
    check_readable(path, "the certificate")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, ValueError):
        raise StartError(f"{path} holds no certificate: it must be a PEM file that begins with one") from None


def why_not(error: ssl.SSLError, certfile: str, keyfile: str, asked: bool, has_password: bool) -> str:
    """One line for a pair that OpenSSL does not take."""
    reason = error.reason or ""
    if reason in MISMATCHES:
        return f"the private key {keyfile} does not belong to the certificate {certfile}: give the one that does"
    if asked and has_password:
        return f"the private key {keyfile} cannot be decrypted: the password is wrong"
    if asked:
        return f"the private key {keyfile} is encrypted: give its password"
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        words = reason.lower().replace("_", " ")
        return f"the certificate {certfile} is too weak for this system's OpenSSL ({words}): have a stronger one made"
    return f"{keyfile} holds no private key that OpenSSL can read: it must be a PEM file with one"


def inspect_certificate(table: CertificateFiles) -> Certificate:
    """Find out what a certificate is for, and whether it serves now.

    Raises:
        StartError: as `load`; or the certificate has expired, or is not valid yet.
    """
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(ours, table)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    theirs.load_verify_locations(table.certfile)
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(NO_CHECK_TIME)
    try:
        shown = handshake_in_memory(ours, theirs)
    except ssl.SSLError:  # it vouches for itself in no way that OpenSSL accepts, and clients may still do
        theirs.verify_mode = ssl.CERT_NONE
        shown = handshake_in_memory(ours, theirs)
    facts = shown.getpeercert() or {}
    check_dates(facts, table.certfile)
    encoded = shown.getpeercert(True)
    assert encoded is not None
    return Certificate(ssl.DER_cert_to_PEM_cert(encoded), names_of(facts))


def handshake_in_memory(ours: ssl.SSLContext, theirs: ssl.SSLContext) -> ssl.SSLObject:
    """A handshake in memory.

    Returns:
        The client's end of it.

    Raises:
        ssl.SSLError: it failed.
    """
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = ours.wrap_bio(to_us, to_them, server_side=True)
    client = theirs.wrap_bio(to_them, to_us)
    for end in (client, server, client, server):  # two round trips at most
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return client


def check_dates(facts: Mapping[str, object], certfile: str) -> None:
    """Raise StartError outside of the time for which a certificate is valid."""
    now = time.time()
    begins, ends = facts.get("notBefore"), facts.get("notAfter")
    if isinstance(ends, str) and ssl.cert_time_to_seconds(ends) <= now:
        raise StartError(f"the certificate {certfile} expired on {ends}: have it renewed")
    if isinstance(begins, str) and ssl.cert_time_to_seconds(begins) > now:
        raise StartError(f"the certificate {certfile} is not valid before {begins}: look at the clock, or wait")


def names_of(facts: Mapping[str, object]) -> tuple[str, ...]:
    """The names a certificate is for (RFC 9525 section 6: subject alternative names; the subject's own count no
    more)."""
    alternatives = facts.get("subjectAltName")
    pairs = alternatives if isinstance(alternatives, tuple) else ()
    return tuple(str(name).lower() for kind, name in pairs if kind in ("DNS", "IP Address"))
