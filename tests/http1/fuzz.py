"""A fuzzer for the HTTP/1.1 wire rules: `python -m tests.http1.fuzz --seconds 30 --seed 7`.

It spoils the requests of `corpus` and asks three things of whatever comes out: nothing is raised but a refusal, the
outcome does not depend on how the bytes are cut, and h11 and httptools read what they accept in the same way
(`differences`). The same seed gives the same inputs in the same order. At the first input that fails it prints the
shortest form it can find as a Python literal and ends with status 1.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

from tests.fuzzing import run
from tests.http1.corpus import FRAGMENTS, SEEDS, Edit, spoil
from tests.http1.differences import unexplained
from tests.http1.vectors import drip, play, same
from whorl.wire.http1.fields import MAX_CACHED_LINES, FieldLineCache
from whorl.wire.http1.head import HeadLimits

# Two sets of limits: the ones in use, and ones that a short input can pass.
LIMITS = (HeadLimits(), HeadLimits(request_line_bytes=24, header_section_bytes=60, header_fields=4))


def inputs(seed: int) -> Iterator[bytes]:
    """Bytes without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        octets = b"".join(chance.choices(SEEDS, k=chance.choice((1, 1, 1, 2))))
        edits = [
            Edit(
                place=chance.randrange(len(octets) * 2),
                at_boundary=chance.random() < 0.6,
                cut_bytes=chance.choice((0, 0, 0, 1, 1, 2, 5, 20)),
                put=chance.choice(FRAGMENTS) if chance.random() < 0.9 else chance.randbytes(chance.randrange(1, 9)),
            )
            for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4, 8)))
        ]
        yield spoil(octets, edits)


def fault(octets: bytes, lines: FieldLineCache) -> str:
    """What is wrong with the reading of these bytes; empty if nothing is.

    Args:
        bytes: the input.
        lines: the field lines of the run, so that remembered lines are tried as well.
    """
    try:
        for limits in LIMITS:
            whole = play([octets], limits)
            # Where to cut follows from the bytes, so that a literal is enough to see a fault again.
            chance = random.Random(octets)
            for _ in range(3):
                first, second = sorted(chance.choices(range(len(octets) + 1), k=2))
                parted = play([octets[:first], octets[first:second], octets[second:]], limits, lines)
                if not same(parted, whole):
                    return f"cut at {first} and {second} with {limits}: {parted} instead of {whole}"
            dripped = play(drip(octets), limits, lines, asks=2)
            if not same(dripped, whole):
                return f"byte by byte with {limits}: {dripped} instead of {whole}"
        if len(lines.known) > MAX_CACHED_LINES:
            return f"{len(lines.known)} lines are remembered"
        return "; ".join(unexplained(octets))
    except Exception as error:  # what a fuzzer is for: every one of them is a finding
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    LINES = FieldLineCache()
    sys.exit(
        run(
            "tests.http1.fuzz",
            sys.argv[1:],
            inputs,
            lambda octets: fault(octets, LINES),
            lambda octets: fault(octets, FieldLineCache()),
        )
    )
