"""A whole Whorl in a process of its own, for tests that look at it from outside as a client and an operator do.

    with serve("tests.apps:app", loop="uvloop", timeout_keep_alive=0.3) as server:
        with server.connect() as client: ...

The process is told its options through the command line, and where it listens is read from the line it prints when it
is ready: no port is guessed, and nothing sleeps.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from whorl.server.signals import REPEAT_SECONDS

ROOT = Path(__file__).parents[1]
READY = re.compile(
    r" serves .* on (?:fd:\d+ )?(?:https?://(?P<host>\[[^]]+\]|[^:\s]+):(?P<port>\d+)|unix:(?P<path>[^,\s]+))"
)
PATIENCE_SECONDS = 20.0


@dataclass
class Process:
    """A running Whorl.

    Attributes:
        popen: the process.
        address: where it listens: host and port, or a path.
        stderr: the lines it has logged so far.
        stdout: the access lines so far.
        is_silent: whether it will say nothing more.
        was_signalled: whether a test has sent it a signal.
    """

    popen: subprocess.Popen[str]
    address: tuple[str, int] | str | None = None
    stderr: list[str] = field(default_factory=list)
    stdout: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    threads: list[threading.Thread] = field(default_factory=list)
    is_silent: bool = False
    was_signalled: bool = False

    @property
    def port(self) -> int:
        assert isinstance(self.address, tuple)
        return self.address[1]

    def connect(self, timeout_seconds: float = 10.0) -> socket.socket:
        """A client's socket, connected."""
        if isinstance(self.address, str):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(timeout_seconds)
            client.connect(self.address)
            return client
        assert self.address is not None
        return socket.create_connection(self.address, timeout_seconds)

    def exchange(self, data: bytes, timeout_seconds: float = 10.0) -> bytes:
        """Send bytes on a new connection, and read until the server closes."""
        with self.connect(timeout_seconds) as client:
            client.sendall(data)
            return read_all(client)

    def wait_for_line(self, text: str, lines: str = "stderr", seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until the process has said a line that contains `text`."""
        said: list[str] = getattr(self, lines)
        with self.changed:
            self.changed.wait_for(lambda: any(text in line for line in said) or self.is_silent, seconds)
            assert any(text in line for line in said), (text, said, self.stderr)
            return next(line for line in said if text in line)

    def signal(self, number: int) -> None:
        self.was_signalled = True
        self.popen.send_signal(number)

    def signal_again(self, number: int) -> None:
        """Send a signal that is not taken for a repetition of the one before: that has been handled for long enough."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not self._sleeps() and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(REPEAT_SECONDS)
        self.popen.send_signal(number)

    def _sleeps(self) -> bool:
        """Whether its main thread waits, which it does not before it has handled a signal (proc(5), Linux)."""
        try:
            status = Path(f"/proc/{self.popen.pid}/status").read_text()
        except OSError:
            return True
        return "State:\tS" in status and "ShdPnd:\t0000000000000000" in status

    def stop(self, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM, and the exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit status, once it has ended; all it said has been read then."""
        status = self.popen.wait(seconds)
        for thread in self.threads:
            thread.join(seconds)
        return status

    def listen(self) -> None:
        """Keep what it says, in threads; and where it listens, once it says so."""
        for stream, lines in ((self.popen.stdout, self.stdout), (self.popen.stderr, self.stderr)):
            assert stream is not None
            thread = threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self.changed:
                lines.append(line.rstrip("\n"))
                found = READY.search(line)
                if found and self.address is None:
                    host, port, path = found["host"], found["port"], found["path"]
                    self.address = path if path else (host.strip("[]"), int(port))
                self.changed.notify_all()
        with self.changed:
            self.is_silent = lines is self.stderr or self.is_silent
            self.changed.notify_all()

    def end(self) -> None:
        """Have it end, by force if need be, and let go of everything."""
        if self.popen.poll() is None:
            if self.was_signalled:
                self.signal_again(signal.SIGTERM)
            else:
                self.popen.terminate()
            try:
                self.popen.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for thread in self.threads:
            thread.join()
        for stream in (self.popen.stdout, self.popen.stderr):
            assert stream is not None
            stream.close()


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side closes."""
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_response(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One response with Content-Length, chunked or without content: status, fields in lower case, and content."""
    file = client.makefile("rb")
    status = int(file.readline().split()[1])
    fields: dict[str, str] = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        content = b""
        while size := int(file.readline(), 16):
            content += file.read(size)
            file.readline()
        while file.readline() not in (b"\r\n", b""):
            pass
        return status, fields, content
    return status, fields, file.read(int(fields.get("content-length", "0")))


def environment_here() -> dict[str, str]:
    """The variables of this process, without settings for Whorl."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WHORL_", "WEB_"))}


def command(app: str, python: Sequence[str] = (sys.executable,), **options: object) -> list[str]:
    """The command line: `timeout_keep_alive=1` is `--timeout-keep-alive 1`, True and False are flags, a list
    repeats."""
    words = [*python, "-m", "whorl", app]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value is False:
            words.append(option.replace("--", "--no-", 1))
        else:
            for item in value if isinstance(value, list) else [value]:
                words += [option, str(item)]
    return words


@contextmanager
def serve(
    app: str,
    *,
    python: Sequence[str] = (sys.executable,),
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    ready: bool = True,
    pass_fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    **options: object,
) -> Iterator[Process]:
    """Run Whorl until the block ends; it must not be alive after that.

    Args:
        app: the import string.
        python: the words that run the interpreter.
        environment: variables on top of this process's.
        cwd: where it runs.
        ready: wait until it accepts.
        pass_fds: file descriptors that it inherits; the one of `fd` is among them without being named.
        stdin: its standard input, as `subprocess` has it.
        options: settings by name.
    """
    if not pass_fds and not options.keys() & {"uds", "fd", "bind"}:
        options.setdefault("port", 0)
    popen = subprocess.Popen(
        command(app, python, **options),
        cwd=cwd,
        env={**environment_here(), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **(environment or {})},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[*pass_fds, *([int(str(options["fd"]))] if "fd" in options else [])],
    )
    process = Process(popen)
    process.listen()
    try:
        if ready:
            process.wait_for_line(" serves ")
        yield process
    finally:
        process.end()
