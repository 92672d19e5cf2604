"""The contract in Quart."""

from __future__ import annotations

from typing import Any

from quart import Quart, Response, redirect, request, send_file

from tests.frameworks import contract

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
app = Quart(__name__)
stage = contract.Stage()


@app.before_serving
async def start() -> None:
    app.config["STARTED"] = 1


@app.after_serving
async def shut_down() -> None:
    contract.say_shut_down()


@app.get("/json")
async def greet() -> dict[str, Any]:
    return contract.GREETING


@app.route("/echo/<word>", methods=ANY)
async def echo(word: str) -> dict[str, Any]:
    return contract.echoed(request.method, word, request.args.getlist("q"), request.headers["x-word"])


@app.route("/body", methods=ANY)
async def body() -> dict[str, Any]:
    return contract.digest(await request.body)


@app.post("/body/pieces")
async def body_pieces() -> dict[str, Any]:
    return contract.digest(b"".join([piece async for piece in request.body]))


@app.post("/form")
async def form() -> dict[str, Any]:
    fields = await request.form
    return {"name": fields["name"], "word": fields.getlist("word")}


@app.post("/upload")
async def upload() -> dict[str, Any]:
    fields, files = await request.form, await request.files
    file = files["file"]
    return {"title": fields["title"], "filename": file.filename, **contract.digest(file.read())}


@app.get("/drip")
async def drip() -> Response:
    return Response(stage.drip(), content_type="text/plain")


@app.post("/release")
async def release() -> tuple[str, int]:
    stage.release()
    return "", 204


@app.get("/events/<name>")
async def events(name: str) -> Response:
    response = Response(stage.events(name), content_type="text/event-stream")
    response.timeout = None
    return response


@app.get("/wait/<name>")
async def wait(name: str) -> str:
    await stage.wait_for_ever(name)
    return ""


@app.get("/noticed/<name>")
async def noticed(name: str) -> dict[str, bool]:
    return await stage.noticed(name)


@app.get("/cookies/set")
async def set_cookies() -> Response:
    response = Response("")
    for name, value in contract.COOKIES.items():
        response.set_cookie(name, value, httponly=True)
    return response


@app.get("/cookies")
async def cookies() -> dict[str, str]:
    return dict(request.cookies)


@app.get("/redirect")
async def to_json() -> Any:
    return redirect("/json")


@app.get("/empty")
async def empty() -> tuple[str, int]:
    return "", 204


@app.get("/fail")
async def fail() -> str:
    raise RuntimeError("failed, as asked")


@app.get("/fail/midway")
async def fail_midway() -> Response:
    return Response(stage.fail_midway())


@app.get("/file")
async def file() -> Response:
    return await send_file(contract.file_path())


@app.get("/background")
async def background() -> str:
    app.add_background_task(stage.after_response)
    return "answered"


@app.get("/state")
async def state() -> dict[str, int]:
    return {"started": app.config["STARTED"]}


@app.get("/meet")
async def meet() -> dict[str, int]:
    return await stage.meet()


@app.get("/time-out")
async def time_out() -> dict[str, bool]:
    return await stage.time_out()


@app.get("/context")
async def context() -> dict[str, Any]:
    return contract.context_before()


@app.get("/thread")
def thread() -> dict[str, bool]:
    return contract.in_main_thread()
