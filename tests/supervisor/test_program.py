"""An application finds in a worker, while it is imported, what it would find in a single process. And no process
which was started to serve a program starts the program again."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import ROOT, Process, environment_here, read_response
from tests.supervisor.processes import children, lines, until
from whorl.supervisor.program import interpreter_options

SEEN = """
import __main__, json, os, sys
spec = getattr(__main__, "__spec__", None)
names = (name for name in dir(sys.flags) if name[0] != "_")
flags = {name: getattr(sys.flags, name) for name in names if not callable(getattr(sys.flags, name))}
print("SEEN", json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": flags, "warnings": sys.warnoptions,
    "x": sys._xoptions, "file": getattr(__main__, "__file__", None), "package": getattr(__main__, "__package__", None),
    "spec": spec and [spec.name, spec.origin], "name": __main__.__name__, "is_buffered": sys.stdout.line_buffering,
    "variables": sorted(name for name in os.environ if name.startswith("_WHORL")),
    "has_builtins": hasattr(__main__, "__builtins__"),
}), flush=True)

def square(number):
    return number * number

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    content = b"%d" % os.getpid()
    if scope["path"] == "/spawn":
        import multiprocessing
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            content = b"%d" % pool.apply(square, (7,))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})
"""
PROGRAM = """
import sys, whorl
from options import OPTIONS
print("program", __name__, flush=True)
if __name__ == "__main__":
    whorl.run("seen:app", **OPTIONS)
"""
OPTIONS_MODULE = """
import json, os
names = [name for name in os.environ if name.startswith("WHORL_")]
OPTIONS = {name[6:].lower(): json.loads(os.environ[name]) for name in names if name != "WHORL_LOOP"}
OPTIONS["loop"] = os.environ.get("WHORL_LOOP", "auto")
"""
CONSOLE_SCRIPT = "import sys\nfrom whorl.cli.main import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
SHADOW = "print('SHADOW', flush=True)\nraise RuntimeError('not what was meant')\n"

MODES = {
    "one": {},
    "workers": {"WHORL_WORKERS": "2"},
    "preload": {"WHORL_WORKERS": "2", "WHORL_PRELOAD": "true"},
    "reload": {"WHORL_RELOAD": "true"},
}
SEVERAL = [mode for mode in MODES if mode != "one"]
STARTS = {
    "module": ["-m", "whorl", "seen:app", "--port", "0"],
    "options": ["-Pu", "-OO", "-X", "utf8=1", "-Xmine=7", "-W", "ignore::ImportWarning", "-m", "whorl", "seen:app"],
    "isolated": ["-I", "-m", "whorl", "seen:app", "--app-dir", "."],
    "script": ["bin/whorl", "seen:app", "--port", "0", "--app-dir", "."],
    "program": ["program.py", "an", "argument"],
    "program in a package": ["-m", "package.program"],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "seen.py").write_text(SEEN)
    (tmp_path / "options.py").write_text(OPTIONS_MODULE)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "whorl").write_text(CONSOLE_SCRIPT)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "program.py").write_text(PROGRAM)
    return tmp_path


@contextmanager
def start(
    words: Sequence[str | Path], cwd: Path, mode: str, variables: Mapping[str, str] | None = None
) -> Iterator[Process]:
    environment = {**environment_here(), "NO_COLOR": "1", "WHORL_PORT": "0", **MODES[mode], **(variables or {})}
    pipe = subprocess.PIPE
    popen = subprocess.Popen(
        words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    )
    process = Process(popen)
    process.listen()
    try:
        yield process
    finally:
        process.end()


def get(process: Process, path: str = "/") -> int:
    with process.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        status, _, content = read_response(client)
        assert status == 200
        return int(content)


def seen(words: Sequence[str], cwd: Path, mode: str) -> dict[str, object]:
    with start([sys.executable, *words], cwd, mode) as server:
        server.wait_for_line(" serves ")
        assert server.stop() == 0
    found = [json.loads(line.partition(" ")[2]) for line in server.stdout if line.startswith("SEEN")]
    assert found
    assert all(one == found[0] for one in found)
    return found[0]  # type: ignore[no-any-return]


class TestSeen:
    @pytest.mark.parametrize("how", STARTS)
    def test_the_same_as_in_one_process(self, project: Path, how: str) -> None:
        one = seen(STARTS[how], project, "one")
        for mode in SEVERAL if how in ("module", "program") else ["workers"]:
            assert seen(STARTS[how], project, mode) == one, mode

    def test_a_program_is_not_run_again_and_multiprocessing_finds_it(self, project: Path) -> None:
        with start([sys.executable, "program.py"], project, "workers") as server:
            server.wait_for_line(" serves ")
            assert [line for line in server.stdout if line.startswith("program")] == ["program __main__"]
            assert get(server, "/spawn") == 49
            assert server.wait_for_line("__mp_main__", "stdout")
            assert server.stop() == 0

    @pytest.mark.parametrize("mode", SEVERAL)
    def test_whorl_imports_nothing_from_the_current_directory(self, project: Path, mode: str) -> None:
        for name in ("base64", "pickle", "json", "importlib", "socket", "typing", "whorl"):
            (project / f"{name}.py").write_text(SHADOW)
        with start([sys.executable, *STARTS["script"]], project, mode) as server:
            server.wait_for_line(" serves ")
            assert "SHADOW" not in server.stdout
            assert server.stop() == 0


class TestOptions:
    @pytest.mark.parametrize(
        ("words", "options"),
        [
            ("python -m whorl -X", []),
            ("python program.py -O", []),
            ("python -Im whorl", ["-I"]),
            ("python -OOu -Xdev -X frozen_modules=off -Werror -W ignore -bb program", None),
            ("python -bXdev -i -x -B program", ["-bXdev", "-B"]),
            ("python --check-hash-based-pycs never -c -O", ["--check-hash-based-pycs", "never"]),
            ("python -", []),
            ("python -- -O", []),
            ("python", []),
        ],
    )
    def test_those_before_the_program(self, words: str, options: list[str] | None) -> None:
        expected = words.split()[1:-1] if options is None else options
        assert interpreter_options(words.split()) == expected


UNGUARDED = SEEN + "import whorl\nfrom options import OPTIONS\nwhorl.run('start:app', **OPTIONS)\n"
REFUSED = 'whorl.run was called by the application that it serves: put the call under if __name__ == "__main__"'


SPAWNS = """
async def app(scope, receive, send):
    import multiprocessing
    if scope["type"] == "http":
        child = multiprocessing.get_context("spawn").Process(target=square, args=(1,))
        child.start()
        child.join()
        await inner(scope, receive, send)
"""


class TestNested:
    @pytest.mark.parametrize("words", [["start.py"], ["-m", "whorl", "start:app"]])
    def test_one_process_without_the_guard(self, project: Path, loop_name: str, words: list[str]) -> None:
        self.check(project, words, "one", {"WHORL_LOOP": loop_name, "PYTHONPATH": str(ROOT)})

    @pytest.mark.parametrize("mode", SEVERAL)
    def test_several_without_the_guard(self, project: Path, mode: str) -> None:
        self.check(project, ["start.py"], mode)

    def check(self, project: Path, words: list[str], mode: str, variables: Mapping[str, str] | None = None) -> None:
        """The server that would run the program again refuses it in one line."""
        (project / "start.py").write_text(UNGUARDED)
        with start([sys.executable, *words], project, mode, variables) as server:
            if mode == "reload":
                server.wait_for_line("waiting for a change")
                assert server.stop() == 0
            else:
                assert server.wait() == 3
            assert len(lines(server, REFUSED)) == 1, server.stderr
            assert not lines(server, "Traceback")
            assert len([line for line in server.stdout if line.startswith("SEEN")]) <= 2

    def test_a_child_of_multiprocessing(self, project: Path) -> None:
        """The guard is missing, and the application is another module: the child is refused, and the server serves."""
        (project / "start.py").write_text(
            "import whorl\nfrom options import OPTIONS\nwhorl.run('seen:app', **OPTIONS)\n"
        )
        (project / "seen.py").write_text(SEEN.replace("async def app", "async def inner") + SPAWNS)
        with start([sys.executable, "start.py"], project, "workers") as server:
            server.wait_for_line(" serves ")
            pids = children(server)
            assert get(server) in pids
            assert server.wait_for_line("whorl.run was called in a child that multiprocessing starts")
            assert children(server) == pids
            assert server.stop() == 0


FROZEN = """#!{python}
import sys
sys.frozen, sys.executable = True, __file__
import multiprocessing.spawn
import whorl
from options import OPTIONS
{support}
print("program", sys.argv[1:2], flush=True)
if __name__ == "__main__":
    whorl.run("seen:app", **OPTIONS)
"""


class TestFrozen:
    """Whatever its command line, a frozen program runs from its beginning."""

    @pytest.mark.parametrize("mode", SEVERAL)
    @pytest.mark.parametrize("support", ["multiprocessing.spawn.freeze_support()", ""])
    def test_an_executable_that_is_the_program(self, project: Path, support: str, mode: str) -> None:
        program = project / "frozen"
        program.write_text(FROZEN.format(python=sys.executable, support=support))
        program.chmod(0o755)
        with start([program], project, mode, {"PYTHONPATH": str(project)}) as server:
            server.wait_for_line(" serves ")
            assert get(server) in children(server)
            assert server.stop() == 0
            runs = [line for line in server.stdout if line.startswith("program")]
            assert len(runs) == 1 if support else len(runs) <= 3, runs
            found = [json.loads(line.partition(" ")[2]) for line in server.stdout if line.startswith("SEEN")]
            assert {tuple(one["argv"]) for one in found} == {(str(program),)}
            assert all(one["variables"] == [] for one in found)

    def test_one_that_refuses_its_command_line_gets_a_hint(self, project: Path) -> None:
        program = project / "frozen"
        program.write_text(FROZEN.format(python=sys.executable, support="sys.argv[1:] and sys.exit(2)"))
        program.chmod(0o755)
        with start([program], project, "workers", {"PYTHONPATH": str(project)}) as server:
            assert server.wait() == 3
        assert "a frozen program has to call multiprocessing.freeze_support() first" in server.stderr[-1]

    @pytest.mark.skipif(
        importlib.util.find_spec("PyInstaller") is None,
        reason="PyInstaller is not installed: NOT TESTED that a program that it has frozen serves with workers",
    )
    def test_pyinstaller(self, project: Path) -> None:
        words = ["-m", "PyInstaller", "--log-level", "ERROR", "--paths", ".", "--hidden-import", "seen", "program.py"]
        support = "import multiprocessing, os\nif os.environ.get('SUPPORT'):\n    multiprocessing.freeze_support()\n"
        (project / "program.py").write_text(support + PROGRAM)
        subprocess.run([sys.executable, *words], cwd=project, check=True)
        for mode in ("workers", "preload"):
            for variables in ({}, {"SUPPORT": "1"}):
                with start([project / "dist/program/program"], project, mode, variables) as server:
                    server.wait_for_line(" serves ")
                    assert get(server) in children(server)
                    assert server.stop() == 0
                until(lambda: not children_named(project))


def children_named(project: Path) -> list[str]:
    """The processes that run from a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/exe"):
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue
    return [path for path in found if path.startswith(str(project))]
