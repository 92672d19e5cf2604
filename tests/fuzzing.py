"""What the fuzzers share: they try inputs for a while, and print the first that fails in the shortest form they find.
No tests in this file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator


def run(
    program: str,
    arguments: list[str],
    inputs: Callable[[int], Iterator[bytes]],
    fault: Callable[[bytes], str],
    fault_alone: Callable[[bytes], str],
) -> int:
    """Fuzz.

    Args:
        program: the module that does.
        arguments: of its command line.
        inputs: seed -> bytes without end, the same for the same seed.
        fault: what is wrong with an input, within the run; empty if nothing is.
        fault_alone: the same, without what the inputs before it may have left behind.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description="Fuzz wire rules.")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="which inputs (default 0)")
    options = parser.parse_args(arguments)
    ends_at = time.monotonic() + options.seconds
    count = 0
    for octets in inputs(options.seed):
        text = fault(octets)
        if text:
            print(f"input {count} of seed {options.seed} fails: {text}\n{octets!r}", flush=True)
            octets = shortest(octets, fault_alone)
            print(f"shortest form: {fault_alone(octets)}\n{octets!r}")
            return 1
        count += 1
        if time.monotonic() > ends_at:
            break
    print(f"{program}: {count} inputs of seed {options.seed}: no fault")
    return 0


def shortest(octets: bytes, fault: Callable[[bytes], str]) -> bytes:
    """The input without each part that the fault does not need, large parts first."""
    size = len(octets)
    while size:
        at = 0
        while at < len(octets):
            shorter = octets[:at] + octets[at + size :]
            if fault(shorter):
                octets = shorter
            else:
                at += size
        size //= 2
    return octets
