"""The language of a response: as the user chose it in the account, as the browser asks for it, or that of the site."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from chat.store import appearances
from chat.store.faults import AWAY

# Browsers fetch it by themselves, which must not prolong a session that no user uses.
WORKER = "/service_worker.js"
# In which the sentences of the source are written.
SOURCE = "en"
# Answers without a sentence, the same for all users.
WITHOUT_LANGUAGE = ("/healthz", "/manifest.webmanifest")
# What users have uploaded. Only a refusal has a sentence.
UPLOADED = ("/files/", "/pictures/")


class Middleware(LocaleMiddleware):
    """Django's, which knows only the browser's choice. `request.look` is set for signed-in users."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path_info.startswith(WITHOUT_LANGUAGE):
            return
        was_accessed = request.session.accessed
        try:
            if not request.user.is_authenticated:
                return
            look = appearances.of(request.user.pk)
        except (DatabaseError, *AWAY):
            return  # the view will say so, if it needs the database
        finally:
            if request.path_info == WORKER:
                request.session.accessed = was_accessed
        request.look = look  # type: ignore[attr-defined]
        if is_offered(look.language):
            translation.activate(look.language)
            request.LANGUAGE_CODE = translation.get_language() or settings.LANGUAGE_CODE

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_content = request.path_info.startswith(UPLOADED) and response.status_code < 400
        if is_content or request.path_info.startswith(WITHOUT_LANGUAGE):
            return response
        return super().process_response(request, response)


def is_offered(language: str) -> bool:
    """Tell whether the site has this language."""
    return language in dict(settings.LANGUAGES)


def of_scope(scope: Any) -> str:
    """Return the language that a browser asks for, where there is no request of Django yet."""
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = next(
        (value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"), ""
    )
    return translation.get_language_from_request(request)


def context(request: HttpRequest) -> dict[str, Any]:
    """Give templates the language, and the catalogue that the page's scripts need."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    catalogue = "" if language == SOURCE else f"chat/languages/{language}.js"
    return {"language": language, "catalogue": catalogue}
