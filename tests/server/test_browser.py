"""A real browser on the example page: it talks over a compressed WebSocket, and sees a clean end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Process, serve
from tests.loops_here import LOOPS
from tests.server.browser import PROGRAM, Browser

LONG = "long enough to be worth compressing, " * 50

APPEARS = """
new Promise(found => {
  const look = () => {
    const text = document.querySelector("pre")?.textContent ?? ""
    text.includes(%s) ? found(text) : setTimeout(look, 10)
  }
  look()
})
"""


def appears(browser: Browser, text: str) -> str:
    """Wait until the page shows a text, and return all that it shows."""
    shown = browser.evaluate(APPEARS % json.dumps(text))
    assert isinstance(shown, str)
    return shown


def say(browser: Browser, text: str) -> None:
    browser.evaluate(f'document.querySelector("input").value = {json.dumps(text)}')
    browser.evaluate('document.querySelector("form").requestSubmit()')


def handshake(browser: Browser) -> dict[str, Any]:
    """How the server answered the latest handshake, by the browser's own account."""
    answers = [found for name, found in browser.told if name == "Network.webSocketHandshakeResponseReceived"]
    response: dict[str, Any] = answers[-1]["response"]
    return response


@pytest.mark.skipif(not PROGRAM, reason="NOT CHECKED HERE: chromium is not installed")
def test_a_browser_talks_and_sees_the_end(tmp_path: Path) -> None:
    """One browser for all loops: it takes longer to start than everything else."""
    with Browser(tmp_path) as browser:
        for loop in LOOPS:
            with serve("talk:app", loop=loop, app_dir="examples") as server:
                talk(browser, server)
                assert server.wait() == 0
            assert not [line for line in server.stderr if "Traceback" in line or "bug of Whorl" in line]


def talk(browser: Browser, server: Process) -> None:
    """Twice on the page: the first time the browser leaves, the second time the server."""
    url = f"http://127.0.0.1:{server.port}/"
    browser.open(url)
    appears(browser, "connected; compression: permessage-deflate")
    response = handshake(browser)
    assert response["status"] == 101
    headers = {name.lower(): value for name, value in response["headers"].items()}
    assert headers["sec-websocket-extensions"].startswith("permessage-deflate")
    for text in ("é short", LONG, ""):
        say(browser, text)
        appears(browser, f"\n{text}\n")
    browser.evaluate('document.querySelector("#leave").click()')
    assert appears(browser, "closed:").endswith("\nclosed: 1000  clean\n")

    browser.open(url)
    appears(browser, "connected")
    server.popen.terminate()
    assert appears(browser, "closed:").endswith("\nclosed: 1012 The server is leaving. clean\n")
