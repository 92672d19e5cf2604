"""From the words after `--loop` to a loop, and every mistake that can be made in them."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from whorl.errors import ConfigError
from whorl.loops import LoopChoice, resolve
from whorl.platform import HERE, Platform

WINDOWS = Platform(system="win32", implementation="cpython", python=(3, 13, 0))
LINUX = Platform(system="linux", implementation="cpython", python=(3, 13, 0))
PYPY = Platform(system="linux", implementation="pypy", python=(3, 11, 13))

MODULE = """
import asyncio
import functools

class Loop(asyncio.SelectorEventLoop):
    made = 0

    def __init__(self):
        super().__init__()
        Loop.made += 1

    @classmethod
    def new(cls):
        return cls()

def returns_loop(): return Loop()
def returns_class(): return Loop
def returns_function(): return returns_loop
partial = functools.partial(returns_loop)
optional = lambda use_subprocess=False: Loop()

three_hops = lambda: returns_function
number = 7
returns_number = lambda: 7
returns_nothing = lambda: None
returns_lambda_to_number = lambda: returns_number
other_class = dict
instance = type("Instance", (asyncio.AbstractEventLoop,), {})()
half = lambda: instance
def raises(): raise ValueError("no\\n  luck")
def exits(): raise SystemExit(4)
def needs(use_subprocess): return Loop()
async def asynchronous(): return Loop()
def closed():
    loop = Loop()
    loop.close()
    return loop
class running(asyncio.AbstractEventLoop):
    def is_closed(self): return False
    def is_running(self): return True
"""

SHAPES = ["Loop", "Loop.new", "returns_loop", "returns_class", "returns_function", "partial", "optional"]

MISTAKES = {
    # what is no name at all
    "": 'loop "" is not known: write auto, asyncio, uvloop or <module>:<function>',
    "mine.Loop": 'loop "mine.Loop" is not known: write auto, asyncio, uvloop or <module>:<function>',
    "mine:": 'loop "mine:" is not of the form <module>:<function>, such as rloop:new_event_loop',
    ":Loop": 'loop ":Loop" is not of the form <module>:<function>, such as rloop:new_event_loop',
    ".mine:Loop": 'loop ".mine:Loop" is not of the form <module>:<function>, such as rloop:new_event_loop',
    "a:b:c": 'loop "a:b:c" is not of the form <module>:<function>, such as rloop:new_event_loop',
    "mine:Loop()": 'loop "mine:Loop()" is not of the form <module>:<function>, such as rloop:new_event_loop: '
    "leave out the parentheses",
    # near misses
    "uvlop": 'loop "uvlop" is not known: did you mean uvloop?',
    "asynico": 'loop "asynico" is not known: did you mean asyncio?',
    "Auto": 'loop "Auto" is not known: did you mean auto?',
    "rlop": 'loop "rlop" is not known: did you mean rloop:new_event_loop?',
    "rloop": 'loop "rloop" is not known: write rloop:new_event_loop',
    "winloop": 'loop "winloop" is not known: write winloop:new_event_loop',
    "zuvloop": 'loop "zuvloop" is not known: write zuvloop:new_event_loop',
    "blazio": 'loop "blazio" is not known: write blazio:new_event_loop',
    "zuvlop:new_event_loop": 'loop "zuvlop:new_event_loop": there is no module "zuvlop"; '
    "did you mean zuvloop:new_event_loop?",
    "mine:returns_lop": 'loop "mine:returns_lop": mine has no "returns_lop"; did you mean "returns_loop"?',
    # what is not there
    "nowhere_at_all:f": 'loop "nowhere_at_all:f": there is no module "nowhere_at_all"; '
    "check its spelling, and that --app-dir is where it lies",
    "mine.deeper:f": 'loop "mine.deeper:f": there is no module "mine.deeper"; '
    "check its spelling, and that --app-dir is where it lies",
    "mine:qqqqq": 'loop "mine:qqqqq": mine has no "qqqqq"',
    "mine:Loop.qqqqq": 'loop "mine:Loop.qqqqq": mine.Loop has no "qqqqq"',
    "imports_nothing:f": 'loop "imports_nothing:f": importing imports_nothing raised '
    "ModuleNotFoundError: No module named 'nowhere_at_all'",
    "broken:f": 'loop "broken:f": importing broken raised ZeroDivisionError: division by zero',
    "script:f": 'loop "script:f": importing script raised SystemExit: 1',
    "wrong_grammar:f": 'loop "wrong_grammar:f": importing wrong_grammar raised SyntaxError: '
    "invalid syntax (wrong_grammar.py, line 1)",
    "winloop:new_event_loop": 'loop "winloop:new_event_loop": winloop runs on Windows only',
    # what makes no loop
    "mine:number": 'loop "mine:number" is an int: name a function or a class that makes an event loop',
    "mine:asyncio": 'loop "mine:asyncio" is a module: name a function or a class that makes an event loop',
    "mine:instance": 'loop "mine:instance" is a loop already, and it cannot be made anew: '
    "name the function or class that makes it",
    "mine:returns_number": 'loop "mine:returns_number" returned an int, not an event loop',
    "mine:returns_nothing": 'loop "mine:returns_nothing" returned nothing, not an event loop',
    "mine:returns_lambda_to_number": 'loop "mine:returns_lambda_to_number" returned an int, not an event loop',
    "mine:other_class": 'loop "mine:other_class" returned a dict, not an event loop',
    "mine:three_hops": 'loop "mine:three_hops" returned a function, not an event loop',
    "mine:half": 'loop "mine:half" returned an Instance, which is not a whole event loop: '
    "it lacks is_closed() or is_running()",
    "mine:raises": 'loop "mine:raises" raised ValueError: no luck',
    "mine:exits": 'loop "mine:exits" raised SystemExit: 4',
    "mine:needs": 'loop "mine:needs" is called with no arguments, and it needs some: '
    "missing a required argument: 'use_subprocess'",
    "mine:asynchronous": 'loop "mine:asynchronous" is an async function: '
    "write a plain one, nothing can be awaited before there is a loop",
    "mine:closed": 'loop "mine:closed" returned a loop that is closed already: return a new one at each call',
    "mine:running": 'loop "mine:running" returned a loop that is running already: return a new one at each call',
}

PROBE = """
import json, sys
from whorl.errors import ConfigError
from whorl.loops import resolve
said = []
for name in json.load(sys.stdin):
    try:
        resolve(name).make().loop.close()
    except ConfigError as error:
        said.append(str(error))
    else:
        said.append("no error")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loops")
    (folder / "mine.py").write_text(MODULE)
    (folder / "broken.py").write_text("1 / 0")
    (folder / "imports_nothing.py").write_text("import nowhere_at_all")
    (folder / "script.py").write_text("import sys; sys.exit(1)")
    (folder / "wrong_grammar.py").write_text("def")
    return folder


def run_python(folder: Path, program: str, stdin: str = "", *options: str) -> str:
    """Runs a program in `folder` with every warning shown. Returns: what it printed; it must say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "always", *options, "-c", program],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_every_mistake_is_one_line_and_nothing_else_is_printed(folder: Path) -> None:
    said = json.loads(run_python(folder, PROBE, json.dumps(list(MISTAKES))))
    assert dict(zip(MISTAKES, said, strict=True)) == MISTAKES
    assert not [line for line in said if "\n" in line]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_makes_exactly_one_loop_that_runs(shape: str, folder: Path) -> None:
    program = f"""
import asyncio
from whorl.loops import resolve
async def which(): return asyncio.get_running_loop()
made = resolve("mine:{shape}").make()
with made.runner() as runner:
    assert runner.run(which()) is made.loop
assert made.loop.is_closed()
import mine
print(mine.Loop.made, made.describe())
"""
    assert run_python(folder, program) == f"1 loop mine.Loop on asyncio {HERE.python_version} (mine:{shape})\n"


def test_known_loops_serve_a_runner(loop_name: str) -> None:
    async def which() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    made = resolve(loop_name).make()
    with made.runner() as runner:
        assert runner.run(which()) is made.loop
    assert made.loop.is_closed()


def test_making_a_loop_leaves_no_trace_in_asyncio() -> None:
    """No policy is set, and no current loop: two servers may live in one process."""
    program = """
import asyncio, warnings
from whorl.loops import resolve
with warnings.catch_warnings(action="ignore"):
    policy = asyncio.get_event_loop_policy()
    made = resolve("auto").make()
    assert asyncio.get_event_loop_policy() is policy
with made.runner():
    assert policy._local._loop is None
"""
    run_python(Path.cwd(), program)


class TestAuto:
    def test_takes_uvloop_if_it_is_installed(self) -> None:
        pytest.importorskip("uvloop")
        choice = resolve("auto")
        assert (choice.spec, choice.reason) == ("uvloop:new_event_loop", "auto")
        made = choice.make()
        made.loop.close()
        assert re.fullmatch(r"loop uvloop \d+\.\d+\.\d+ \(auto\)", made.describe())

    def test_takes_asyncio_if_uvloop_is_not_installed(self, folder: Path) -> None:
        program = """
import sys
sys.modules["uvloop"] = None  # importing it now raises ModuleNotFoundError
from whorl.loops import resolve
made = resolve("auto").make()
made.loop.close()
print(made.describe())
"""
        expected = f"loop asyncio SelectorEventLoop, Python {HERE.python_version} (auto: uvloop is not installed)\n"
        assert run_python(folder, program) == expected

    def test_takes_asyncio_if_uvloop_is_broken_and_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "uvloop.py").write_text("raise ImportError('libuv.so: cannot open shared object file')")
        program = "from whorl.loops import resolve; print(resolve('auto').reason)"
        expected = "auto: uvloop does not import: ImportError: libuv.so: cannot open shared object file\n"
        assert run_python(tmp_path, program) == expected

    @pytest.mark.parametrize(
        ("platform", "spec", "reason"),
        [
            (WINDOWS, "asyncio:ProactorEventLoop", "auto: uvloop does not run on Windows"),
            (PYPY, "asyncio:SelectorEventLoop", "auto: uvloop does not run on PyPy"),
        ],
    )
    def test_takes_asyncio_where_uvloop_does_not_run(self, platform: Platform, spec: str, reason: str) -> None:
        assert resolve("auto", platform) == LoopChoice("auto", spec, reason, platform)


class TestAsyncio:
    @pytest.mark.parametrize(
        ("platform", "spec"),
        [
            (WINDOWS, "asyncio:ProactorEventLoop"),
            (LINUX, "asyncio:SelectorEventLoop"),
            (PYPY, "asyncio:SelectorEventLoop"),
        ],
    )
    def test_is_the_proactor_on_windows_and_the_selector_elsewhere(self, platform: Platform, spec: str) -> None:
        assert resolve("asyncio", platform).spec == spec

    @pytest.mark.parametrize("name", ["asyncio:SelectorEventLoop", "asyncio:new_event_loop"])
    def test_is_recognised_however_it_is_written(self, name: str) -> None:
        made = resolve(name).make()
        made.loop.close()
        kind = "ProactorEventLoop" if HERE.is_windows and name.endswith("new_event_loop") else "SelectorEventLoop"
        assert made.describe() == f"loop asyncio {kind}, Python {HERE.python_version} ({name})"


class TestUvloop:
    @pytest.mark.parametrize(
        ("platform", "text"),
        [
            (
                WINDOWS,
                "loop uvloop does not run on Windows: use --loop auto, or --loop winloop:new_event_loop",
            ),
            (PYPY, "loop uvloop does not run on PyPy: use --loop auto"),
        ],
    )
    def test_is_refused_where_it_does_not_run(self, platform: Platform, text: str) -> None:
        with pytest.raises(ConfigError) as caught:
            resolve("uvloop", platform)
        assert str(caught.value) == text

    def test_not_installed_says_how_to_install_it(self, folder: Path) -> None:
        program = """
import sys
sys.modules["uvloop"] = None
from whorl.errors import ConfigError
from whorl.loops import resolve
try:
    resolve("uvloop")
except ConfigError as error:
    print(error, error.exit_status)
"""
        expected = "loop uvloop is not installed: pip install 'whorl[uvloop]', or use --loop auto 3\n"
        assert run_python(folder, program) == expected


def test_a_known_loop_that_is_not_installed_says_how_to_install_it(folder: Path) -> None:
    program = """
import sys
class NoRloop:
    def find_spec(self, name, path, target=None):
        if name == "rloop":
            raise ModuleNotFoundError("No module named 'rloop'", name=name)
sys.meta_path.insert(0, NoRloop())
from whorl.errors import ConfigError
from whorl.loops import resolve
for name in "rloop:new_event_loop", "rloop.loop:RLoop":
    try:
        resolve(name).make()
    except ConfigError as error:
        print(error)
"""
    assert run_python(folder, program).splitlines() == [
        'loop "rloop:new_event_loop": rloop is not installed: pip install rloop',
        'loop "rloop.loop:RLoop": rloop is not installed: pip install rloop',
    ]


@pytest.mark.skipif(HERE.python >= (3, 14), reason="this Python is new enough")
def test_a_loop_for_a_newer_python_says_so() -> None:
    with pytest.raises(ConfigError, match=r"zuvloop needs Python 3\.14 or newer, and this is 3\.1\d\.\d+$"):
        resolve("zuvloop:new_event_loop").make()


def test_a_choice_can_be_handed_to_another_process() -> None:
    choice = resolve("asyncio")
    assert pickle.loads(pickle.dumps(choice)) == choice


@pytest.mark.skipif(HERE.is_windows, reason="the example needs poll(2)")
def test_the_examples_of_the_documentation_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "event-loops.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(# myloops\.py\n.*?)```", page, re.DOTALL)
    assert example is not None
    (tmp_path / "myloops.py").write_text(example[1])
    monkeypatch.syspath_prepend(tmp_path)
    named = re.findall(r"--loop (myloops:\w+)", example[1])
    assert len(named) == 4
    for name in named:
        made = resolve(name).make()
        with made.runner() as runner:
            runner.run(asyncio.sleep(0))
        assert made.name == "myloops.PollLoop"
