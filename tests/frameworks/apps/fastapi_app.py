"""The contract in FastAPI, as it is used: parameters by annotation, a dependency, a middleware function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, Form, Header, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from tests.frameworks import contract

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
stage = contract.Stage()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"started": 1}
    contract.say_shut_down()


app = FastAPI(lifespan=lifespan)
app.add_middleware(contract.NotePathsend, stage=stage)


@app.middleware("http")
async def mark(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["x-middleware"] = "passed"
    return response


async def the_stage() -> AsyncIterator[contract.Stage]:
    yield stage


TheStage = Annotated[contract.Stage, Depends(the_stage)]


@app.get("/json")
@app.head("/json")
async def greet() -> dict[str, Any]:
    return contract.GREETING


@app.api_route("/echo/{word}", methods=ANY)
async def echo(
    request: Request, word: str, q: Annotated[list[str], Query()], x_word: Annotated[str, Header()]
) -> dict[str, Any]:
    return contract.echoed(request.method, word, q, x_word)


@app.api_route("/body", methods=ANY)
async def body(request: Request) -> dict[str, Any]:
    return contract.digest(await request.body())


@app.post("/body/pieces")
async def body_pieces(request: Request) -> dict[str, Any]:
    return contract.digest(b"".join([piece async for piece in request.stream()]))


@app.post("/form")
async def form(name: Annotated[str, Form()], word: Annotated[list[str], Form()]) -> dict[str, Any]:
    return {"name": name, "word": word}


@app.post("/upload")
async def upload(title: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    return {"title": title, "filename": file.filename, **contract.digest(await file.read())}


@app.get("/drip")
async def drip(stage: TheStage) -> StreamingResponse:
    return StreamingResponse(stage.drip(), media_type="text/plain")


@app.post("/release", status_code=204)
async def release(stage: TheStage) -> None:
    stage.release()


@app.get("/events/{name}")
async def events(name: str, stage: TheStage) -> StreamingResponse:
    return StreamingResponse(stage.events(name), media_type="text/event-stream")


@app.get("/wait/{name}")
async def wait(request: Request, name: str, stage: TheStage) -> None:
    stage.enter(name)
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stage.note(name)


@app.get("/noticed/{name}")
async def noticed(name: str, stage: TheStage) -> dict[str, bool]:
    return await stage.noticed(name)


@app.get("/cookies/set")
async def set_cookies(response: Response) -> None:
    for name, value in contract.COOKIES.items():
        response.set_cookie(name, value, httponly=True)


@app.get("/cookies")
async def cookies(flavour: Annotated[str, Cookie()], size: Annotated[str, Cookie()]) -> dict[str, str]:
    return {"flavour": flavour, "size": size}


@app.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/json", 302)


@app.get("/empty", status_code=204)
async def empty() -> None:
    pass


@app.get("/fail")
async def fail() -> None:
    raise RuntimeError("failed, as asked")


@app.get("/fail/midway")
async def fail_midway(stage: TheStage) -> StreamingResponse:
    return StreamingResponse(stage.fail_midway())


@app.get("/file")
@app.head("/file")
async def file() -> FileResponse:
    return FileResponse(contract.file_path())


@app.get("/background")
async def background(tasks: BackgroundTasks, stage: TheStage) -> Response:
    tasks.add_task(stage.after_response)
    return Response(b"answered", background=tasks)


@app.get("/state")
async def state(request: Request) -> dict[str, int]:
    return {"started": request.state.started}


@app.get("/meet")
async def meet(stage: TheStage) -> dict[str, int]:
    return await stage.meet()


@app.get("/time-out")
async def time_out(stage: TheStage) -> dict[str, bool]:
    return await stage.time_out()


@app.get("/context")
async def context() -> dict[str, Any]:
    return contract.context_before()


@app.get("/thread")
def thread() -> dict[str, bool]:
    return contract.in_main_thread()
