"""Serves an echo on each event loop, has Autobahn's suite judge it, and writes what it found.

    python -m conformance.websocket [--groups core,limits,deflate] [--loops asyncio,uvloop]

`make conformance-ws` calls this. See README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version

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
        return autobahn.main([*words, "--note", facts(options.loops.split(","))])


def facts(loops: list[str]) -> str:
    """What is run: Whorl, Python, the loops and the day."""
    words = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(words, capture_output=True, text=True, cwd=SUMMARY.parent, check=False).stdout.strip()
    installed = [f"{loop} {version(loop)}" for loop in loops if loop != "asyncio"]
    today = datetime.now(UTC).date().isoformat()
    return ", ".join((f"Whorl {commit or 'of no commit'}", f"CPython {python_version()}", *installed, today))


if __name__ == "__main__":
    sys.exit(main())
