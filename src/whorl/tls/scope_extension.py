"""What a handshake came to, in the words of the ASGI TLS extension (version 0.2).

Called once per connection, by `transport`. A client whose certificate nobody vouches for does not get this far, so
there is never a `client_cert_error`.
"""

from __future__ import annotations

import ssl
import sys
from typing import Any

from whorl.tls.contexts import Contexts

__all__ = ["tls_facts"]

VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
"""As on the wire (RFC 8446 section 4.2.1)."""

SHORT_NAMES = {  # RFC 4514 section 3
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
SPECIAL = set('"+,;<>\\')

Name = tuple[tuple[tuple[str, str], ...], ...]


def tls_facts(tls: ssl.SSLObject, contexts: Contexts) -> dict[str, Any]:
    """The value of `scope["extensions"]["tls"]`; nothing in it can be changed but the dictionary itself.

    Args:
        tls: a connection after its handshake.
        contexts: those it began with.
    """
    cipher = tls.cipher()
    ours = contexts.certificates.get(tls.context)
    theirs = tls.getpeercert()
    return {
        "server_cert": ours.pem if ours is not None else None,
        "client_cert_chain": chain(tls),
        "client_cert_name": distinguished_name(theirs["subject"]) if theirs else None,  # type: ignore[arg-type]
        "client_cert_error": None,
        "tls_version": VERSIONS.get(tls.version() or ""),
        "cipher_suite": contexts.cipher_numbers.get(cipher[0]) if cipher is not None else None,
    }


def chain(tls: ssl.SSLObject) -> tuple[str, ...]:
    """The client's certificates as PEM: its own first, then those it sent along that vouch for the one before.

    Its own only before Python 3.13, and in a resumed session, which keeps no others.
    """
    own = tls.getpeercert(True)
    if own is None:
        return ()
    encoded = [own]
    if sys.version_info >= (3, 13):
        sent = set(tls.get_unverified_chain())
        # The one at the root is among them if the client sent it; else it is ours.
        encoded += [certificate for certificate in tls.get_verified_chain()[1:] if certificate in sent]
    return tuple(ssl.DER_cert_to_PEM_cert(certificate) for certificate in encoded)


def distinguished_name(subject: Name) -> str:
    """The subject of a certificate as text (RFC 4514 section 2): the last part first."""
    return ",".join(
        "+".join(f"{SHORT_NAMES.get(kind, kind)}={escaped(value)}" for kind, value in part)
        for part in reversed(subject)
    )


def escaped(value: str) -> str:
    """A value in a name (RFC 4514 section 2.4)."""
    text = "".join(
        "\\00" if character == "\0" else f"\\{character}" if character in SPECIAL else character for character in value
    )
    if text[:1] in ("#", " "):
        text = "\\" + text
    if len(text) > 1 and text.endswith(" ") and value != " ":
        text = text[:-1] + "\\ "
    return text
