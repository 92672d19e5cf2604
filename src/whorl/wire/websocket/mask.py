"""Masking (RFC 6455 section 5.3): every byte of a payload XOR a byte of a four-byte key, in turn.

Plain Python has no operation that does this to a whole string of bytes, so the fastest of several detours is taken;
where the `websockets` package is installed its C function is used instead.

Microseconds on CPython 3.13 (3.11), one x86-64 machine, for                 32 B          1 KiB        64 KiB
    as integers: from_bytes, ^, to_bytes                                0.44 (0.53)   2.8 (2.4)    229 (114)
    as integers of 4 KiB each                                           0.64 (0.85)   4.6 (2.4)     93 (87)
    each fourth byte through a table of 256: translate                 1.6  (1.9)    2.5 (2.6)     82 (104)
    websockets.speedups.apply_mask                                      0.10 (0.15)   0.2 (0.1)    1.3 (1.3)
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

__all__ = ["unmask", "view", "xor_octets"]

from_bytes = int.from_bytes

# From here on tables are faster than integers, whose conversion costs more than the XOR.
TABLES_FROM_BYTES = 2048

# XOR_WITH[key][byte] = byte ^ key; 64 KiB, made when it is needed first.
XOR_WITH: list[bytes] = []


def xor_octets(octets: bytes | memoryview, key: bytes) -> bytes:
    """Mask or unmask, which is the same.

    Args:
        bytes: a payload, or a part of one that begins at a multiple of four bytes.
        key: the masking key, four bytes.

    Returns:
        As many bytes.
    """
    size = len(octets)
    if size < TABLES_FROM_BYTES:
        words = (size + 3) >> 2
        masked = from_bytes(octets, "little") ^ from_bytes(key * words, "little")
        return masked.to_bytes(words << 2, "little")[:size]
    if not XOR_WITH:
        XOR_WITH.extend(bytes(octet ^ other for octet in range(256)) for other in range(256))
    result = bytearray(octets)
    for place, octet in enumerate(key):
        result[place::4] = result[place::4].translate(XOR_WITH[octet])
    return bytes(result)


def speedups() -> Any:
    """The extension of the `websockets` package, loaded alone, or None where there is none: to import the package costs
    a start 7 ms, and nothing else of it is used here."""
    package = find_spec("websockets")
    spec = package and PathFinder.find_spec("websockets.speedups", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return module


unmask: Callable[[bytes | memoryview, bytes], bytes] = xor_octets

# Makes of bytes what `unmask` takes, and what can be cut without a copy where that serves it.
view: Callable[[bytes | memoryview], Any] = bytes
extension = speedups()
if extension is not None:
    unmask = extension.apply_mask
    view = memoryview
