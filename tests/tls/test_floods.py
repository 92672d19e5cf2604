"""A flood of KeyUpdate from clients that do not read (RFC 8446 section 4.6.3). `make soak` sends enough to see it."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness import serve
from tests.server.client import get
from tests.server.test_floods import MOST_KEPT_BYTES, SOAK, resident_bytes
from tests.tls.client import Authority, TlsClient
from tests.tls.records import Records

CLIENTS = 20
UPDATES = 20_000
BATCH = 200


@pytest.mark.skipif(not SOAK, reason="takes a minute and more; run by make soak. test_shares.py has the short form")
def test_key_updates_whose_answers_are_not_read(
    loop_name: str, certificate: dict[str, object], authority: Authority, tmp_path: Path
) -> None:
    options = {"loop": loop_name, "access_log": False, "timeout_response": 1.0, **certificate}
    with serve("tests.apps:app", **options) as server, ExitStack() as stack:  # type: ignore[arg-type]
        other = stack.enter_context(TlsClient(server, authority.context()))
        assert other.ask(get()).content == b"hello"
        before = most = resident_bytes(server)
        flood: dict[socket.socket, Records] = {}
        for number in range(CLIENTS):
            keys = tmp_path / f"keys{number}"
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            assert isinstance(server.address, tuple)
            plain.connect(server.address)
            context = authority.context(keylog_filename=str(keys))
            client = context.wrap_socket(plain, server_hostname="localhost")
            raw = stack.enter_context(socket.socket(fileno=client.detach()))
            raw.setblocking(False)
            flood[raw] = Records(keys)
        left = dict.fromkeys(flood, UPDATES)
        unsent = dict.fromkeys(flood, b"")
        while left:
            _, writable, _ = select.select([], list(left), [], 3.0)
            if not writable:
                break  # none of them is read any more
            for raw in writable:
                records = flood[raw]
                wire = unsent[raw] or b"".join(records.key_update() for _ in range(BATCH))
                try:
                    unsent[raw] = wire[raw.send(wire) :]
                except ConnectionError:  # reset, because it took nothing for timeout_response
                    del left[raw]
                    continue
                left[raw] -= BATCH
                if left[raw] <= 0 and not unsent[raw]:
                    del left[raw]
            assert other.ask(get()).content == b"hello"
            most = max(most, resident_bytes(server))
        print(f"{CLIENTS} x {UPDATES} KeyUpdates on {loop_name}: +{(most - before) >> 20} MiB")
        assert most - before < MOST_KEPT_BYTES
        assert server.stop() == 0
