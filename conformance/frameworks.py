"""Runs gunicorn's suite for ASGI frameworks against Whorl, and judges what it found.

    python conformance/frameworks.py --loops asyncio,uvloop

The suite serves one application for each of six frameworks on the ports 8001 to 8006, and asks each of them the same.
It comes with gunicorn's source, which is downloaded into a folder of its own, with an environment for the frameworks;
nothing of it is kept in the project. The containers in which it would start gunicorn are not used. See README.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
SOURCE = "gunicorn==27.0.1"
FOLDER = "tests/docker/asgi_framework_compat"

# Framework -> its application, the port where the suite looks for it.
APPLICATIONS = {
    "django": ("asgi:application", 8001),
    "fastapi": ("app:app", 8002),
    "starlette": ("app:app", 8003),
    "quart": ("app:app", 8004),
    "litestar": ("app:app", 8005),
    "blacksheep": ("app:app", 8006),
}

# 446 tests, of which the suite itself skips one for each framework.
CASES = 446
BAR = 440
START_SECONDS = 20.0


class Unable(Exception):
    """The suite cannot be run; the text says why."""


def run(log: Path, words: Iterable[object], what: str) -> None:
    """Run a command, its output in a file.

    Raises:
        Unable: it failed; `what` says what does not work then.
    """
    with log.open("ab") as output:
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if subprocess.run([*map(str, words)], stdout=output, stderr=subprocess.STDOUT, env=environment).returncode:
            raise Unable(f"{what}: see {log}.")


def install(cache: Path) -> tuple[Path, Path]:
    """The suite's folder and the interpreter to run it with; made first where they are not there yet.

    The environment has this checkout's Whorl, so a change is tested without installing it again.
    """
    python, mark, log = cache / "venv" / "bin" / "python", cache / "installed", cache / "install.log"
    found = list(cache.glob(f"gunicorn-*/{FOLDER}"))
    if found and mark.exists() and mark.read_text() == f"{SOURCE} {ROOT}":
        return found[0], python
    cache.mkdir(parents=True, exist_ok=True)
    run(log, [sys.executable, "-m", "venv", "--clear", cache / "venv"], "No environment could be made")
    words = [python, "-m", "pip", "download", "--no-deps", "--no-binary", "gunicorn", "--dest", cache, SOURCE]
    run(log, words, "gunicorn's source cannot be downloaded")
    (archive,) = cache.glob("gunicorn-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(cache, [member for member in source if FOLDER in member.name], filter="data")
    (suite,) = cache.glob(f"gunicorn-*/{FOLDER}")
    wanted = [suite / "requirements.txt", *suite.glob("frameworks/*/requirements.txt")]
    words = [python, "-m", "pip", "install", "--editable", f"{ROOT}[standard]", "rloop"]
    run(log, [*words, *(word for path in wanted for word in ("-r", path))], "The frameworks cannot be installed")
    mark.write_text(f"{SOURCE} {ROOT}")
    return suite, python


@contextmanager
def served(suite: Path, python: Path, framework: str, host: str, loop: str, log: Path) -> Iterator[None]:
    """Whorl with the suite's application for a framework, until the block ends; it must leave in order then."""
    app, port = APPLICATIONS[framework]
    words = [str(python), "-m", "whorl", app, "--host", host, "--port", str(port), "--loop", loop]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=suite / "frameworks" / f"{framework}_app", stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://{host}:{port}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unable(f"Whorl does not serve {framework}'s application: see {log}.")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        status = process.wait(60)
    if status:
        raise Unable(f"Whorl left {framework}'s application with status {status}: see {log}.")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run_suite(suite: Path, python: Path, host: str, loop: str, cache: Path) -> dict[str, str]:
    """Serve all applications on one loop, and run the suite.

    Returns:
        The tests, and what became of each: "passed", "failed", "error" or "skipped".
    """
    label = loop.partition(":")[0]
    report = cache / f"{label}.xml"
    report.unlink(missing_ok=True)
    with ExitStack() as servers:
        for framework in APPLICATIONS:
            servers.enter_context(served(suite, python, framework, host, loop, cache / f"{label}-{framework}.log"))
        words = [str(python), "-m", "pytest", "-q", "--skip-docker-check", "-p", "no:cacheprovider"]
        words += ["--junit-xml", str(report)]
        with (cache / f"{label}.log").open("wb") as output:
            environment = {**os.environ, "DOCKER_HOST_IP": host}
            subprocess.run(words, cwd=suite, stdout=output, stderr=subprocess.STDOUT, env=environment)
    if not report.exists():
        raise Unable(f"The suite wrote no report: see {cache / f'{label}.log'}.")
    return dict(outcomes(report))


def outcomes(report: Path) -> Iterator[tuple[str, str]]:
    """What a report in JUnit's form says of each test."""
    words = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for case in ElementTree.parse(report).iter("testcase"):
        found = [words[child.tag] for child in case if child.tag in words]
        yield f"{case.get('classname')}::{case.get('name')}", found[0] if found else "passed"


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loops", default="auto", help="one after another, for example asyncio,uvloop")
    parser.add_argument("--host", default="127.0.0.1", help="the address whose ports 8001 to 8006 are free")
    parser.add_argument("--cache", type=Path, default=Path(".frameworks"), help="where the suite and its reports are")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit status whether the bar is met on each loop."""
    options = parse_arguments(arguments)
    cache = options.cache.resolve()
    passed = True
    try:
        suite, python = install(cache)
        for loop in options.loops.split(","):
            found = run_suite(suite, python, options.host, loop, cache)
            counts = Counter(found.values())
            good = counts["passed"] >= BAR and len(found) == CASES and not counts["failed"] + counts["error"]
            passed = passed and good
            print(f"{loop}, {len(found)} tests: {said(counts)}")
            for name, outcome in found.items():
                if outcome in ("failed", "error"):
                    print(f"  {outcome}: {name}")
            files = Counter(name.split(".")[1] for name, outcome in found.items() if outcome in ("failed", "error"))
            if files:
                print(f"{loop}, not passed by file: {said(files)}")
    except Unable as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
