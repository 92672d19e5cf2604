"""The room in Django Channels."""

from __future__ import annotations

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import InMemoryChannelLayer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import re_path

settings.configure(
    SECRET_KEY="tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    CHANNEL_LAYERS={"default": {"BACKEND": f"{InMemoryChannelLayer.__module__}.InMemoryChannelLayer"}},
)
urlpatterns: list[object] = []


class FdBudget(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        self.name = self.scope["url_route"]["kwargs"]["name"]
        if self.name == "closed":
            await self.close()
            return
        await self.channel_layer.group_add(self.name, self.channel_name)
        await self.accept("room" if "room" in self.scope["subprotocols"] else None)

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.name, self.channel_name)
        await self.channel_layer.group_send(self.name, {"type": "said", "text": f"left {code}"})

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is not None:
            await self.send(bytes_data=bytes_data[::-1])
        elif text_data == "bye":
            await self.close(4000, "as you wish")
        else:
            await self.channel_layer.group_send(self.name, {"type": "said", "text": text_data})

    async def said(self, event: dict[str, str]) -> None:
        await self.send(event["text"])


http = get_asgi_application()
app = ProtocolTypeRouter({"http": http, "websocket": URLRouter([re_path(r"^room/(?P<name>\w+)$", FdBudget.as_asgi())])})
