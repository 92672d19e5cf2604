"""Check that the types of Whorl's public names are complete: `make types`.

basedpyright reports on every module of a package. Only what `whorl` exports is a promise, so only that can fail here.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import whorl

ROOT = Path(__file__).parents[1]


def main() -> None:
    command = [sys.executable, "-m", "basedpyright", "--ignoreexternal", "--verifytypes", "whorl", "--outputjson"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}  # it does not find an editable install
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    symbols = json.loads(run.stdout)["typeCompleteness"]["symbols"]
    names = {symbol["name"] for symbol in symbols}
    public = {f"whorl.{name}" for name in whorl.__all__ if not name.startswith("_")}
    for name in whorl.__all__:
        value = getattr(whorl, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            public.add(f"{value.__module__}.{value.__qualname__}")
    public.add("whorl.asgi.shutdown.Shutdown")
    absent = public - names
    assert not absent, f"basedpyright does not know {sorted(absent)}: {run.stderr}"
    prefixes = tuple(f"{name}." for name in public)
    incomplete = [
        symbol
        for symbol in symbols
        if not symbol["isTypeKnown"] and (symbol["name"] in public or symbol["name"].startswith(prefixes))
    ]
    for symbol in incomplete:
        print(symbol["name"], *(fault["message"] for fault in symbol["diagnostics"]), sep=": ", file=sys.stderr)
    sys.exit(bool(incomplete))


if __name__ == "__main__":
    main()
