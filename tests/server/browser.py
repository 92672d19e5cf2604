"""A browser without a window, told over the DevTools protocol what to do. No tests in this file.

with Browser(tmp_path) as browser:
    browser.open("http://127.0.0.1:8000/")
    assert browser.evaluate("document.title") == "Whorl"
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

PATIENCE_SECONDS = 20.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), "")
LISTENS = re.compile(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/")
OPTIONS = (
    "--headless",
    "--remote-debugging-port=0",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-gpu",
    "--no-first-run",
    "--no-proxy-server",
)


class Browser:
    """One process group of Chromium, and one page in it.

    Args:
        directory: where it may keep what it likes.

    Attributes:
        told: what the page's DevTools have told so far: pairs of an event's name and its parameters.
    """

    def __init__(self, directory: Path) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stack = ExitStack()
        self.number = 0
        # Its sandbox does not work for root, and here it opens nothing but our own page.
        options = (*OPTIONS, f"--user-data-dir={directory}", *(["--no-sandbox"] if os.geteuid() == 0 else []))
        self.popen = subprocess.Popen(
            [PROGRAM, *options, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "HOME": str(directory)},
        )
        self.stack.callback(self.end)
        try:
            port = self.port()
            page = next(target for target in ask(port, "/json/list") if target["type"] == "page")
            client = connect(page["webSocketDebuggerUrl"], max_size=None, compression=None)
            self.devtools = self.stack.enter_context(client)
            for domain in ("Network", "Page", "Runtime"):
                self.tell(f"{domain}.enable")
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def port(self) -> int:
        """Where its DevTools listen, as it says itself."""
        said = []
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            said.append(line)
            if found := LISTENS.search(line):
                return int(found[1])
        raise AssertionError(f"{PROGRAM} did not start: {''.join(said)}")

    def end(self) -> None:
        """End it, with all the processes that it has started."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        assert self.popen.stderr is not None
        self.popen.stderr.close()
        self.popen.wait(PATIENCE_SECONDS)

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have the page do something, and wait until it is done."""
        self.number += 1
        self.devtools.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = self.hear()
            if message.get("id") == self.number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def hear(self) -> dict[str, Any]:
        """What its DevTools say next."""
        message: dict[str, Any] = json.loads(self.devtools.recv(PATIENCE_SECONDS))
        if "method" in message:
            self.told.append((message["method"], message["params"]))
        return message

    def open(self, url: str) -> None:
        """Go to a page, and wait until it has taken the place of the one before."""
        found = self.tell("Page.navigate", url=url)
        assert "errorText" not in found, found
        while not any(
            name == "Page.frameNavigated" and parameters["frame"]["loaderId"] == found["loaderId"]
            for name, parameters in self.told
        ):
            self.hear()

    def evaluate(self, expression: str) -> Any:
        """What a piece of JavaScript comes to in the page; a promise is awaited."""
        result = self.tell("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")


def ask(port: int, path: str) -> Any:
    """What the DevTools say over HTTP."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        client.request("GET", path)
        return json.load(client.getresponse())
    finally:
        client.close()
