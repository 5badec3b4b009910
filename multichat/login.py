"""The login page. It redirects only to addresses of a sane length, and accepts no password where they are refused."""

from typing import Any, NoReturn

from django.contrib.auth import views
from django.core.exceptions import PermissionDenied

# The length of `?next=`, which the form repeats. The page itself names at most 64 rooms.
NEXT_LENGTH = 2000


class LoginView(views.LoginView):
    def get_redirect_url(self, *args: Any) -> str:
        url = super().get_redirect_url(*args)
        return url if len(url) <= NEXT_LENGTH else ""


class RefusedPasswords:
    """An authentication backend that ends each attempt with a password, on a site with OIDC_ONLY."""

    def authenticate(self, request: Any, **credentials: Any) -> NoReturn:
        raise PermissionDenied

    def get_user(self, user_id: Any) -> None:
        return None
