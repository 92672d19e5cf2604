"""asyncio's own loop with its own transports, which serve where there is no epoll(7). No tests in this file.

A subclass keeps them everywhere (`LoopInfo.takes_poller`). `TEST_LOOPS=own` has the whole suite run on it.
"""

from __future__ import annotations

import asyncio


class OwnTransports(asyncio.SelectorEventLoop):
    """Nothing is changed."""
