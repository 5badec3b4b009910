"""The security headers that Django and django-csp do not set: on every answer, errors and static files too."""

from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

NOTHING = (
    "accelerometer camera display-capture fullscreen geolocation gyroscope hid magnetometer microphone midi payment "
    "picture-in-picture publickey-credentials-get screen-wake-lock serial usb web-share xr-spatial-tracking"
)
HEADERS = {
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in NOTHING.split()),
    # No other site can load what a signed-in browser gets here.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}


class Middleware:
    """Stands outside of all others, so that no answer passes it by."""

    # Both: a hop between threads for each request would be the price of one.
    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._later(request)
        return _with_headers(self.get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return _with_headers(await self.get_response(request))


def _with_headers(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # Static files say how long they are kept; all else may hold messages, or names of rooms.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
