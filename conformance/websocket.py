"""Serves an echo on each event loop, has Autobahn's suite judge it, and writes what it found.

    python -m conformance.websocket [--groups core,limits,deflate] [--loops asyncio,uvloop]

`make conformance-ws` calls this. See README.md.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from conformance import autobahn
from tests.harness import serve

SUMMARY = Path(__file__).with_name("autobahn.md")


def main() -> int:
    """Serve, run, and say by the exit status whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default="core,limits,deflate")
    parser.add_argument("--loops", default="asyncio,uvloop")
    parser.add_argument("--cache", default=".autobahn")
    parser.add_argument("--summary", type=Path, default=SUMMARY)
    options = parser.parse_args()
    with ExitStack() as stack:
        servers = []
        for loop in options.loops.split(","):
            process = stack.enter_context(serve("conformance.echo:app", loop=loop, access_log=False))
            servers.append(f"{loop}=ws://127.0.0.1:{process.port}")
        words = [*servers, "--groups", options.groups, "--cache", options.cache, "--summary", str(options.summary)]
        return autobahn.main(words)


if __name__ == "__main__":
    sys.exit(main())
