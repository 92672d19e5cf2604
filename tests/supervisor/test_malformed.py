"""An application that writes to the channel between its worker and the parent, by mistake."""

from __future__ import annotations

import os
import signal

import pytest

from tests.harness import serve
from tests.supervisor.load import Load
from tests.supervisor.processes import alive, all_children, ask, children, lines, until, wait_for

APP = "tests.supervisor.apps:app"


@pytest.mark.parametrize("preload", [False, True])
def test_that_worker_is_replaced_and_no_request_is_lost(preload: bool) -> None:
    with serve(APP, workers=2, preload=preload, access_log=False) as server:
        before = all_children(server, 3 if preload else 2)
        with Load(server) as load:
            victim = ask(server, "/?channel=5")
            wait_for(server, "sent a malformed message: b'5'")
            wait_for(server, "is ready")
            until(lambda: not alive(victim))
        load.check()
        assert before - children(server) == {victim}
        assert len(lines(server, "malformed")) == 1
        assert server.stop() == 0


def test_with_reload_the_server_goes_on(tmp_path: object) -> None:
    with serve(APP, reload=True, reload_dir=tmp_path, access_log=False) as server:
        first = ask(server, "/?channel=null")
        wait_for(server, "sent a malformed message: b'null'")
        assert ask(server, "/?channel=7") == first
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert len(lines(server, "malformed")) == 1
        assert not os.path.exists(f"/proc/{first}")
