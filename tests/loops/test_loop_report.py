"""The table of `whorl loops` and its measurements."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.loops_here import LOOPS, WANTED
from whorl.loops import bench
from whorl.loops.registry import KNOWN, KnownLoop
from whorl.loops.report import table
from whorl.platform import HERE, Platform


def rows(text: str) -> dict[str, str]:
    """Returns: the lines of the table by the loop they are about, without the mark and runs of blanks."""
    lines = [" ".join(line.removeprefix("*").split()) for line in text.splitlines()]
    return {line.partition(" ")[0]: line for line in lines}


class TestTable:
    def test_tells_each_known_loop_what_to_type_and_whether_it_is_here(self) -> None:
        told = rows(table())
        for known in KNOWN:
            assert known.typed in told[known.name]
            if known.name in WANTED:
                assert (f"{known.typed} available" in told[known.name]) == (known.typed in LOOPS)
        assert f"asyncio {HERE.python_version} asyncio available" in told["asyncio"]

    def test_marks_what_auto_takes(self) -> None:
        marked = [line for line in table().splitlines() if line.startswith("* ")]
        taken = "asyncio" if find_spec("uvloop") is None else "uvloop"
        assert [line.split()[1] for line in marked[:-1]] == [taken]
        on_windows = [line for line in table(Platform(system="win32")).splitlines() if line.startswith("* ")]
        assert [line.split()[1] for line in on_windows[:-1]] == ["asyncio"]

    def test_tells_why_a_loop_cannot_be_had(self) -> None:
        told = rows(table(Platform(system="linux", implementation="pypy", python=(3, 11, 13))))
        assert told["uvloop"] == "uvloop - uvloop does not run on PyPy"
        assert told["winloop"] == "winloop - winloop:new_event_loop runs on Windows only"
        told = rows(table(Platform(system="linux", implementation="cpython", python=(3, 11, 7))))
        assert told["zuvloop"] == "zuvloop - zuvloop:new_event_loop needs Python 3.14 or newer, and this is 3.11.7"
        assert told["blazio"] == "blazio - blazio:new_event_loop needs Python 3.12 or newer, and this is 3.11.7"

    def test_survives_loops_that_do_not_import(self, tmp_path: Path) -> None:
        (tmp_path / "uvloop.py").write_text("class Panic(BaseException): pass\nraise Panic('at the\\n disco')")
        (tmp_path / "rloop.py").write_text("import nowhere_at_all")
        program = "from whorl.loops.report import table; print(table())"
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        told = rows(done.stdout)
        assert told["uvloop"] == "uvloop - uvloop does not import: Panic: at the disco"
        assert told["rloop"] == (
            "rloop - rloop:new_event_loop does not import: ModuleNotFoundError: No module named 'nowhere_at_all'"
        )
        assert "*  asyncio" in done.stdout


class TestBench:
    def test_measures_every_loop_that_is_here(self) -> None:
        text = bench.run(seconds=1.0)
        lines = {line.split()[0]: line.split() for line in text.splitlines() if line and " us " in line}
        assert set(lines) >= {name.partition(":")[0] for name in LOOPS}
        assert lines["asyncio"][4::3] == ["1.00x"] * 4
        assert all(float(cost) > 0 for line in lines.values() for cost in line[2::3])
        assert HERE.python_version in text.splitlines()[-1]

    @pytest.mark.parametrize(
        ("body", "grace_seconds", "text"),
        [
            ("def new_event_loop(): raise ValueError('no')", 20, "raised ValueError: no"),
            ("import os\ndef new_event_loop(): os._exit(9)", 20, "ended without a word"),
            ("import time\ndef new_event_loop(): time.sleep(50)", 0.5, "hung and was stopped"),
        ],
    )
    def test_a_loop_that_fails_is_told_of_and_not_asked_again(
        self, body: str, grace_seconds: float, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "badloop.py").write_text(body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(bench, "GRACE_SECONDS", grace_seconds)
        contender = bench.Contender(KnownLoop("badloop"))
        begun = time.monotonic()
        bench.measure(contender, 0.1)
        assert time.monotonic() - begun < 10
        assert contender.failure is not None
        assert text in contender.failure
        assert contender.costs[bench.ECHO] == []

    @pytest.mark.skipif(HERE.is_windows, reason="signals of another kind")
    def test_ctrl_c_leaves_no_process_behind(self) -> None:
        program = """
from whorl.loops import bench
with bench.Worker("asyncio", seconds=20, limit_seconds=40) as worker:
    print(worker._process.pid, flush=True)
    worker.read()
"""
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as measuring:
            assert measuring.stdout is not None
            assert measuring.stderr is not None
            worker = int(measuring.stdout.readline())
            os.killpg(measuring.pid, signal.SIGINT)
            assert measuring.stderr.read().rstrip().endswith(b"KeyboardInterrupt")
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
