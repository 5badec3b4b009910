"""Web Push over HTTP: subscribing and unsubscribing a browser, and the service worker and manifest of the page."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chat import limits, outgoing, web_push
from chat.room_views import answers_json, read_body, user_of
from chat.store import push

# What static/chat/service_worker.js says.
WORKER_SENTENCES = (gettext_noop("You have new messages."), gettext_noop("Alert in {room}"))
Key = Annotated[str, msgspec.Meta(max_length=100)]
Address = Annotated[str, msgspec.Meta(max_length=outgoing.MAX_URL)]


class Keys(msgspec.Struct):
    p256dh: Key
    auth: Key


class Subscription(msgspec.Struct):
    """As a browser gives it (`PushSubscription.toJSON()`), and what the user wants."""

    endpoint: Address
    keys: Keys
    shows_text: bool = False
    # In seconds since 1970.
    paused_until: float = 0


class Ended(msgspec.Struct):
    endpoint: Address


@require_http_methods(["GET", "POST"])
@answers_json
def subscription(request: HttpRequest) -> dict[str, Any]:
    """Subscribe this browser, and return the key that it needs to subscribe."""
    user = user_of(request)
    if request.method == "POST":
        limits.check_message(user)
        asked = read_body(request, Subscription)
        push.subscribe(
            user,
            request.session.session_key or "",
            endpoint=asked.endpoint,
            p256dh=asked.keys.p256dh,
            auth=asked.keys.auth,
            shows_text=asked.shows_text,
        )
        push.pause(user, asked.endpoint, asked.paused_until)
    return {"key": web_push.public_site_key()}


@require_POST
@answers_json
def end_subscription(request: HttpRequest) -> dict[str, Any]:
    """Send nothing more to a browser of the user."""
    user = user_of(request)
    limits.check_message(user)
    push.unsubscribe(user, read_body(request, Ended).endpoint)
    return {}


@require_GET
@cache_control(no_cache=True)
def service_worker(request: HttpRequest) -> HttpResponse:
    """Return the service worker. It is served at the root, because that is the part of the site that it may act for."""
    # It has no page, so it gets the few sentences that it shows with its source.
    catalogue = {text: gettext(text) for text in WORKER_SENTENCES}
    source = f"globalThis.multichatCatalogue = {json.dumps(catalogue)};\n{_source()}"
    response = HttpResponse(source, content_type="text/javascript; charset=utf-8")
    patch_vary_headers(response, ["Cookie"])
    # It runs nothing but itself.
    response.headers["Content-Security-Policy"] = "default-src 'none'; connect-src 'self'"
    return response


@cache
def _source() -> str:
    found = finders.find("chat/service_worker.js") or str(settings.BASE_DIR / "static/chat/service_worker.js")
    return Path(str(found)).read_text()


@require_GET
@cache_control(max_age=3600, public=True)
def manifest(request: HttpRequest) -> JsonResponse:
    """Return what a browser needs to install the page as an application."""
    icons = [
        {"src": static("chat/app/icon-192.png"), "sizes": "192x192", "type": "image/png"},
        {"src": static("chat/app/icon-512.png"), "sizes": "512x512", "type": "image/png"},
        {"src": static("chat/app/icon-maskable.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        {"src": static("chat/favicon.svg"), "sizes": "any", "type": "image/svg+xml"},
    ]
    described = {
        "id": "/",
        "name": "Multichat",
        "short_name": "Multichat",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f4f5f8",
        "theme_color": "#3d63c4",
        "icons": icons,
    }
    return JsonResponse(described, content_type="application/manifest+json")
