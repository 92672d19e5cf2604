"""The files in deploy/: their own programs accept them, and their numbers agree with one another and with Whorl's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whorl import Config
from whorl.server.drain import CANCEL_SECONDS

DEPLOY = Path(__file__).parents[1] / "deploy"


def accepted(*words: str | Path, file: str) -> None:
    """Run a check of somebody else's; where there is no such program, skip and say so. Nothing that it says, a warning
    included, may be about this file."""
    program = shutil.which(str(words[0])) or shutil.which(str(words[0]), path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"NOT CHECKED HERE: {words[0]} is not installed")
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, timeout=30)
    said = [line for line in (done.stdout + done.stderr).splitlines() if file in line and "is ok" not in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert not said


def longest_end_seconds(graceful_seconds: float) -> float:
    """How long an orderly end takes at most: docs/deployment.md, Shutdown."""
    return graceful_seconds + CANCEL_SECONDS + max(graceful_seconds, 5.0) + 15.0


def kubernetes() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    deployment, _ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return dict(deployment["spec"]["template"]["spec"])


def test_the_units_are_accepted(tmp_path: Path) -> None:
    """The program that they start is not where they say, here."""
    for name in ("app.service", "app.socket"):
        text = (DEPLOY / name).read_text().replace("/srv/app/.venv/bin/whorl", sys.executable)
        (tmp_path / name).write_text(text)
    accepted("systemd-analyze", "verify", "--man=no", tmp_path / "app.service", tmp_path / "app.socket", file="/app.s")


def test_systemd_kills_after_the_longest_orderly_end() -> None:
    text = (DEPLOY / "app.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert found
    graceful_seconds = Config(None).timeout_graceful_shutdown
    assert graceful_seconds is not None
    assert int(found[1]) > longest_end_seconds(graceful_seconds)


def test_kubernetes_kills_after_the_longest_orderly_end() -> None:
    pod = kubernetes()
    (container,) = pod["containers"]
    words = container["args"]
    graceful_seconds = float(words[words.index("--timeout-graceful-shutdown") + 1])
    sleep_seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > sleep_seconds + longest_end_seconds(graceful_seconds)


def test_a_pod_is_taken_out_before_it_is_restarted() -> None:
    (container,) = kubernetes()["containers"]
    ready, alive = (container[name] for name in ("readinessProbe", "livenessProbe"))
    assert ready["periodSeconds"] * ready["failureThreshold"] < alive["periodSeconds"] * alive["failureThreshold"]


def test_the_image_starts_what_the_pod_starts() -> None:
    (container,) = kubernetes()["containers"]
    command = (DEPLOY / "Dockerfile").read_text().split("\nCMD ")[1].replace("\\\n", "")
    assert re.findall(r'"([^"]*)"', command) == container["args"]


@pytest.mark.parametrize("name", ["app.service", "kubernetes.yaml"])
def test_the_commands_are_understood(name: str) -> None:
    """Every option exists and takes what it is given."""
    if name == "app.service":
        line = next(line for line in (DEPLOY / name).read_text().splitlines() if line.startswith("ExecStart="))
        words = line.split()[1:]
    else:
        words = kubernetes()["containers"][0]["args"][1:]
    words = [sys.executable, "-m", "whorl", *words, "--check-config"]
    assert subprocess.run(words, capture_output=True, timeout=30).returncode == 0


def test_the_proxies_let_go_first() -> None:
    found = re.search(r"keepalive_timeout (\d+)s", (DEPLOY / "nginx.conf").read_text())
    assert found
    ours = Config(None).timeout_keep_alive
    assert ours is not None
    assert int(found[1]) < ours


def test_nginx_accepts_its_part(tmp_path: Path) -> None:
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path};\n"
        f"include {DEPLOY}/nginx.conf; }}\n"
    )
    accepted("nginx", "-t", "-c", whole, file="deploy/nginx.conf")


def test_haproxy_accepts_its_part() -> None:
    accepted("haproxy", "-c", "-f", DEPLOY / "haproxy.cfg", file="haproxy.cfg")
