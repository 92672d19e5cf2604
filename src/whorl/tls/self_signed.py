"""A certificate made up on the spot, for development: signed by nobody that a client trusts.

Its key is on disk for as long as it takes OpenSSL to read it, in a directory of this user's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whorl.config.tls_words import CertificateFiles
from whorl.errors import StartError

__all__ = ["self_signed"]

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
EVERY_ADDRESS = ("0.0.0.0", "::")


@contextmanager
def self_signed(host: str) -> Iterator[CertificateFiles]:
    """A certificate for this machine, in files that are gone when the block ends.

    Args:
        host: where the server listens: one of the names that the certificate is for.

    Raises:
        StartError: the package that makes it is not installed.
    """
    import tempfile  # here, because nobody but a developer has use for it

    try:
        import trustme
    except ImportError:
        raise StartError("--ssl-self-signed needs the package trustme: pip install 'whorl[self-signed]'") from None
    names = dict.fromkeys((*LOCAL_NAMES, *([] if host in EVERY_ADDRESS else [host])))
    issued = trustme.CA(organization_name="Whorl, for development").issue_cert(*names, common_name=None)
    with tempfile.TemporaryDirectory(prefix="whorl-") as directory:
        certfile = Path(directory) / "certificate.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(certfile))
        yield CertificateFiles(str(certfile))
