"""The login page. It redirects only to addresses of a sane length."""

from typing import Any

from django.contrib.auth import views

# The length of `?next=`, which the form repeats. The page itself names at most 64 rooms.
NEXT_LENGTH = 2000


class LoginView(views.LoginView):
    def get_redirect_url(self, *args: Any) -> str:
        url = super().get_redirect_url(*args)
        return url if len(url) <= NEXT_LENGTH else ""
