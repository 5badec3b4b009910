"""The login page; it leads back to addresses of a sane length only."""

from typing import Any

from django.contrib.auth import views

# Of `?next=`, which comes back in the form: the page itself names 64 rooms at most.
NEXT_LENGTH = 2000


class LoginView(views.LoginView):
    def get_redirect_url(self, *args: Any) -> str:
        url = super().get_redirect_url(*args)
        return url if len(url) <= NEXT_LENGTH else ""
