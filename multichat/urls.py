"""The site's HTTP addresses."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from chat import accounts, views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("search/", views.find, name="search"),
    path("chat/", RedirectView.as_view(pattern_name="index")),
    # A title may have any characters, including slashes. The WebSocket /chat/stream/ is routed in multichat/asgi.py.
    path("chat/<path:title>/", views.room, name="room"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    path("accounts/logout/", accounts.SignOut.as_view(), name="logout"),
    path("accounts/session/", accounts.session, name="session"),
    path("admin/", admin.site.urls),
]
