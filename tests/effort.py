"""How far hypothesis searches. No tests in this file.

The ordinary run is small and always the same. `TEST_EFFORT=long` searches further, differently each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("TEST_EFFORT") == "long"


def effort(examples: int) -> settings:
    """How far one property is searched: so many examples, or a hundred times as many."""
    return settings(
        max_examples=examples * 100 if LONG else examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
