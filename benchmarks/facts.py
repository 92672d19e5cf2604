"""What was measured, and on what: the lines above the figures."""

from __future__ import annotations

import datetime
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import ROOT, installed
from benchmarks.cores import Cores
from benchmarks.install import PEERS

__all__ = ["commit", "facts"]


def facts(rounds: int, seconds: int, cores: Cores, nginx: Path | None) -> dict[str, str]:
    """Names and texts, in the order in which they are shown."""
    versions = [f"{name} {installed(name)}" for name in PEERS if installed(name)]
    tools = [first_line(["wrk", "-v"]).split(" Copyright")[0]]
    if nginx is not None:
        tools.append(first_line([str(nginx), "-v"]).removeprefix("nginx version: "))
    return {
        "Date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Whorl": commit(ROOT),
        "Interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "Peers": ", ".join(versions),
        "Tools": ", ".join(tools),
        "Machine": f"{processor()}, {cores_text(cores)}, Linux {platform.release()}",
        "Rounds": f"{rounds} interleaved, {seconds} s each",
    }


def commit(folder: Path) -> str:
    """The commit of a checkout, and whether it was changed since."""
    head = first_line(["git", "-C", str(folder), "rev-parse", "--short", "HEAD"])
    changed = first_line(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no", "src"])
    return f"{head}{' with changes' if changed else ''}"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def cores_text(cores: Cores) -> str:
    return f"server on CPU {cores.server}, load on CPU {cores.load}"


def first_line(command: Sequence[str]) -> str:
    """What a program prints first, wherever it prints it; empty if there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""
