"""Files over HTTP: the upload of one file as the body of a POST, its copy, bytes and thumbnail, and its removal.

A file is posted by the command `send`, which names it. Until then only its author sees it.
"""

import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from chat import byte_ranges, limits
from chat.exceptions import ClientError, ErrorCode, Sentence, unavailable
from chat.file_streams import BODY, STREAMED, FileStream
from chat.models import StoredFile
from chat.room_views import answers_json
from chat.store import file_storage, file_types, files, pictures
from chat.store.file_storage import StorageError
from chat.store.files import Judged, UploadKey

PIECE_BYTES = 256 * 1024
# A copy of so many bytes counts as one more upload, because it costs its user no time to send them.
COPY_BYTES = 8 * 1024 * 1024
# The most digits of a room's number.
MAX_DIGITS = 18
NO_STORAGE = _("The server could not store this file. Try again later, or tell an administrator.")


@require_POST
@answers_json
def upload(request: HttpRequest, room_id: int) -> dict[str, Any]:
    """Store the body of the request as a file of the room, and return what a `send` and the page need of it."""
    user = request.user.pk or 0
    key = UploadKey(user, room_id, _client_id(request))
    limits.check_upload(user)
    # Before the sizes, in which the file counts already.
    if stored := files.find_upload(key):
        return _as_json(stored)
    announced = request.META.get("CONTENT_LENGTH") or ""
    files.check_may_upload(key, int(announced) if announced.isdigit() else 0)
    with tempfile.TemporaryDirectory(prefix="multichat-") as directory:
        try:
            return _store(request, key, Path(directory))
        except (StorageError, OSError):
            raise unavailable(NO_STORAGE) from None


def _client_id(request: HttpRequest) -> UUID | None:
    """Return the idempotency key of an upload or a copy, if it has one."""
    given = request.GET.get("client_id")
    try:
        return None if given is None else UUID(given)
    except ValueError:
        raise ClientError(ErrorCode.FILE_INVALID, detail=_("The client_id must be a UUID.")) from None


def _store(request: HttpRequest, key: UploadKey, directory: Path) -> dict[str, Any]:
    received, thumbnail = directory / "received", directory / "thumbnail"
    size = receive(request, received)
    if not size:
        raise ClientError(ErrorCode.FILE_INVALID, detail=_("This file is empty. Choose another one."))
    # Asked again, because a client may say nothing about the size, or something else.
    files.check_may_upload(key, size)
    with received.open("rb") as content:
        judged = Judged(file_types.judge(content.read(file_types.HEAD_BYTES)), size)
    if judged.type in file_types.IMAGES:
        clean = directory / "clean"
        picture = pictures.reencode(received, clean, thumbnail)
        received, judged = clean, Judged(picture.type, clean.stat().st_size, picture.width, picture.height)
    name = file_types.clean_name(request.GET.get("name", ""))
    return _keep(key, name, judged, lambda is_thumbnail: (thumbnail if is_thumbnail else received).open("rb"))


def _keep(key: UploadKey, name: str, judged: Judged, open_part: Callable[[bool], IO[bytes] | None]) -> dict[str, Any]:
    """Store a file, and its thumbnail if it is an image, from what `open_part` opens."""
    row = files.begin(key, name, judged)
    if row.is_complete:
        return _as_json(row)
    try:
        for is_thumbnail in (False, True) if judged.width else (False,):
            content = open_part(is_thumbnail)
            if content is not None:
                with content:
                    file_storage.save(file_storage.path_of(row.pk, is_thumbnail=is_thumbnail), content)
        files.complete(row)
    except BaseException:
        files.abandon(row)
        raise
    return _as_json(row)


@require_POST
@answers_json
def copy(request: HttpRequest, file_id: UUID) -> dict[str, Any]:
    """Copy a file that the user may see into the room `?room=`, as if the user had uploaded it there."""
    user, room = request.user.pk or 0, request.GET.get("room", "")
    room_id = int(room) if room.isascii() and room.isdigit() and len(room) <= MAX_DIGITS else 0
    key = UploadKey(user, room_id, _client_id(request))
    stored = files.find_upload(key)
    source = None if stored else files.find(user, file_id)
    # One for the copy itself, and one for each COPY_BYTES that it reaches, so a small file counts like an upload.
    # Counted at once, because a refusal must not use up what the next try needs.
    limits.check_upload(user, count=1 + (source.size // COPY_BYTES if source is not None else 0))
    if stored:
        return _as_json(stored)
    if source is None:
        raise _gone()
    files.check_may_upload(key, source.size)
    judged = Judged(source.type, source.size, source.width, source.height)
    try:
        return _keep(key, source.name, judged, lambda is_thumbnail: _open_source(file_id, is_thumbnail))
    except (StorageError, OSError):
        if files.find(user, file_id) is None:
            # Its message was deleted meanwhile, so no later try will succeed.
            raise _gone() from None
        raise unavailable(NO_STORAGE) from None


def _gone() -> ClientError:
    return ClientError(ErrorCode.FILE_INVALID, detail=files.GONE)


def _open_source(file_id: UUID, is_thumbnail: bool) -> IO[bytes] | None:
    """Open a part of a file that is copied; None for a thumbnail that the storage never had. Raises StorageError."""
    path = file_storage.path_of(file_id, is_thumbnail=is_thumbnail)
    try:
        return file_storage.open_file(path)
    except StorageError:
        # An archive without thumbnails may have been imported. The image itself is what has to be copied. It is looked
        # up last, because it is removed first: where only the thumbnail is missing, nothing is being removed.
        if is_thumbnail and not file_storage.exists(path) and file_storage.exists(file_storage.path_of(file_id)):
            return None
        raise


def receive(request: HttpRequest, path: Path) -> int:
    """Write the body of a request into a file, and return its size. Raises ClientError: FILE_TOO_LARGE."""
    # Django's test client has no scope. Its request can be read like a file.
    body: IO[bytes] | HttpRequest = getattr(request, "scope", {}).get(BODY) or request
    most = limits.most_bytes("FILE_MB")
    size = 0
    with path.open("wb") as file:
        while piece := body.read(PIECE_BYTES):
            size += len(piece)
            if most and size > most:
                raise files.too_large(_("This file is too large."))
            file.write(piece)
    return size


def _as_json(row: StoredFile) -> dict[str, Any]:
    facts = files.facts_of(row)
    shown = {"id": str(facts.id), "name": facts.name, "type": facts.type, "size": facts.size}
    return shown | ({"width": facts.width, "height": facts.height} if facts.width else {})


def for_readers(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Give a view the file that the user may see now. To others it does not exist, whether it does or not."""

    @wraps(view)
    def answer(request: HttpRequest, file_id: UUID) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if "text/html" in request.headers.get("Accept", ""):
                return redirect_to_login(request.get_full_path())
            return _say(403, _("You are signed out. Sign in again."))
        row = files.find(request.user.pk or 0, file_id)
        if row is None:
            return _say(404, _("This file does not exist. It may have been deleted."))
        return view(request, row)

    return answer


@require_http_methods(["GET", "HEAD", "DELETE"])
def file(request: HttpRequest, file_id: UUID) -> HttpResponseBase:
    """Answer with a file, or remove one that its author has not posted."""
    return _discard(request, file_id) if request.method == "DELETE" else _download(request, file_id)


@answers_json
def _discard(request: HttpRequest, file_id: UUID) -> dict[str, Any]:
    files.discard(request.user.pk or 0, file_id)
    return {}


@for_readers
def _download(request: HttpRequest, row: StoredFile) -> HttpResponseBase:
    is_shown = row.type in file_types.IMAGES and row.width is not None
    return _send(
        request,
        file_storage.path_of(row.pk),
        size=row.size,
        media_type=row.type if is_shown else file_types.UNKNOWN,
        disposition=f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(row.name, safe='')}",
    )


@require_safe
@for_readers
def thumbnail(request: HttpRequest, row: StoredFile) -> HttpResponseBase:
    """Answer with the thumbnail of an image."""
    if row.width is None:
        return _say(404, _("This file has no thumbnail."))
    path = file_storage.path_of(row.pk, is_thumbnail=True)
    return _send(request, path, size=None, media_type="image/webp", disposition="inline")


def _send(request: HttpRequest, path: str, *, size: int | None, media_type: str, disposition: str) -> HttpResponseBase:
    # The bytes of an id never change, but the right to see them does. So browsers keep them, and ask each time.
    etag = f'"{path.rsplit("/", 1)[-1]}"'
    if request.headers.get("If-None-Match") == etag:
        return _with_headers(HttpResponse(status=304), etag)
    try:
        opened = file_storage.open_file(path)
        size = opened.seek(0, 2) if size is None else size
    except StorageError:
        return _say(503, _("This file can't be read at the moment. Try again later."))
    wanted = byte_ranges.parse(request.headers.get("Range", ""), size)
    if request.headers.get("If-Range", etag) != etag:
        wanted = None
    if wanted == byte_ranges.UNSATISFIABLE:
        opened.close()
        refusal = _say(416, _("The file has fewer bytes."))
        refusal["Content-Range"] = f"bytes */{size}"
        return refusal
    first, length = (0, size) if wanted is None else (wanted.first, wanted.length)
    try:
        response = _streamed(request, opened, first, length)
    except ClientError as refusal:
        return _say(429, refusal.detail)
    response.status_code = 200 if wanted is None else 206
    if wanted is not None:
        response["Content-Range"] = f"bytes {first}-{first + length - 1}/{size}"
    response["Content-Type"], response["Content-Length"] = media_type, str(length)
    response["Content-Disposition"], response["Accept-Ranges"] = disposition, "bytes"
    return _with_headers(response, etag)


def _streamed(request: HttpRequest, opened: IO[bytes], first: int, length: int) -> HttpResponseBase:
    if request.method == "HEAD":
        opened.close()
        return HttpResponse()
    stream = FileStream(opened, first, length, user_id=request.user.pk or 0)
    streamed = getattr(request, "scope", {}).get(STREAMED)
    if streamed is None:
        return StreamingHttpResponse(stream)
    # Written by the server after this request has freed its thread: a client may take minutes to read a large file.
    streamed.append(stream)
    return HttpResponse()


def _with_headers(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    # Whatever the bytes are, a browser takes them for nothing else, and runs nothing that they contain.
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _say(status: int, sentence: Sentence) -> HttpResponse:
    response = HttpResponse(f"{sentence}\n", content_type="text/plain; charset=utf-8", status=status)
    response["Cache-Control"] = "no-store"
    return response
