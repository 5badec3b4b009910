"""The login page; it leads back to addresses of a sane length only."""

from django.contrib.auth import views
from django.http import HttpRequest

# Of `?next=`, which comes back in the form: the page itself names 64 rooms at most.
NEXT_LENGTH = 2000


class LoginView(views.LoginView):
    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        url = super().get_redirect_url(request)
        return url if len(url) <= NEXT_LENGTH else ""
