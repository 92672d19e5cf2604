"""The contract in Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.frameworks import contract

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
stage = contract.Stage()


async def greet(request: Request) -> Response:
    return JSONResponse(contract.GREETING)


async def echo(request: Request) -> Response:
    queries = request.query_params.getlist("q")
    word = request.path_params["word"]
    return JSONResponse(contract.echoed(request.method, word, queries, request.headers["x-word"]))


async def body(request: Request) -> Response:
    return JSONResponse(contract.digest(await request.body()))


async def body_pieces(request: Request) -> Response:
    return JSONResponse(contract.digest(b"".join([piece async for piece in request.stream()])))


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse({"name": fields["name"], "word": fields.getlist("word")})


async def upload(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        assert isinstance(file, UploadFile)
        content = await file.read()
        return JSONResponse({"title": fields["title"], "filename": file.filename, **contract.digest(content)})


async def drip(request: Request) -> Response:
    return StreamingResponse(stage.drip(), media_type="text/plain")


async def release(request: Request) -> Response:
    stage.release()
    return Response(status_code=204)


async def events(request: Request) -> Response:
    return StreamingResponse(stage.events(request.path_params["name"]), media_type="text/event-stream")


async def wait(request: Request) -> Response:
    name = request.path_params["name"]
    stage.enter(name)
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    stage.note(name)
    return Response()


async def noticed(request: Request) -> Response:
    return JSONResponse(await stage.noticed(request.path_params["name"]))


async def set_cookies(request: Request) -> Response:
    response = Response()
    for name, value in contract.COOKIES.items():
        response.set_cookie(name, value, httponly=True)
    return response


async def cookies(request: Request) -> Response:
    return JSONResponse(request.cookies)


async def redirect(request: Request) -> Response:
    return RedirectResponse("/json", 302)


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def fail(request: Request) -> Response:
    raise RuntimeError("failed, as asked")


async def fail_midway(request: Request) -> Response:
    return StreamingResponse(stage.fail_midway())


async def file(request: Request) -> Response:
    return FileResponse(contract.file_path())


async def background(request: Request) -> Response:
    return Response(b"answered", background=BackgroundTask(stage.after_response))


async def state(request: Request) -> Response:
    return JSONResponse({"started": request.state.started})


async def meet(request: Request) -> Response:
    return JSONResponse(await stage.meet())


async def time_out(request: Request) -> Response:
    return JSONResponse(await stage.time_out())


async def context(request: Request) -> Response:
    return JSONResponse(contract.context_before())


def thread(request: Request) -> Response:
    return JSONResponse(contract.in_main_thread())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"started": 1}
    contract.say_shut_down()


app = Starlette(
    lifespan=lifespan,
    middleware=[Middleware(contract.NotePathsend, stage=stage)],
    routes=[
        Route("/json", greet),
        Route("/echo/{word}", echo, methods=ANY),
        Route("/body", body, methods=ANY),
        Route("/body/pieces", body_pieces, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/drip", drip),
        Route("/release", release, methods=["POST"]),
        Route("/events/{name}", events),
        Route("/wait/{name}", wait),
        Route("/noticed/{name}", noticed),
        Route("/cookies/set", set_cookies),
        Route("/cookies", cookies),
        Route("/redirect", redirect),
        Route("/empty", empty),
        Route("/fail", fail),
        Route("/fail/midway", fail_midway),
        Route("/file", file),
        Route("/background", background),
        Route("/state", state),
        Route("/meet", meet),
        Route("/time-out", time_out),
        Route("/context", context),
        Route("/thread", thread),
    ],
)
