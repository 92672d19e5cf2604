"""The contract in Litestar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get, head, post, route
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State
from litestar.response import File, Redirect, Stream

from tests.frameworks import contract

AnyRequest = Request[Any, Any, Any]
stage = contract.Stage()


@get("/json")
async def greet() -> dict[str, Any]:
    return contract.GREETING


@head("/json", media_type=MediaType.JSON)
async def greet_head() -> None:
    pass


@route("/echo/{word:str}", http_method=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], status_code=200)
async def echo(request: AnyRequest) -> dict[str, Any]:
    word, queries = request.path_params["word"], request.query_params.getall("q")
    return contract.echoed(request.method, word, queries, request.headers["x-word"])


@route("/body", http_method=["GET", "POST", "PUT", "PATCH", "DELETE"], status_code=200)
async def body(request: AnyRequest) -> dict[str, Any]:
    return contract.digest(await request.body())


@post("/body/pieces", status_code=200)
async def body_pieces(request: AnyRequest) -> dict[str, Any]:
    return contract.digest(b"".join([piece async for piece in request.stream()]))


@post("/form", status_code=200)
async def form(request: AnyRequest) -> dict[str, Any]:
    fields = await request.form()
    return {"name": fields["name"], "word": fields.getall("word")}


@post("/upload", status_code=200)
async def upload(request: AnyRequest) -> dict[str, Any]:
    fields = await request.form()
    file = fields["file"]
    return {"title": fields["title"], "filename": file.filename, **contract.digest(await file.read())}


@get("/drip")
async def drip() -> Stream:
    return Stream(stage.drip(), media_type="text/plain")


@post("/release", status_code=204)
async def release() -> None:
    stage.release()


@get("/events/{name:str}")
async def events(request: AnyRequest) -> Stream:
    return Stream(stage.events(request.path_params["name"]), media_type="text/event-stream")


@get("/wait/{name:str}")
async def wait(request: AnyRequest) -> None:
    name = request.path_params["name"]
    stage.enter(name)
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stage.note(name)


@get("/noticed/{name:str}")
async def noticed(request: AnyRequest) -> dict[str, bool]:
    return await stage.noticed(request.path_params["name"])


@get("/cookies/set")
async def set_cookies() -> Response[None]:
    response = Response(None)
    for name, value in contract.COOKIES.items():
        response.set_cookie(name, value, httponly=True)
    return response


@get("/cookies")
async def cookies(request: AnyRequest) -> dict[str, str]:
    return request.cookies


@get("/redirect", status_code=302)
async def redirect() -> Redirect:
    return Redirect("/json")


@get("/empty", status_code=204)
async def empty() -> None:
    pass


@get("/fail")
async def fail() -> None:
    raise RuntimeError("failed, as asked")


@get("/fail/midway")
async def fail_midway() -> Stream:
    return Stream(stage.fail_midway())


@get("/file")
async def file() -> File:
    return File(contract.file_path())


@head("/file")
async def file_head() -> File:
    return File(contract.file_path())


@get("/background", media_type="text/plain")
async def background() -> Response[bytes]:
    return Response(b"answered", background=BackgroundTask(stage.after_response))


@get("/state")
async def started(state: State) -> dict[str, int]:
    return {"started": state.started}


@get("/meet")
async def meet() -> dict[str, int]:
    return await stage.meet()


@get("/time-out")
async def time_out() -> dict[str, bool]:
    return await stage.time_out()


@get("/context")
async def context() -> dict[str, Any]:
    return contract.context_before()


@get("/thread", sync_to_thread=True)
def thread() -> dict[str, bool]:
    return contract.in_main_thread()


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.started = 1
    yield
    contract.say_shut_down()


app = Litestar(
    lifespan=[lifespan],
    openapi_config=None,
    route_handlers=[
        greet,
        greet_head,
        echo,
        body,
        body_pieces,
        form,
        upload,
        drip,
        release,
        events,
        wait,
        noticed,
        set_cookies,
        cookies,
        redirect,
        empty,
        fail,
        fail_midway,
        file,
        file_head,
        background,
        started,
        meet,
        time_out,
        context,
        thread,
    ],
)
