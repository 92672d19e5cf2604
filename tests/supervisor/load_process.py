"""`python -m tests.supervisor.load_process HOST PORT`: the load of `load` in a process of its own, which can run in
another network namespace (`network`).

It begins when the address accepts connections. It answers each line on standard input with a line of JSON: how many
requests were sent, answered and failed so far, and what answered since the last line. It ends with standard input.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from tests.supervisor.load import Load

TIMEOUT_SECONDS = 10.0


class Address:
    """Where to connect."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.stderr: list[str] = []

    def connect(self) -> socket.socket:
        return socket.create_connection(self._address, TIMEOUT_SECONDS)

    def wait(self) -> None:
        """Wait until a connection is accepted."""
        ends = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)


def main(host: str, port: str) -> None:
    address = Address(host, int(port))
    address.wait()
    with Load(address) as load:
        for _ in sys.stdin:
            answered_by = load.take_answered_by()
            state = {"sent": load.sent, "answered": load.answered, "failed": load.failed, "answered_by": answered_by}
            print(json.dumps(state), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
