"""Adds the security headers that Django and django-csp do not set, also to errors and static files."""

from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

DISABLED_FEATURES = (
    "accelerometer camera display-capture fullscreen geolocation gyroscope hid magnetometer microphone midi payment "
    "picture-in-picture screen-wake-lock serial usb web-share xr-spatial-tracking"
)
# Passkeys, which only our own pages may ask for, and only where they are turned on.
PASSKEYS = f"publickey-credentials-get=({'self' if settings.SECOND_FACTOR else ''})"
HEADERS = {
    "Permissions-Policy": ", ".join([*(f"{feature}=()" for feature in DISABLED_FEATURES.split()), PASSKEYS]),
    # No other site can embed what a signed-in browser may load here.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class Middleware:
    """The outermost middleware, so that every response passes through it."""

    # Supports both: otherwise each request would need an extra hop between threads.
    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._call_async(request)
        return _with_headers(self.get_response(request))

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        return _with_headers(await self.get_response(request))


def _with_headers(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # Static files set their own lifetime. All other responses may contain messages or names of rooms.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
