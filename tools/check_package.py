"""Build Whorl's wheel, install it into fresh environments, and have it serve one request.

Run by `make package`. Checks what no test in the checkout can: that the wheel holds everything, that it installs with
nothing but click, and that the command works with and without the extras.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 30.0


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", directory, ROOT], check=True)
        (wheel,) = directory.glob("whorl-*.whl")
        for extras, loop in (("", "asyncio"), ("[standard]", "uvloop")):
            serve_from(directory, f"{wheel}{extras}", loop)
            print(f"{wheel.name}{extras} serves on {loop}")


def serve_from(directory: Path, requirement: str, loop: str) -> None:
    """Install into a fresh environment, serve the example with `auto`, and see which loop it took."""
    environment = directory / loop
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", requirement], check=True)
    server = subprocess.Popen(
        [python.with_name("whorl"), "hello:app", "--app-dir", ROOT / "examples", "--port", "0"],
        cwd=directory,
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


if __name__ == "__main__":
    main()
