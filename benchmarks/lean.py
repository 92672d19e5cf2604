"""A floor in Python: what a server costs that checks nothing, bounds nothing and knows no state (BUDGET.md).

    python -m benchmarks.lean PORT      serves benchmarks.apps.plain on uvloop; for wrk, by hand

It is no contender: it answers what is malformed, and loses what does not come in one piece.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import Task
from typing import Any

from benchmarks.apps import plain


class Lean(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        line, _, rest = data.partition(b"\r\n")
        method, target, _ = line.split(b" ")
        headers = []
        for field in rest.split(b"\r\n"):
            if field:
                name, _, value = field.partition(b":")
                headers.append((name.lower(), value.strip()))
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": method.decode(),
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        Task(plain.app(scope, self.receive, self.send), loop=self.loop, eager_start=True)

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            fields = b"".join(b"%b: %b\r\n" % field for field in message["headers"])
            self.head = b"HTTP/1.1 %d OK\r\n%bdate: Tue, 24 Nov 2026 11:10:27 GMT\r\n\r\n" % (message["status"], fields)
        else:
            self.write(self.head + message["body"])


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Lean, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
