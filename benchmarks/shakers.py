"""TLS clients that connect anew for each request: a full handshake each time, or the session of their last one resumed.

Threads on the load's core, because OpenSSL works without Python's lock; the server has more than one of them to see
to. Each looks at the whole response, and at whether the session was resumed.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time

from benchmarks.apps import plain
from benchmarks.certificate import HOST
from benchmarks.fault import Fault
from benchmarks.process import Server
from benchmarks.rows import Load, Row

__all__ = ["Shaker", "handshake_in_memory"]

TIMEOUT_SECONDS = 10.0
READ_BYTES = 64 * 1024
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def handshake_in_memory(server: Server, row: Row, seconds: float) -> int:
    """Have the row's clients connect, ask and leave until the time is over.

    Returns:
        how many connections that were, each with its response.

    Raises:
        Fault: a handshake or a response went wrong, or a session was not resumed.
    """
    context = server.client_context
    assert context is not None
    shakers = [Shaker(server, context, row.load is Load.RESUMPTIONS) for _ in range(row.connections)]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=shaker.run, args=(until,)) for shaker in shakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for shaker in shakers:
        if shaker.failure is not None:
            raise Fault(f"{server.contender}: {shaker.failure}")
    return sum(shaker.answered for shaker in shakers)


class Shaker:
    """One client.

    Attributes:
        session: what its next connection resumes.
        answered: how many connections it has had.
        failure: what went wrong, after which it stopped.
    """

    def __init__(self, server: Server, context: ssl.SSLContext, resumes: bool) -> None:
        self._server = server
        self._context = context
        self._resumes = resumes
        self.session: ssl.SSLSession | None = None
        self.answered = 0
        self.failure: str | None = None

    def run(self, until: float) -> None:
        try:
            if self._resumes:
                self._connect()  # a session to begin with
            while time.monotonic() < until:
                self._connect()
                self.answered += 1
        except OSError as error:  # those of TLS are among them
            self.failure = repr(error)
        except Fault as fault:
            self.failure = str(fault)

    def _connect(self) -> None:
        session = self.session
        with (
            socket.create_connection((HOST, self._server.port), TIMEOUT_SECONDS) as tcp,
            self._context.wrap_socket(tcp, server_hostname=HOST, session=session) as tls,
        ):
            tls.sendall(REQUEST)
            answer = b""
            while data := tls.recv(READ_BYTES):
                answer += data
            if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"\r\n\r\n" + plain.HELLO):
                raise Fault(f"a wrong response, {answer[:60]!r}")
            if tls.session_reused is not (self._resumes and session is not None):
                raise Fault(f"the session was {'' if tls.session_reused else 'not '}resumed")
            if self._resumes:
                self.session = tls.session
