"""Records of TLS 1.3 that no client library writes by itself: those of one byte, and KeyUpdate (RFC 8446 sections
4.6.3, 5.2 and 7.1). No tests in this file."""

from __future__ import annotations

import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HANDSHAKE, APPLICATION_DATA = 22, 23
UPDATE_REQUESTED = b"\x18\0\0\x01\x01"
SUITE = "TLS_AES_256_GCM_SHA384"


class Records:
    """What a client writes after its handshake, of which it has written nothing itself.

    Args:
        key_log: the file where its library logged the secrets of the connection (SSLKEYLOGFILE).
    """

    def __init__(self, key_log: Path) -> None:
        words = [line.split() for line in key_log.read_text().splitlines()]
        (secret,) = [line[2] for line in words if line[0] == "CLIENT_TRAFFIC_SECRET_0"]
        self._take(bytes.fromhex(secret))

    def _take(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(expand(secret, b"key", 32))
        self._iv = int.from_bytes(expand(secret, b"iv", 12))
        self._number = 0

    def record(self, content: bytes, kind: int = APPLICATION_DATA) -> bytes:
        """A record."""
        header = b"\x17\x03\x03" + struct.pack("!H", len(content) + 17)
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        return header + self._cipher.encrypt(nonce, content + bytes((kind,)), header)

    def key_update(self) -> bytes:
        """A record that asks for another, and the keys of the next one."""
        record = self.record(UPDATE_REQUESTED, HANDSHAKE)
        self._take(expand(self._secret, b"traffic upd", 48))
        return record


def expand(secret: bytes, label: bytes, size_bytes: int) -> bytes:
    """HKDF-Expand-Label without a context (section 7.1)."""
    label = b"tls13 " + label
    info = struct.pack("!HB", size_bytes, len(label)) + label + b"\0"
    return HKDFExpand(SHA384(), size_bytes, info).derive(secret)
