"""The one certificate that every server shows in the rows about TLS: ECDSA on P-256, made for this run, by `openssl`.

Servers are told the two files; clients trust it alone, and say nothing of the rest of their context: what is agreed on
is each server's default.
"""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault import CannotRun

__all__ = ["HOST", "Certificate"]

HOST = "127.0.0.1"
OPENSSL = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
    *("-days", "3650", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"),
)


@dataclass(frozen=True)
class Certificate:
    """Attributes: certfile, keyfile: PEM, the key unencrypted PKCS #8."""

    certfile: Path
    keyfile: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Certificate:
        """That of a folder, made if there is none.

        Raises:
            CannotRun: there is no `openssl`, or it could not do it.
        """
        found = cls(folder / "certificate.pem", folder / "key.pem")
        if not found.certfile.exists():
            command = [*OPENSSL, "-keyout", str(found.keyfile), "-out", str(found.certfile)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                raise CannotRun(f"the rows about TLS need the program openssl: {error}") from None
            if done.returncode:
                raise CannotRun(f"openssl made no certificate: {done.stderr.strip()[-300:]}")
        return found

    def client_context(self) -> ssl.SSLContext:
        """A client's context that trusts this certificate and nobody else."""
        return ssl.create_default_context(cafile=self.certfile)
