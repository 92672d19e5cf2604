"""The ASGI applications under test.

`app` does what a request tells it. The field `x-script` holds a list, written as a Python literal, of what to do one
after the other: a dictionary is a message to send, a tuple is a verb of `VERBS` with its arguments. So a test shows
both halves: what the application says and what then stands on the wire. What happened is kept under the name in
`x-id`, and `/events` tells it.
"""

from __future__ import annotations

import ast
import asyncio
import contextvars
import gc
import json
import os
import resource
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import whorl

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATIENCE_SECONDS = 20.0
GATES: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
EVENTS: dict[str, list[Any]] = defaultdict(list)
HAPPENED = asyncio.Condition()
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class OwnError(BaseException):
    """As packages have that want to pass by `except Exception`: gevent's Timeout, pytest's Exit."""


def cycle_of_causes() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def nested_groups(inmost: Exception | None = None, depth: int = 20_000) -> Exception:
    error = inmost or ValueError("inmost")
    for _ in range(depth):
        error = ExceptionGroup("around", [error])
    return error


def group_within_itself() -> Exception:
    part = ValueError("part")
    group = ExceptionGroup("around", [part])
    part.__cause__ = group
    return group


SHAPES: dict[str, Callable[[], Exception]] = {
    make.__name__: make for make in (cycle_of_causes, nested_groups, group_within_itself)
}

# What must be gone when the clients are.
WATCHED = (
    "Http1Connection",
    "Exchange",
    "RequestReader",
    "WebSocketSession",
    "TlsTransport",
    "SSLObject",
    "TimerHandle",
)


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Does what the request says."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
        return
    fields = dict(scope["headers"])
    query = dict(parse_qsl(scope["query_string"].decode()))
    if b"x-script" in fields:
        script = Script(fields.get(b"x-id", b"").decode(), receive, send)
        await script.run(ast.literal_eval(fields[b"x-script"].decode()))
    elif scope["type"] == "websocket":
        await WEBSOCKETS[scope["path"]](scope, receive, send)
    elif b"x-tell" in fields:
        await tell_scope(scope, query, receive, send)
    elif scope["path"] in PATHS:
        await PATHS[scope["path"]](scope, query, receive, send)
    else:
        await reply(send, b"hello")


async def live(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """A lifespan with something in its state."""
    scope["state"]["shared"] = ["from the lifespan"]
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            print("lifespan has shut down", flush=True)
            return


async def reply(send: Send, content: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": content})


async def record(name: str, event: Any) -> None:
    async with HAPPENED:
        EVENTS[name].append(event)
        HAPPENED.notify_all()


class Script:
    """Runs the steps of one request.

    Args:
        name: where its events go.
    """

    def __init__(self, name: str, receive: Receive, send: Send) -> None:
        self.name = name
        self.receive = receive
        self.send = send

    async def run(self, steps: list[Any]) -> None:
        for step in steps:
            if isinstance(step, dict):
                await self.send(step)
            else:
                verb, *arguments = step
                await VERBS[verb](self, *arguments)

    async def note(self, event: Any) -> None:
        await record(self.name, event)

    async def note_error(self, error: Exception) -> None:
        await self.note(f"{'OSError' if isinstance(error, OSError) else type(error).__name__}: {error}")

    async def wait(self, gate: str) -> None:
        await GATES[gate].wait()

    async def wait_for_shutdown(self) -> None:
        await whorl.shutdown().wait()

    async def open(self, gate: str) -> None:
        GATES[gate].set()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def print(self, line: str) -> None:
        print(line, flush=True)

    async def block_a_thread(self, seconds: float) -> None:
        """Wait for work that is done in a thread."""
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, seconds)

    async def block(self, seconds: float) -> None:
        """Hold up the loop, as a mistake in an application does."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(0.01)

    async def fail(self) -> None:
        raise ZeroDivisionError("as the script says")

    async def fail_as(self, shape: str) -> None:
        """Raise an error whose causes or parts have an odd shape."""
        raise SHAPES[shape]()

    async def cancel(self) -> None:
        raise asyncio.CancelledError

    async def limit_memory(self, more: int) -> None:
        """Let the process have so much more memory; none for as much as it likes."""
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft = pages * os.sysconf("SC_PAGESIZE") + more if more else hard
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    async def fail_with(self, kind: str) -> None:
        """Raise an error that is no ordinary one."""
        raise {"GeneratorExit": GeneratorExit, "MemoryError": MemoryError, "Own": OwnError}[kind]("as the script says")

    async def attempt(self, message: Message) -> None:
        """Send, and note how it went."""
        try:
            await self.send(message)
        except Exception as error:
            await self.note_error(error)
        else:
            await self.note("sent")

    async def hear(self) -> None:
        """Receive one message, and note it."""
        message = await self.receive()
        await self.note(message if len(message.get("body", b"")) < 100 else {**message, "body": len(message["body"])})

    async def read(self) -> None:
        """Receive the whole request body, and note its length."""
        received = 0
        more_body = True
        while more_body:
            message = await self.receive()
            received += len(message["body"])
            more_body = message["more_body"]
        await self.note(received)

    async def read_slowly(self) -> None:
        """The same, with pauses, and note the length of each piece."""
        more_body = True
        while more_body:
            await asyncio.sleep(0.002)
            message = await self.receive()
            EVENTS[self.name].append(len(message["body"]))
            more_body = message["more_body"]

    async def until_gone(self) -> None:
        """Receive until the disconnect, and note what came."""
        received = 0
        while (message := await self.receive())["type"] == "http.request":
            received += len(message["body"])
        await self.note(f"{message['type']} after {received}")

    async def stream(self, count: int, size: int) -> None:
        """Send content in pieces, and note how many."""
        for number in range(count):
            await self.send({"type": "http.response.body", "body": b"%d" % (number % 10) * size, "more_body": True})
            EVENTS[self.name].append(number)

    async def send_until_it_raises(self) -> None:
        """Send content without end, and note what ended it."""
        try:
            while True:
                await self.send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0)
        except Exception as error:
            await self.note_error(error)

    async def stream_without_waiting(self, size: int, count: int) -> None:
        """Send content in pieces, never waiting for anything else, and note what ended it."""
        try:
            for _ in range(count):
                await self.send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        except OSError as error:
            await self.note_error(error)
        else:
            await self.note("nobody said that the client has left")

    async def content(self, size: int) -> None:
        """Send all content at once."""
        await self.send({"type": "http.response.body", "body": b"." * size})

    async def get_variable(self) -> None:
        await self.note(VARIABLE.get())

    async def set_variable(self, value: str) -> None:
        VARIABLE.set(value)

    async def ignore_cancellation(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await self.note("ignored a cancellation")

    async def note_cancellation(self) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            print(f"{self.name} has cleaned up", flush=True)
            raise

    async def push(self, count: int, size: int) -> None:
        """Send messages over a WebSocket without receiving any, and note how many left and what ended it."""
        try:
            for number in range(count):
                await self.send({"type": "websocket.send", "text": f"{number % 10}" * size})
                EVENTS[self.name].append(number)
        except Exception as error:
            await self.note_error(error)

    async def push_in_tasks(self, count: int, size: int) -> None:
        """The same, each message in a task of its own, as a broadcast does that waits for nobody."""

        async def push_one(number: int) -> None:
            await self.send({"type": "websocket.send", "text": f"{number % 10}" * size})
            EVENTS[self.name].append(number)

        for error in await asyncio.gather(*map(push_one, range(count)), return_exceptions=True):
            if isinstance(error, Exception):
                await self.note_error(error)
                break

    async def hear_or_stop(self, seconds: float) -> None:
        """Wait for a message in a task that is cancelled after a while."""
        try:
            async with asyncio.timeout(seconds):
                await self.hear()
        except TimeoutError:
            await self.note("nothing came")

    async def poll(self, what: str, count: int) -> None:
        """Begin to wait and give up at once, so many times. Note how many objects more there are afterwards."""
        wait = {"receive": self.receive, "shutdown": whorl.shutdown().wait}[what]
        await self.give_up(wait, count)

    async def poll_send(self, small: Message, key: str, size: int, count: int) -> None:
        """The same with send(), while the client has a large message to read."""
        filling = asyncio.ensure_future(self.send({**small, key: small[key] * size}))
        await asyncio.sleep(0)
        await self.give_up(lambda: self.send({**small, key: small[key][:0]}), count)
        await filling

    async def give_up(self, wait: Callable[[], Awaitable[Any]], count: int) -> None:
        await give_up(wait, 10)
        gc.collect()
        before = len(gc.get_objects())
        await give_up(wait, count)
        gc.collect()
        await self.note(len(gc.get_objects()) - before)

    async def echo_all(self) -> None:
        """Echo messages until the disconnect, and note that."""
        while (message := await self.receive())["type"] == "websocket.receive":
            await self.send({**message, "type": "websocket.send"})
        await self.note(message)

    async def echo_until_shutdown(self, words: str, code: int, reason: str) -> None:
        """Echo messages until the server is to leave; then say something last, for which there is much to do, and
        close."""
        echoing = asyncio.create_task(self.echo_all())
        await whorl.shutdown().wait()
        await asyncio.sleep(0.1)
        await self.send({"type": "websocket.send", "text": words})
        await self.send({"type": "websocket.close", "code": code, "reason": reason})
        await echoing


VERBS: dict[str, Any] = {
    name: value for name, value in vars(Script).items() if not name.startswith("_") and name not in ("run",)
}


async def give_up(wait: Callable[[], Awaitable[Any]], times: int) -> None:
    """Have tasks wait that are cancelled before anything comes."""
    for _ in range(times):
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task


async def tell_scope(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """The scope as a Python literal. What it holds is then changed: no other request may see that."""
    literal = repr(scope).encode()
    scope["asgi"]["version"] = "changed"
    scope["extensions"].clear()
    scope["headers"].clear()
    if "state" in scope:
        scope["state"]["added"] = True
    await reply(send, literal)


async def tell_events(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """What happened under a name so far, or as soon as there are `count` events."""
    name, count = query["name"], int(query.get("count", "0"))
    async with HAPPENED:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await HAPPENED.wait_for(lambda: len(EVENTS[name]) >= count)
    await reply(send, repr(EVENTS[name]).encode())


async def open_gate(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    GATES[query["name"]].set()
    await reply(send, b"")


async def echo(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """The request's content, once it is all here."""
    content = b""
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        content += message["body"]
        more_body = message["more_body"]
    await reply(send, content)


async def echo_stream(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """The request's content, as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more_body = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more_body})


async def count_content(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    received = 0
    more_body = True
    while more_body:
        message = await receive()
        received += len(message["body"])
        more_body = message["more_body"]
    await reply(send, b"%d" % received)


async def tell_kinds(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """Content in what is nearly bytes, and changed right after it was sent."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    octets = bytearray(b"abc")
    view = dict(scope["headers"])[b"x-kind"] == b"memoryview"
    await send({"type": "http.response.body", "body": memoryview(octets) if view else octets})
    octets[:] = b"xyz"


async def inspect(scope: dict[str, Any], query: dict[str, str], receive: Receive, send: Send) -> None:
    """What this process holds: objects by type, tasks, and the timers of asyncio's own loop."""
    gc.collect()
    kinds = [type(thing).__name__ for thing in gc.get_objects()]
    found = {kind: kinds.count(kind) for kind in WATCHED}
    found["tasks"] = len(asyncio.all_tasks())
    found["timers"] = len(getattr(asyncio.get_running_loop(), "_scheduled", ()))
    await reply(send, json.dumps(found).encode())


async def echo_websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Every message, as it came."""
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})
    await Script(dict(scope["headers"]).get(b"x-id", b"").decode(), receive, send).echo_all()


async def tell_websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The scope as a Python literal, in one message."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    await send({"type": "websocket.send", "text": repr(scope)})


WEBSOCKETS: dict[str, Any] = {"/echo": echo_websocket, "/scope": tell_websocket}

PATHS: dict[str, Any] = {
    "/scope": tell_scope,
    "/events": tell_events,
    "/open": open_gate,
    "/echo": echo,
    "/echo-stream": echo_stream,
    "/count": count_content,
    "/kinds": tell_kinds,
    "/inspect": inspect,
}


async def frozen(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Its start-up never ends."""
    print("starting", flush=True)
    await asyncio.sleep(3600)


async def stuck(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Its start-up holds up the loop."""
    print("starting", flush=True)
    time.sleep(3600)


async def broken(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Its start-up fails."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
