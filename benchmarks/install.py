"""What the benchmark needs on this machine: an environment with the other servers in it, wrk, nginx and the floor.

`python3 -m benchmarks.install [needs …]` makes the environment if it is not there and prints the path of its Python.
PYTHON= chooses the interpreter; without it, it is 3.13 if the machine has it, on the PATH or through pyenv, else the
newest that it has. A need is one of `peers` (the default) and `valgrind`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fault import CannotRun

__all__ = ["PEERS", "Place", "main"]

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-bench"
PREFERRED = "3.13"
VERSIONS = (PREFERRED, "3.14", "3.12", "3.11")
"""In the order in which they are looked for."""
UVLOOP = "uvloop==0.22.1"
# The other servers, and what rows and servers are made of.
PEERS = (
    "uvicorn",
    "httptools",
    "zttp",
    "granian",
    "gunicorn",
    "gunicorn_h1c",
    "hypercorn",
    "websockets",
    "wsproto",
    "fastapi",
    "django",
)
# Whorl's own needs come first: it is measured from the checkout and is not installed.
PACKAGES = ("click", UVLOOP, *PEERS, "matplotlib")
VERSION_CODE = "import sys; print('%d.%d' % sys.version_info[:2])"


class Place:
    """Where the benchmark keeps its things, for one version of Python.

    Args:
        version: such as "3.13".
    """

    def __init__(self, version: str) -> None:
        self.folder = HOME / version
        self.python = self.folder / "bin" / "python"
        self.newest_uvloop = self.folder / "newest-uvloop"
        self.compiled = self.folder / "compiled"
        self.floor = HOME / "floor"
        self.nginx = HOME / "nginx" / "usr" / "sbin" / "nginx"
        self.results = self.folder / "results.json"

    @classmethod
    def here(cls) -> Place:
        """That of the interpreter which runs this."""
        return cls(f"{sys.version_info[0]}.{sys.version_info[1]}")


def main(needs: Sequence[str]) -> Path:
    """Install what is missing.

    Returns:
        the Python of the environment.
    """
    interpreter = choose_interpreter()
    version = version_of(interpreter)
    assert version is not None
    place = Place(version)
    if not place.python.exists():
        tell(f"making {place.folder.relative_to(ROOT)}")
        run(interpreter, "-m", "venv", "--clear", str(place.folder))
    if "valgrind" in needs:
        install_packages(place, "counting", ("click", UVLOOP))
        need("valgrind", "valgrind")
    else:
        packages = (*PACKAGES, "zuvloop") if version >= "3.14" and len(version) == 4 else PACKAGES
        install_packages(place, "peers", packages)
        need("wrk", "wrk")
        need("openssl", "openssl")
        install_nginx(place)
        compile_whorl(place)
        build_floor(place)
    return place.python


def choose_interpreter() -> str:
    """What PYTHON= says, else the first of `VERSIONS` that this machine has."""
    wanted = os.environ.get("PYTHON", "")
    if wanted:
        found = shutil.which(wanted)
        if found is None or version_of(found) is None:
            raise CannotRun(f'PYTHON: "{wanted}" is no Python that runs: write the path of one, 3.11 or newer')
        return found
    for version in VERSIONS:
        of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        for path in (shutil.which(f"python{version}"), *map(str, of_pyenv)):
            if path and version_of(path) == version:
                return path
    return sys.executable


def version_of(interpreter: str) -> str | None:
    """Its version, such as "3.13"; None if it does not run. (pyenv leaves commands that only say so.)"""
    done = subprocess.run([interpreter, "-c", VERSION_CODE], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def install_packages(place: Place, name: str, packages: Sequence[str]) -> None:
    """Install once; a stamp remembers what."""
    stamp = place.folder / f"{name}.stamp"
    if stamp.exists() and stamp.read_text().split() == list(packages):
        return
    tell(f"installing {', '.join(packages)}")
    pip = (str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, *packages)
    if name == "peers":
        shutil.rmtree(place.newest_uvloop, ignore_errors=True)
        run(*pip, "--no-deps", "--target", str(place.newest_uvloop), "uvloop")
    stamp.write_text("\n".join(packages))


def compile_whorl(place: Place) -> None:
    """Whorl as it stands here, with its hot modules compiled; anew after each change. Without a compiler there is no
    such contender."""
    stamp = place.folder / "compiled.stamp"
    sources = [ROOT / "pyproject.toml", *(ROOT / "tools").glob("*.py"), *(ROOT / "src").rglob("*.py")]
    if stamp.exists() and stamp.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(place.compiled, ignore_errors=True)
    if shutil.which("cc") is None:
        tell("no cc, so no compiled Whorl")
        return
    tell("compiling Whorl")
    pip = (str(place.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run("env", "WHORL_COMPILE=1", *pip, "--no-deps", "--target", str(place.compiled), str(ROOT))
    stamp.touch()


def need(program: str, package: str) -> None:
    """A program of Debian's."""
    if shutil.which(program) is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CannotRun(f"{program} is missing: install it, on Debian with `apt-get install {package}` as root")
    tell(f"installing {package}")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)


def install_nginx(place: Place) -> None:
    """Debian's nginx, unpacked only: installing it would start a service. Without apt-get there is no such floor."""
    if place.nginx.exists() or shutil.which("apt-get") is None:
        return
    tell("unpacking nginx")
    place.nginx.parents[2].mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", "nginx"]):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        packages = list(Path(folder).glob("nginx_*.deb"))
        if packages:
            run("dpkg", "-x", str(packages[0]), str(place.nginx.parents[2]))
        else:
            tell(f"no nginx: {done.stderr.strip()[-200:]}")


def build_floor(place: Place) -> None:
    source = Path(__file__).with_name("floor.c")
    compiler = shutil.which("cc")
    if compiler is None:
        tell("no cc, so no floor")
    elif not place.floor.exists() or place.floor.stat().st_mtime < source.stat().st_mtime:
        run(compiler, "-O2", "-o", str(place.floor), str(source))


def run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise CannotRun(f"`{' '.join(command)}` failed:\n{done.stdout.strip()[-2000:]}")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except CannotRun as error:
        sys.exit(f"error: {error}")
