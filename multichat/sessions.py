"""Web sessions last as long as they are used: a request prolongs its session, at most about once a day."""

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse

from chat.store import web_sessions

# An open page that only uses its socket asks for this address now and then, to get a cookie that lasts longer.
RENEWED = ("/", "/accounts/session/")


class Middleware(SessionMiddleware):
    """Django's, which also prolongs. Not by saving, because a session that ends meanwhile would come back."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        session = request.session
        is_used = session.accessed and not session.modified and not session.is_empty()
        response = super().process_response(request, response)
        expires_at = getattr(session, "expires_at", None)
        if not is_used or expires_at is None or SESSION_KEY not in session or session.get("_session_expiry"):
            return response
        is_due = web_sessions.is_due(expires_at)
        if is_due:
            web_sessions.prolong([str(session.session_key)])
        if is_due or request.path_info in RENEWED:
            response.set_cookie(
                settings.SESSION_COOKIE_NAME,
                str(session.session_key),
                max_age=settings.SESSION_COOKIE_AGE,
                domain=settings.SESSION_COOKIE_DOMAIN,
                path=settings.SESSION_COOKIE_PATH,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=settings.SESSION_COOKIE_HTTPONLY,
                samesite=settings.SESSION_COOKIE_SAMESITE,
            )
        return response
