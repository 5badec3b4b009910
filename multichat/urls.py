"""Addresses."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from chat import accounts, views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("chat/", RedirectView.as_view(pattern_name="index")),
    # Titles have any characters, slashes too. The socket at /chat/stream/ is not HTTP and is routed before.
    path("chat/<path:title>/", views.room, name="room"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    path("accounts/logout/", accounts.SignOut.as_view(), name="logout"),
    path("accounts/session/", accounts.session, name="session"),
    path("admin/", admin.site.urls),
]
