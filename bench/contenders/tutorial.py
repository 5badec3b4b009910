"""The tutorials' way: a consumer for each socket, group_add, group_send, send_json. Stores nothing, asks no rights."""

import json
import os
import sys
from typing import Any

import django
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

from bench.wire import message_for

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # redis-py's own time limit of 5 s would end the layer's blocking read, its own limit of 100 connections
            # would refuse most sockets, and the layer's default capacity of 100 would drop messages.
            "CONFIG": {
                "hosts": [{"address": os.environ["REDIS_URL"], "socket_timeout": None, "max_connections": 5000}],
                "capacity": 10_000,
            },
        }
    },
)
django.setup()


class TutorialConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add("room_1", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("room_1", self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.channel_layer.group_send(
            "room_1", {"type": "chat.message", "content": message_for(json.dumps(content))}
        )

    async def chat_message(self, event: Any) -> None:
        await self.send_json(json.loads(event["content"]))


application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("", TutorialConsumer.as_asgi())])}  # type: ignore[list-item, arg-type]
)


def main(server: str, fd: int) -> None:
    if server == "uvicorn":
        import uvicorn

        uvicorn.run(
            application,
            fd=fd,
            loop="uvloop",
            ws="websockets",
            log_level="error",
            ws_ping_interval=None,
            ws_per_message_deflate=False,
        )
    else:
        from daphne.server import Server

        Server(application, endpoints=[f"fd:fileno={fd}"], ping_interval=600).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
