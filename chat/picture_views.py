"""The picture by which a user is shown: its upload from My account, its removal, and its address."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from chat import limits
from chat.exceptions import ClientError, ErrorCode
from chat.file_views import receive
from chat.room_views import answers_json
from chat.store import file_types, pictures, user_pictures

YEAR_SECONDS = 365 * 24 * 3600
NO_IMAGE = gettext_lazy("This is not an image that can be shown. Choose a PNG, JPEG, GIF or WebP file.")


@require_POST
@answers_json
def upload(request: HttpRequest) -> dict[str, Any]:
    """Make the body of the request the user's picture, and return its address."""
    user = request.user.pk or 0
    limits.check_upload(user)
    with tempfile.TemporaryDirectory(prefix="multichat-") as directory:
        received, square = Path(directory, "received"), Path(directory, "square")
        receive(request, received)
        with received.open("rb") as content:
            if file_types.judge(content.read(file_types.HEAD_BYTES)) not in file_types.IMAGES:
                raise ClientError(ErrorCode.FILE_INVALID, detail=NO_IMAGE)
        pictures.write_square(received, square)
        return {"picture": reverse("picture", args=[user_pictures.save(user, square.read_bytes())])}


@require_POST
@login_required
def remove(request: HttpRequest) -> HttpResponse:
    """Remove the user's picture."""
    user_pictures.remove(request.user.pk or 0)
    return redirect("account")


@require_safe
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """Answer with a picture. Only users who are signed in get any, and the key cannot be guessed."""
    content = user_pictures.content_of(key) if request.user.is_authenticated else None
    if content is None:
        sentence = gettext("There is no such picture.")
        response = HttpResponse(f"{sentence}\n", content_type="text/plain; charset=utf-8", status=404)
        response["Cache-Control"] = "no-store"
        return response
    response = HttpResponse(content, content_type="image/webp")
    response["Cache-Control"] = f"private, max-age={YEAR_SECONDS}, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
