"""The contract in BlackSheep. What it cannot do by itself (a handler in a thread, background tasks), asyncio does."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from blacksheep import Application, Content, Cookie, Request, Response, StreamedContent
from blacksheep.server.responses import file as file_response
from blacksheep.server.responses import json, no_content, redirect, status_code
from blacksheep.server.routing import Router

from tests.frameworks import contract

stage = contract.Stage()
router = Router()
app = Application(router=router)
started: dict[str, int] = {}


@app.on_start
async def start(application: Application) -> None:
    started["started"] = 1


@app.on_stop
async def shut_down(application: Application) -> None:
    contract.say_shut_down()


def word_in(request: Request, name: str) -> str:
    values = request.route_values
    assert values is not None
    return str(values[name])


@router.get("/json")
async def greet(request: Request) -> Response:
    return json(contract.GREETING)


@router.head("/json")
async def greet_head(request: Request) -> Response:
    return json(contract.GREETING)


@router.route("/echo/:word", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def echo(request: Request) -> Response:
    header = request.get_single_header(b"x-word").decode("latin-1")
    return json(contract.echoed(request.method, word_in(request, "word"), request.query["q"], header))


@router.route("/body", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def body(request: Request) -> Response:
    return json(contract.digest(await request.read() or b""))


@router.post("/body/pieces")
async def body_pieces(request: Request) -> Response:
    pieces: Any = request.stream()  # its declared type is not that of an asynchronous generator
    return json(contract.digest(b"".join([piece async for piece in pieces])))


@router.post("/form")
async def form(request: Request) -> Response:
    fields = await request.form() or {}
    return json({"name": fields["name"], "word": fields["word"]})


@router.post("/upload")
async def upload(request: Request) -> Response:
    fields = await request.form() or {}
    file = (await request.files("file"))[0]
    content = file.file.read() if file.file is not None else file.data
    name = (file.file_name or b"").decode()
    return json({"title": fields["title"], "filename": name, **contract.digest(content)})


@router.get("/drip")
async def drip(request: Request) -> Response:
    return Response(200, content=StreamedContent(b"text/plain", stage.drip))


@router.post("/release")
async def release(request: Request) -> Response:
    stage.release()
    return no_content()


@router.get("/events/:name")
async def events(request: Request) -> Response:
    provider = partial(stage.events, word_in(request, "name"))
    return Response(200, content=StreamedContent(b"text/event-stream", provider))


@router.get("/wait/:name")
async def wait(request: Request) -> Response:
    name = word_in(request, "name")
    stage.enter(name)
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    stage.note(name)
    return no_content()


@router.get("/noticed/:name")
async def noticed(request: Request) -> Response:
    return json(await stage.noticed(word_in(request, "name")))


@router.get("/cookies/set")
async def set_cookies(request: Request) -> Response:
    response = status_code(200, "")
    for name, value in contract.COOKIES.items():
        response.set_cookie(Cookie(name, value, http_only=True))
    return response


@router.get("/cookies")
async def cookies(request: Request) -> Response:
    return json(request.cookies)


@router.get("/redirect")
async def to_json(request: Request) -> Response:
    return redirect("/json")


@router.get("/empty")
async def empty(request: Request) -> Response:
    return no_content()


@router.get("/fail")
async def fail(request: Request) -> Response:
    raise RuntimeError("failed, as asked")


@router.get("/fail/midway")
async def fail_midway(request: Request) -> Response:
    return Response(200, content=StreamedContent(b"text/plain", stage.fail_midway))


@router.get("/file")
async def file(request: Request) -> Response:
    return file_response(contract.file_path(), "application/octet-stream")


@router.head("/file")
async def file_head(request: Request) -> Response:
    return file_response(contract.file_path(), "application/octet-stream")


@router.get("/background")
async def background(request: Request) -> Response:
    stage.start_after_response()
    return Response(200, content=Content(b"text/plain", b"answered"))


@router.get("/state")
async def state(request: Request) -> Response:
    return json(started)


@router.get("/meet")
async def meet(request: Request) -> Response:
    return json(await stage.meet())


@router.get("/time-out")
async def time_out(request: Request) -> Response:
    return json(await stage.time_out())


@router.get("/context")
async def context(request: Request) -> Response:
    return json(contract.context_before())


@router.get("/thread")
async def thread(request: Request) -> Response:
    in_main: dict[str, Any] = await asyncio.to_thread(contract.in_main_thread)
    return json(in_main)
