"""The server whose instructions are counted: Whorl, on a real loop and real sockets, without what depends on the clock.

Run under callgrind by `instructions`, as `python -m benchmarks.counted LOOP PORT [CERTFILE KEYFILE]`. The time of day
stands still, so that the Date field is made once, and the sweep never comes by: both happen once in a while, and when
depends on how slow callgrind is. All else is what `whorl` does.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import time

time.time = itertools.repeat(1_800_000_000.0).__next__  # as fast as the real one: no Python code of ours is counted

import whorl  # noqa: E402 (it takes `time` as it finds it)
from benchmarks.apps import plain  # noqa: E402
from whorl.server import sweep  # noqa: E402

PERIOD_SECONDS = 86_400.0


async def app(scope: plain.Scope, receive: plain.Receive, send: plain.Send) -> None:
    """`plain.app`, and `/mark`, at which callgrind writes down what it has counted: it watches for getppid(2)."""
    if scope["type"] != "http" or scope["path"] != "/mark":
        await plain.app(scope, receive, send)
        return
    gc.collect()  # the same number of objects until the next collection, whatever went before
    os.getppid()
    await plain.answer(send, b"")


if __name__ == "__main__":
    for name in ("MIN_PERIOD_SECONDS", "MAX_PERIOD_SECONDS", "SHORTEST_PERIOD_SECONDS", "LONGEST_PERIOD_SECONDS"):
        if hasattr(sweep, name):  # an earlier commit may be counted
            setattr(sweep, name, PERIOD_SECONDS)
    loop, port, *files = sys.argv[1:]
    tls = dict(zip(("ssl_certfile", "ssl_keyfile"), files, strict=False))
    whorl.run(app, loop=loop, port=int(port), access_log=False, log_level="warning", **tls)
