"""RFC 6455 section 5.3: masking, both in plain Python and by whatever else is used."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.websocket.vectors import mask
from whorl.wire.websocket.mask import TABLES_FROM_BYTES, unmask, xor_octets

LENGTHS = [*range(10), 31, 32, 33, 125, 126, *(TABLES_FROM_BYTES + more for more in range(-4, 5)), 65535, 65536]


@pytest.mark.parametrize("way", [xor_octets, unmask], ids=["plain", "in use"])
@pytest.mark.parametrize("length", LENGTHS)
def test_5_3_each_octet_meets_its_octet_of_the_key(way: Callable[[bytes, bytes], bytes], length: int) -> None:
    chance = random.Random(length)
    payload, key = chance.randbytes(length), chance.randbytes(4)

    masked = way(payload, key)

    assert type(masked) is bytes
    assert masked == mask(payload, key)
    assert way(masked, key) == payload


@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\0\0\0\1", b"\1\0\0\0"])
def test_5_3_keys_of_any_octets(key: bytes) -> None:
    for payload in (b"", b"\0", bytes(7), b"\xff" * 7, bytes(range(256)) * 20):
        assert xor_octets(payload, key) == mask(payload, key)
