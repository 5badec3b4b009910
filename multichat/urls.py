"""The site's HTTP addresses."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from chat import accounts, room_views, views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("chat/", RedirectView.as_view(pattern_name="index")),
    # A title may have any characters, including slashes. The WebSocket /chat/stream/ is routed in multichat/asgi.py.
    path("chat/<path:title>/", views.room, name="room"),
    path("rooms/", room_views.rooms, name="rooms"),
    path("rooms/<int:room_id>/", room_views.room, name="room_settings"),
    path("rooms/<int:room_id>/members/", room_views.members, name="members"),
    path("direct/", room_views.direct, name="direct"),
    path("people/", room_views.names, name="people"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    path("accounts/logout/", accounts.SignOut.as_view(), name="logout"),
    path("accounts/session/", accounts.session, name="session"),
    path("admin/", admin.site.urls),
]
