"""wrk, and what it says: the load for most rows.

It runs on the load's core and keeps a number of connections busy for whole seconds. Its own check of the framing turns
a short response into a read error; every error that it counts is a fault.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault import Fault
from benchmarks.process import Server
from benchmarks.rows import Row

__all__ = ["Answer", "load"]

SCRIPT = Path(__file__).with_name("load.lua")
PATTERN_BYTES = 1024
"""Content from this size on is made of the applications' pattern, not passed as an argument."""
GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What came of a load. Attributes: requests: how many were answered; p50_us, p99_us: microseconds from a request
    to the end of its response."""

    requests: int
    per_second: float
    p50_us: float
    p99_us: float


def load(server: Server, row: Row, seconds: int, content_bytes: int, pause_ms: int = 0) -> Answer:
    """Run wrk against a server.

    Args:
        server: what is under load.
        row: what is asked, on how many connections.
        seconds: how long.
        content_bytes: how long the content of each response must be.
        pause_ms: how long, in the mean, each connection waits between a response and its next request.

    Raises:
        Fault: a connection failed, a status was wrong, or a response was short.
    """
    request = row.request
    content = request.content
    words = ["wrk", "-t1", f"-c{row.connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    for name, value in request.fields:
        words += ["-H", f"{name}: {value}"]
    text = content.decode("ascii") if len(content) < PATTERN_BYTES else ""
    scheme = "http" if server.client_context is None else "https"
    words += [f"{scheme}://127.0.0.1:{server.port}{request.path}", "--"]
    words += [request.method, str(len(content)), text, str(row.pipeline), str(pause_ms)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False)
    if done.returncode:
        raise Fault(f"{server.contender}: wrk said {(done.stderr or done.stdout).strip()[-200:]}")
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    errors = {kind: told[kind] for kind in ("connect", "read", "write", "status", "timeout") if told[kind]}
    if errors:
        raise Fault(f"{server.contender}: errors {errors} beside {told['requests']} requests")
    if not told["requests"]:
        raise Fault(f"{server.contender}: not one response within {seconds} s")
    if told["bytes"] < told["requests"] * content_bytes:
        raise Fault(f"{server.contender}: {told['requests']} responses had only {told['bytes']} bytes")
    return Answer(told["requests"], told["requests"] / told["microseconds"] * 1e6, told["p50"], told["p99"])
