"""A server under test: a process that is started, waited for until it answers, and ended.

Started by `session`, on the server's core. The lines that it writes go to a file, which is where an access log can be
counted and where the reason is found when it does not start.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.certificate import HOST, Certificate
from benchmarks.contenders import ROOT, Contender, Start
from benchmarks.cores import Cores, prepare_child
from benchmarks.fault import Fault
from benchmarks.rows import Profile

__all__ = ["Server", "running"]

START_SECONDS = 120.0
"""Far more than any server needs; under callgrind it is fifty times as slow."""
STOP_SECONDS = 10.0
POLL_SECONDS = 0.0005
PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Server:
    """A running server.

    Attributes:
        contender: which.
        port: its port.
        client_context: what its clients use; None without TLS.
        log: the file of what it wrote.
        start_seconds: from the start of its process to the end of its first response.
    """

    def __init__(self, contender: Contender, profile: Profile, cores: Cores, folder: Path) -> None:
        self.contender = contender
        self.client_context: ssl.SSLContext | None = None
        certificate = None
        if profile.tls:
            certificate = Certificate.in_folder(folder)
            self.client_context = certificate.client_context()
        self.port = free_port()
        self.log = folder / f"{self.port}.log"
        command = contender.command(Start(profile.app, self.port, profile.access_log, folder, certificate))
        environment = dict(
            os.environ, BENCH_FILES=str(folder), PYTHONPATH=os.pathsep.join((*contender.path, str(ROOT)))
        )
        # Nothing of Whorl's settings may come from the environment of whoever measures.
        environment = {name: value for name, value in environment.items() if not name.startswith("WHORL_")}
        begun = time.perf_counter()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: prepare_child(cores.servers),
            )
        try:
            self._await_response(begun + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - begun

    @property
    def pid(self) -> int:
        return self._process.pid

    def _await_response(self, deadline: float) -> None:
        while not self._answers():
            if self._process.poll() is not None:
                raise Fault(f"{self.contender} ended before it answered: {self.last_words()}")
            if time.perf_counter() > deadline:
                raise Fault(f"{self.contender} did not answer within {START_SECONDS:.0f} s: {self.last_words()}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        """Whether a request is answered to its end, with whatever status the path has."""
        received = b""
        try:
            with self.connect(START_SECONDS) as client:
                client.sendall(PROBE)
                while not received.partition(b"\r\n\r\n")[2]:
                    data = client.recv(65536)
                    if not data:
                        return False
                    received += data
        except OSError:
            return False
        return received.startswith(b"HTTP/1.1 ")

    def connect(self, timeout_seconds: float) -> socket.socket:
        """A new connection, in TLS if the server speaks that.

        Raises:
            OSError: there is none, or its handshake failed.
        """
        client = socket.create_connection((HOST, self.port), timeout=timeout_seconds)
        if self.client_context is None:
            return client
        return self.client_context.wrap_socket(client, server_hostname=HOST)

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "without a word"

    def stop(self) -> None:
        """End the process and all it has started: first by asking, then at once."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


@contextmanager
def running(contender: Contender, profile: Profile, cores: Cores, folder: Path) -> Iterator[Server]:
    """A server, for as long as the block takes."""
    server = Server(contender, profile, cores, folder)
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
