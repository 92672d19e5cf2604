"""The examples of docs/embedding.md work as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.harness import environment_here, serve

PAGE = Path(__file__).parents[1] / "docs" / "embedding.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def block(word: str) -> str:
    """The one example that holds a word."""
    (found,) = (text for text in BLOCKS if word in text)
    return found


def run(directory: Path, *words: str) -> str:
    (directory / "main.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, *words], cwd=directory, env=environment_here(), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fixture(tmp_path: Path) -> None:
    for name in ("conftest.py", "test_main.py"):
        (tmp_path / name).write_text(block(f"# {name}"))
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")


def test_in_a_loop(tmp_path: Path) -> None:
    text = block("async with").replace("sleep(3600)", "sleep(0)")
    assert "http://127.0.0.1:" in run(tmp_path, "-W", "error", "-c", text)


def test_in_a_thread(tmp_path: Path) -> None:
    assert "b'hello'" in run(tmp_path, "-W", "error", "-c", block("urlopen(server.urls[0])"))


def test_a_stream_ends(tmp_path: Path) -> None:
    text = block("async def events") + (
        "\nasync def main():\n"
        "    from whorl.asgi.shutdown import SHUTDOWN, Shutdown\n"
        "    SHUTDOWN.set(Shutdown())\n"
        "    said = []\n"
        "    async for piece in events():\n"
        "        said.append(piece)\n"
        "        asyncio.get_running_loop().call_soon(SHUTDOWN.get().begin)\n"
        "    print(said)\n"
        "asyncio.run(main())\n"
    )
    assert "still here" in run(tmp_path, "-W", "error", "-c", text)


def test_a_websocket_says_goodbye(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    routes = "\nfrom starlette.applications import Starlette\nfrom starlette.routing import WebSocketRoute\n"
    text = block("async def feed") + routes + 'app = Starlette(routes=[WebSocketRoute("/", feed)])\n'
    (tmp_path / "main.py").write_text(text)
    with serve("main:app", app_dir=str(tmp_path)) as server, connect(f"ws://127.0.0.1:{server.port}/") as client:
        client.send("hello")
        assert client.recv(20) == "hello"
        server.popen.terminate()
        assert client.recv(20) == "back in a minute"
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(20)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "moved")
        assert server.wait() == 0
