"""An application for tests of signals: it says on standard error what it does."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from typing import Any

import whorl


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan ended", file=sys.stderr, flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b"ok"
    if scope["path"] == "/slow":
        print("slow begins", file=sys.stderr, flush=True)
        await asyncio.sleep(0.5)
        body = b"slow"
    elif scope["path"] == "/begun":
        body = str(whorl.shutdown().begun).encode()
    elif scope["path"] == "/keep":
        # It holds a copy of every socket that is open now, that of this request among them.
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
        child.start()
        body = str(child.pid).encode()
    elif scope["path"] == "/fork":
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
        child.start()
        child.terminate()
        child.join(5)
        body = str(child.exitcode).encode()
        child.kill()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
