"""A process from its first line: what starts, what does not and says so in one line, and what is given up."""

from __future__ import annotations

import signal
import time

import pytest

from tests.harness import serve

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def fresh(loop_name: str) -> dict[str, str]:
    """Options of a server that a test may end as it likes."""
    return {"loop": loop_name}


class TestStart:
    def test_the_line_says_what_runs_where_and_why(self, fresh: dict[str, str]) -> None:
        with serve("tests.apps:app", **fresh) as process:
            line = process.wait_for_line(" serves ")
            assert f"serves tests.apps:app on http://127.0.0.1:{process.port}, loop " in line
            assert fresh["loop"].partition(":")[0] in line
            assert len(process.stderr) == 1

    @pytest.mark.parametrize(
        ("app", "options", "words"),
        [
            ("no_such_module:app", {}, 'no module "no_such_module"'),
            ("tests.apps:apq", {}, 'did you mean "app"'),
            ("tests.apps:app", {"loop": "uvlop"}, "did you mean uvloop"),
            ("tests.apps:app", {"loop": "no_such_module:loop"}, 'no module "no_such_module"'),
            ("tests.apps:app", {"loop": "json:loads"}, "needs some"),
            ("tests.apps:broken", {}, "no database"),
            ("tests.apps:app", {"port": 70000}, "--port"),
        ],
    )
    def test_what_cannot_start_is_one_line_and_status_3(self, app: str, options: dict[str, object], words: str) -> None:
        with serve(app, ready=False, **options) as process:
            assert process.wait() in (2, 3)
            complaints = [line for line in process.stderr if "error:" in line]
            assert len(complaints) == 1
            assert words in complaints[0]
            assert not [line for line in process.stderr if "Traceback" in line]

    @pytest.mark.parametrize("number", SIGNALS)
    def test_a_frozen_start_up_can_be_interrupted(self, fresh: dict[str, str], number: int) -> None:
        with serve("tests.apps:frozen", ready=False, **fresh) as process:
            process.wait_for_line("starting", "stdout")
            process.signal(number)
            assert process.wait(10) == 0

    def test_a_start_up_that_blocks_the_loop_ends_with_the_second_signal(self, fresh: dict[str, str]) -> None:
        with serve("tests.apps:stuck", ready=False, **fresh) as process:
            process.wait_for_line("starting", "stdout")
            process.signal(signal.SIGINT)
            # The first is noted by the handler; that it was shows in nothing but the second.
            deadline = time.monotonic() + 10
            while process.popen.poll() is None and time.monotonic() < deadline:
                process.signal(signal.SIGINT)
                time.sleep(0.05)
            assert process.wait(10) in (0, 130, -signal.SIGINT)  # a late one finds the old handler back
            assert not [line for line in process.stderr if "never retrieved" in line]
