"""The contract in Django: views, one settings module's worth of settings, and the middleware that a new project has."""

from __future__ import annotations

from typing import Any

from django import setup  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.http import (  # type: ignore[import-untyped]
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path  # type: ignore[import-untyped]

from tests.frameworks import contract

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not secret",
    TIME_ZONE="UTC",
    USE_TZ=True,
)
setup()
stage = contract.Stage()


async def greet(request: HttpRequest) -> HttpResponse:
    return JsonResponse(contract.GREETING)


async def echo(request: HttpRequest, word: str) -> HttpResponse:
    queries = request.GET.getlist("q")
    return JsonResponse(contract.echoed(str(request.method), word, queries, request.headers["x-word"]))


async def body(request: HttpRequest) -> HttpResponse:
    return JsonResponse(contract.digest(request.body))


async def body_pieces(request: HttpRequest) -> HttpResponse:
    return JsonResponse(contract.digest(b"".join(iter(lambda: request.read(65536), b""))))


async def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"name": request.POST["name"], "word": request.POST.getlist("word")})


async def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    return JsonResponse({"title": request.POST["title"], "filename": file.name, **contract.digest(file.read())})


async def drip(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(stage.drip(), content_type="text/plain")


async def release(request: HttpRequest) -> HttpResponse:
    stage.release()
    return HttpResponse(status=204)


async def events(request: HttpRequest, name: str) -> HttpResponseBase:
    return StreamingHttpResponse(stage.events(name), content_type="text/event-stream")


async def wait(request: HttpRequest, name: str) -> HttpResponse:
    await stage.wait_for_ever(name)
    return HttpResponse()


async def noticed(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse(await stage.noticed(name))


async def set_cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse()
    for name, value in contract.COOKIES.items():
        response.set_cookie(name, value, httponly=True)
    return response


async def cookies(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.COOKIES)


async def redirect(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/json")


async def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


async def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("failed, as asked")


async def fail_midway(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(stage.fail_midway())


async def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(open(contract.file_path(), "rb"))


async def background(request: HttpRequest) -> HttpResponse:
    stage.start_after_response()
    return HttpResponse(b"answered")


async def meet(request: HttpRequest) -> HttpResponse:
    return JsonResponse(await stage.meet())


async def time_out(request: HttpRequest) -> HttpResponse:
    return JsonResponse(await stage.time_out())


async def context(request: HttpRequest) -> HttpResponse:
    return JsonResponse(contract.context_before())


def thread(request: HttpRequest) -> HttpResponse:
    return JsonResponse(contract.in_main_thread())


urlpatterns: list[Any] = [
    path("json", greet),
    path("echo/<word>", echo),
    path("body", body),
    path("body/pieces", body_pieces),
    path("form", form),
    path("upload", upload),
    path("drip", drip),
    path("release", release),
    path("events/<name>", events),
    path("wait/<name>", wait),
    path("noticed/<name>", noticed),
    path("cookies/set", set_cookies),
    path("cookies", cookies),
    path("redirect", redirect),
    path("empty", empty),
    path("fail", fail),
    path("fail/midway", fail_midway),
    path("file", file),
    path("background", background),
    path("meet", meet),
    path("time-out", time_out),
    path("context", context),
    path("thread", thread),
]

app = get_asgi_application()
