"""Build Whorl's wheels, install them into fresh environments, and have each serve one request.

`make package` checks what no test in the checkout can: that a wheel holds everything, that it installs with nothing but
click, that the command works with and without the extras, and that a build without instructions compiles where it can.
`make smoke` (`--smoke`) checks the pure wheel without extras alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 30.0
PURE = "pure Python"


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        pure = build(directory / "pure", "0")
        serve_from(directory / "plain", str(pure), "asyncio", PURE)
        if sys.argv[1:] == ["--smoke"]:
            return
        serve_from(directory / "standard", f"{pure}[standard]", "uvloop", PURE)
        default = build(directory / "default", "")
        serve_from(directory / "compiled", str(default), "asyncio", "compiled: " if can_compile() else PURE)
        fallen_back = build(directory / "fallen back", "", CC="false")
        assert fallen_back.name == pure.name, fallen_back
        print(f"{fallen_back.name} is what comes of a compiler that fails")


def can_compile() -> bool:
    """Whether README.md promises that the modules are compiled here."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return sys.platform == "linux" and shutil.which("cc") is not None and headers.is_file()


def build(directory: Path, compile_word: str, **variables: str) -> Path:
    """A wheel, by what WHORL_COMPILE and other variables say."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = {**os.environ, "WHORL_COMPILE": compile_word, **variables}
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", directory, ROOT], check=True, env=environment)
    (wheel,) = directory.glob("whorl-*.whl")
    return wheel


def serve_from(environment: Path, requirement: str, loop: str, kind: str) -> None:
    """Install into a fresh environment, serve the example with `auto`, and see which loop it took.

    Args:
        environment: the folder for it.
        requirement: what is installed.
        loop: what `auto` is to find.
        kind: how the last line of `whorl --version` begins.
    """
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", requirement], check=True)
    version = subprocess.run(
        [python.with_name("whorl"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert version.splitlines()[-1].startswith(kind), version
    server = subprocess.Popen(
        [python.with_name("whorl"), "hello:app", "--app-dir", ROOT / "examples", "--port", "0"],
        cwd=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        found = re.search(r"http://[\d.:]+", line)
        assert found, line
        assert f"loop {loop}" in line, line
        with urllib.request.urlopen(found[0], timeout=PATIENCE_SECONDS) as response:
            assert response.read() == b"Hello from Whorl\n"
    finally:
        server.terminate()
        status = server.wait(PATIENCE_SECONDS)
    assert status == 0, status
    print(f"{Path(requirement).name} ({kind.strip(': ')}) serves on {loop}")


if __name__ == "__main__":
    main()
