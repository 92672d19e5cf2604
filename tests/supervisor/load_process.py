"""`python -m tests.supervisor.load_process HOST PORT`: the load of `load`, in a process of its own, for one that has to
be elsewhere (`network`).

It begins when somebody accepts there. Each line on standard input is answered with a line of JSON: how many requests
were sent, answered and failed so far, and who answered since the last line. It ends with standard input.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from tests.supervisor.load import Load

TIMEOUT_SECONDS = 10.0


class Place:
    """Where to connect."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.stderr: list[str] = []

    def connect(self) -> socket.socket:
        return socket.create_connection(self._address, TIMEOUT_SECONDS)

    def wait(self) -> None:
        """Until somebody accepts."""
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
    place = Place(host, int(port))
    place.wait()
    with Load(place) as load:
        for _ in sys.stdin:
            voices = load.taken_voices()
            state = {"sent": load.sent, "answered": load.answered, "failed": load.failed, "voices": voices}
            print(json.dumps(state), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
