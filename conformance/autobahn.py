"""Runs Autobahn's fuzzing client against WebSocket servers that echo, and judges what it found.

    python conformance/autobahn.py --groups core,limits asyncio=ws://127.0.0.1:9001 uvloop=ws://127.0.0.1:9002

The suite needs Python 2.7, which pyenv has; it is installed into a folder of its own and found there the next time. It
ends with status 0 whatever the servers did, so its index is what is judged, by the bars in `GROUPS`. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict

SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv<20.22"  # the last that makes an environment for Python 2.7

GOOD_BEHAVIOURS = ("OK", "NON-STRICT", "INFORMATIONAL")
GOOD_CLOSES = ("OK", "INFORMATIONAL")

# Of each kind of message in 12.* and 13.*, those numbers: short and long, whole and in fragments, in two minutes.
REDUCED = (1, 3, 5, 7, 11, 13)

NOTE = "note.txt"
"""Beside the suite's report of a group: what was run."""


class Verdict(TypedDict):
    """What the suite says of one case."""

    behavior: str
    behaviorClose: str


Index: TypeAlias = dict[str, dict[str, Verdict]]


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are run together.

    Attributes:
        title: for the summary.
        patterns: their numbers, as the suite wants to be told.
        cases: how many there are.
        least_ok: how many must be OK. None may fail, in any group.
    """

    title: str
    patterns: tuple[str, ...]
    cases: int
    least_ok: int


DEFLATE_KINDS = ("12.1", "12.2", "12.3", "12.4", "12.5", "13.1", "13.2", "13.3", "13.4", "13.5", "13.6", "13.7")

GROUPS = {
    # 7.1.6, 7.13.1 and 7.13.2 are informational: nothing is right or wrong there. 244 is all of the others.
    "core": Group("1 to 7, 10: the protocol", tuple(f"{chapter}.*" for chapter in (1, 2, 3, 4, 5, 6, 7, 10)), 247, 244),
    "limits": Group("9: long messages, many messages", ("9.*",), 54, 54),
    "deflate": Group("12, 13: permessage-deflate", ("12.*", "13.*"), 216, 216),
    "deflate-reduced": Group(
        "12, 13: permessage-deflate, a third",
        tuple(f"{kind}.{number}" for kind in DEFLATE_KINDS for number in REDUCED),
        72,
        72,
    ),
}


class Unable(Exception):
    """The suite cannot be run; the text says why, and what to do."""


def find_python27() -> str:
    """An interpreter that can carry the suite: on the PATH, or pyenv's."""
    candidates = ["python2.7"]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        candidates += map(str, sorted(Path(root).glob("versions/2.7.*/bin/python")))
    for candidate in candidates:
        # pyenv puts a `python2.7` on the PATH that only says that none was chosen.
        if shutil.which(candidate) and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    raise Unable("No Python 2.7 was found: install one with `pyenv install 2.7.18`.")


def install_suite(cache: Path) -> Path:
    """The suite's command; installed first where it is not there yet, which takes half a minute and a C compiler."""
    command = cache / "venv" / "bin" / "wstest"
    mark = cache / "installed"
    if mark.exists() and mark.read_text() == SUITE:
        return command
    python = find_python27()
    boot = str(cache / "boot")
    virtual = str(cache / "venv")
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    with (cache / "install.log").open("w") as log:
        for words, path in (
            ([python, "-m", "pip", "install", "--target", boot, VIRTUALENV], ""),
            ([python, "-m", "virtualenv", virtual], boot),
            ([f"{virtual}/bin/pip", "install", SUITE], ""),
        ):
            environment = {**os.environ, "PYTHONPATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            if subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, env=environment).returncode:
                raise Unable(f"Autobahn's suite cannot be installed: see {log.name}.")
    mark.write_text(SUITE)
    return command


def run_group(
    command: Path, cache: Path, name: str, servers: dict[str, str], timeout_seconds: float, note: str
) -> Index:
    """Run a group's cases against all servers, one after another.

    Args:
        command: the suite's.
        cache: where its reports go.
        name: of the group.
        servers: their URLs by their names.
        timeout_seconds: how long all of it may take.
        note: what the servers are, kept with the report.

    Returns:
        By server, what the suite says of each case.
    """
    reports = cache / "reports" / name
    shutil.rmtree(reports, ignore_errors=True)
    specification = {
        "outdir": str(reports),
        "options": {"failByDrop": False},
        "servers": [{"agent": server, "url": url} for server, url in servers.items()],
        "cases": GROUPS[name].patterns,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (cache / f"{name}.json").write_text(json.dumps(specification))
    with (cache / f"{name}.log").open("w") as log:
        words = [str(command), "-m", "fuzzingclient", "-s", str(cache / f"{name}.json")]
        try:
            subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, timeout=timeout_seconds, check=True)
        except subprocess.SubprocessError as error:
            raise Unable(f"Autobahn's suite did not come to its end ({error}): see {log.name}.") from None
    index = reports / "index.json"
    if not index.exists():
        raise Unable(f"Autobahn's suite wrote no index: see {log.name}.")
    (reports / NOTE).write_text(note, encoding="utf-8")
    verdicts: Index = json.loads(index.read_text())
    return verdicts


def latest(cache: Path, servers: Iterable[str]) -> dict[str, tuple[Index, str]]:
    """By group, what its latest run found of all these servers, and what they were. A group may take an hour: it need
    not be run again for a page that tells of another."""
    found = {}
    for name in GROUPS:
        index, note = (cache / "reports" / name / file for file in ("index.json", NOTE))
        if index.exists() and note.exists():
            verdicts: Index = json.loads(index.read_text())
            if verdicts.keys() >= set(servers):
                found[name] = verdicts, note.read_text(encoding="utf-8")
    return found


def faults(group: Group, verdicts: dict[str, Verdict]) -> list[str]:
    """What keeps a server from passing a group; nothing if it passes."""
    found = [
        f"{case} is {verdict['behavior']}, its close {verdict['behaviorClose']}"
        for case, verdict in sorted_cases(verdicts)
        if verdict["behavior"] not in GOOD_BEHAVIOURS or verdict["behaviorClose"] not in GOOD_CLOSES
    ]
    if len(verdicts) != group.cases:
        found.append(f"{len(verdicts)} cases were run, not {group.cases}")
    ok = count(verdicts, "OK")
    if ok < group.least_ok:
        found.append(f"{ok} cases are OK, not {group.least_ok}")
    return found


def count(verdicts: dict[str, Verdict], behaviour: str) -> int:
    return sum(verdict["behavior"] == behaviour for verdict in verdicts.values())


def sorted_cases(verdicts: dict[str, Verdict]) -> list[tuple[str, Verdict]]:
    """The cases in the order of their numbers."""
    return sorted(verdicts.items(), key=lambda item: [int(number) for number in item[0].split(".")])


def summary(results: dict[str, tuple[Index, str]], servers: Iterable[str], page: str = "") -> str:
    """The page that says how it went: what the latest run of each group found, and what was run.

    Args:
        results: what is known of the groups that were run here.
        servers: their names.
        page: as it was. Its lines about other groups stay: they may have been run on another machine.
    """
    old = page.splitlines()
    titles = [group.title for name, group in GROUPS.items() if name not in results]
    lines = [
        "# WebSocket conformance: Autobahn",
        "",
        f"`{SUITE}`, its fuzzing client against a server that echoes. How to run it: [README.md](README.md).",
        "",
        "| cases | server | OK | non-strict | informational | failed | closes OK | bar |",
        "|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for name, (index, _) in results.items():
        group = GROUPS[name]
        for server in servers:
            verdicts = index.get(server, {})
            good = [count(verdicts, behaviour) for behaviour in GOOD_BEHAVIOURS]
            closes = sum(verdict["behaviorClose"] in GOOD_CLOSES for verdict in verdicts.values())
            counts = " | ".join(map(str, (*good, len(verdicts) - sum(good), closes)))
            bar = "missed" if faults(group, verdicts) else "met"
            lines.append(f"| {group.title} | {server} | {counts} | {group.least_ok} of {group.cases}: {bar} |")
            notes += [
                f"- {server}, {case}: {verdict['behavior']}, its close {verdict['behaviorClose']}"
                for case, verdict in sorted_cases(verdicts)
                if verdict["behavior"] != "OK" or verdict["behaviorClose"] != "OK"
            ]
    lines += [line for title in titles for line in old if line.startswith(f"| {title} | ")]
    lines += ["", "What was run:", "", *(f"- {GROUPS[name].title}: {note}" for name, (_, note) in results.items())]
    lines += [line for title in titles for line in old if line.startswith(f"- {title}: ")]
    if notes:
        lines += ["", "Cases that are not plainly OK:", "", *notes]
    return "\n".join(lines) + "\n"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="NAME=URL", help="a server that echoes text and bytes")
    parser.add_argument("--groups", default="core,limits,deflate", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--cache", type=Path, default=Path(".autobahn"), help="where the suite and its reports are")
    parser.add_argument("--summary", type=Path, help="the page to write, with the latest of all groups")
    parser.add_argument("--note", default="a server", help="what is run, for that page")
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="how long one group may take")
    options = parser.parse_args(arguments)
    options.groups = options.groups.split(",")
    for name in options.groups:
        if name not in GROUPS:
            parser.error(f"{name} is no group: there are {', '.join(GROUPS)}")
    if not all("=ws" in server for server in options.servers):
        parser.error("say each server as NAME=ws://HOST:PORT")
    options.servers = dict(server.split("=", 1) for server in options.servers)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, write the summary, and say by the exit status whether all servers meet all bars."""
    options = parse_arguments(arguments)
    cache = options.cache.resolve()
    passed = True
    try:
        command = install_suite(cache)
        for name in options.groups:
            index = run_group(command, cache, name, options.servers, options.timeout, options.note)
            for server in options.servers:
                verdicts = index.get(server, {})
                found = faults(GROUPS[name], verdicts)
                passed = passed and not found
                print(f"{name}, {server}: {count(verdicts, 'OK')} of {GROUPS[name].cases} OK", *found, sep="\n  ")
    except Unable as error:
        print(error, file=sys.stderr)
        return 2
    if options.summary:
        page = options.summary.read_text(encoding="utf-8") if options.summary.exists() else ""
        options.summary.write_text(summary(latest(cache, options.servers), options.servers, page), encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
