"""A Django application in one module: one async view that answers with JSON."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
    LOGGING_CONFIG=None,
)
django.setup()


async def greet(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"message": "Hello, world"})


urlpatterns = [path("", greet)]
app = get_asgi_application()
