"""The loops that this interpreter can run, for tests that ask the same of every loop. No tests in this file."""

from __future__ import annotations

import os

import pytest

from whorl.loops.registry import KNOWN, why_absent
from whorl.platform import HERE

WANTED = os.environ.get("TEST_LOOPS", "asyncio uvloop rloop zuvloop winloop").split()
"""TEST_LOOPS names fewer, for a run that is to be short; the report's header says which were tested."""

ABSENT = {known.name: reason for known in KNOWN if known.name in WANTED and (reason := why_absent(known, HERE))}
"""Name -> why it is not tested here, as the end of a sentence that begins with the name."""

LOOPS = [known.typed for name in WANTED for known in KNOWN if known.name == name and name not in ABSENT]
"""What to type for each loop under test."""
OWN = "tests.own_loop:OwnTransports"
"""asyncio's with its own transports: tests of how connections are accepted and served ask for it too."""
if "own" in WANTED:
    LOOPS.append(OWN)

RLOOP_WARNS = (
    # It closes its wake-up sockets behind Python's back when a run ends, and Python warns that nobody closed them.
    pytest.mark.filterwarnings(r"ignore:unclosed <socket\.socket fd=\d+, family=1,:ResourceWarning"),
    # On 3.14, in run_in_executor.
    pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning"),
)
LOOP_PARAMS = [pytest.param(name, marks=RLOOP_WARNS if name.startswith("rloop") else ()) for name in LOOPS]
"""The same for `pytest.mark.parametrize` and fixtures; most tests ask for the fixture `loop_name` instead."""
EACH_WAY = [*LOOP_PARAMS, *([] if OWN in LOOPS else [OWN])]
"""The same, and asyncio's with its own transports."""
