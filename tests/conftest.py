"""What every test may ask for."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks.here import ABSENT as ABSENT_FRAMEWORKS
from tests.loops_here import ABSENT, LOOP_PARAMS, LOOPS

PROXIES = ("nginx", "haproxy")


# A shell's background job ignores SIGINT, and one of nohup SIGHUP: servers under test must not inherit that.
for name in ("SIGINT", "SIGHUP", "SIGQUIT"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


def pytest_report_header() -> list[str]:
    absent = [f"NOT TESTED HERE: loop {name} {reason}" for name, reason in ABSENT.items()]
    absent += [f"NOT TESTED HERE: framework {name} {reason}" for name, reason in ABSENT_FRAMEWORKS.items()]
    absent += [f"NOT TESTED HERE: behind {name}, which is not installed" for name in PROXIES if not shutil.which(name)]
    return [f"loops under test: {', '.join(LOOPS)}", *absent]


@pytest.fixture(params=LOOP_PARAMS)
def loop_name(request: pytest.FixtureRequest) -> str:
    """Each loop in turn, as it is typed after `--loop`."""
    name: str = request.param
    return name


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket, for NOTIFY_SOCKET (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20.0)
        yield manager
