"""Files over HTTP and in messages: who may upload, post and see them, and that they go with their message."""

import io
import tarfile
import uuid
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image

from chat import file_views, limits
from chat.backups import stored_files
from chat.backups.stored_files import FilesError
from chat.exceptions import ClientError
from chat.live import database, janitor
from chat.models import Event, Mention, RemovedFile, Room, StoredFile
from chat.store import (
    actions,
    file_storage,
    file_types,
    files,
    pictures,
    retention,
    room_actions,
    search,
    search_plans,
    search_query,
)
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.hostile_files import FILES, MARKUP, picture, with_gps
from tests.test_log_races import in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_storage(settings, tmp_path):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "files")},
        },
    }
    settings.LIMITS = {**settings.LIMITS, "FILE_MB": 1}
    return tmp_path / "files"


# What the worker has made of each picture: a process of its own takes 0.1 s for it.
_reencoded: dict[tuple[bytes, int], tuple[pictures.Picture, list[bytes]]] = {}
_reencode = pictures._run


@pytest.fixture(autouse=True)
def pictures_once(monkeypatch):
    """Let the worker re-encode the same picture once for all tests."""

    def run(source, *targets, advice):
        key = source.read_bytes(), len(targets)
        if key not in _reencoded:
            made = _reencode(source, *targets, advice=advice)
            _reencoded[key] = made, [target.read_bytes() for target in targets]
        made, contents = _reencoded[key]
        for target, content in zip(targets, contents, strict=True):
            target.write_bytes(content)
        return made

    monkeypatch.setattr(pictures, "_run", run)


_clients: dict[int | None, Client] = {}


@pytest.fixture(autouse=True)
def own_clients():
    _clients.clear()


def page_of(user):
    """Return a user's browser, signed in once for each test."""
    key = user and user.pk
    if key not in _clients:
        _clients[key] = Client()
        if user is not None:
            _clients[key].force_login(user)
    return _clients[key]


def upload(user, room, content=b"text", name="notes.txt", client_id=None, **options):
    path = f"/rooms/{getattr(room, 'pk', room)}/files/?name={quote(name, errors='surrogatepass')}"
    path += f"&client_id={client_id}" if client_id else ""
    return page_of(user).post(path, content, content_type="application/octet-stream", **options)


def uploaded(user, room, *args, **options):
    answer = upload(user, room, *args, **options)
    assert answer.status_code == 200, answer.content
    return answer.json()


def send(user, room, *ids, body="", **fields):
    draft = Draft(room=room.pk, author=user.pk, body=body, files=tuple(map(uuid.UUID, ids)), **fields)
    [outcome] = actions.commit([draft])
    if isinstance(outcome, ClientError):
        raise outcome
    return outcome


def get(user, file_id, part="", **headers):
    answer = page_of(user).get(f"/files/{file_id}/{part}", headers=headers)
    answer.body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer


def stored_paths(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_an_image_is_posted_and_shown_with_its_thumbnail(bob, charlie, rooms):
    made = uploaded(bob, rooms.lobby, picture(), name="../Été.png")
    assert made | {"id": "", "size": 0} == {
        "id": "", "name": "Été.png", "type": "image/png", "size": 0, "width": 64, "height": 48,
    }  # fmt: skip
    outcome = send(bob, rooms.lobby, made["id"], body="look")
    posted = outcome.logged.event
    assert (posted.message, [str(file.id) for file in posted.files]) == ("look", [made["id"]])
    answer = get(charlie, made["id"])
    assert Image.open(io.BytesIO(answer.body)).size == (64, 48)
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Disposition"] == "inline; filename*=UTF-8''%C3%89t%C3%A9.png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox")
    assert answer["Cache-Control"] == "private, no-cache"
    thumbnail = get(charlie, made["id"], "thumbnail/")
    assert (thumbnail.status_code, thumbnail["Content-Type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(thumbnail.body)).size == (64, 48)
    again = get(charlie, made["id"], **{"If-None-Match": answer["ETag"]})
    assert again.status_code == 304


@pytest.mark.any_database
def test_a_large_file_is_served_in_ranges(bob, rooms):
    content = bytes(range(256)) * 2000
    made = uploaded(bob, rooms.lobby, content, name="data.bin")
    whole = get(bob, made["id"])
    assert (whole.body, whole["Content-Type"]) == (content, "application/octet-stream")
    assert whole["Content-Disposition"] == "attachment; filename*=UTF-8''data.bin"
    part = get(bob, made["id"], Range="bytes=300000-300009")
    assert (part.status_code, part.body) == (206, content[300000:300010])
    assert part["Content-Range"] == f"bytes 300000-300009/{len(content)}"
    beyond = get(bob, made["id"], Range=f"bytes={len(content)}-")
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(content)}")
    other_version = get(bob, made["id"], Range="bytes=0-9", **{"If-Range": '"other"'})
    assert other_version.status_code == 200
    assert page_of(bob).head(f"/files/{made['id']}/")["Content-Length"] == str(len(content))


@pytest.mark.any_database
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_loses_its_place_and_is_turned(bob, rooms, own_storage, kind):
    photo = with_gps(kind)
    assert b"Secret" in photo
    made = uploaded(bob, rooms.lobby, photo, name="photo")
    assert (made["width"], made["height"]) == (48, 64)
    content = get(bob, made["id"]).body
    kept = Image.open(io.BytesIO(content))
    assert not kept.getexif() and not {"comment", "xmp", "Comment", "XML:com.adobe.xmp"} & kept.info.keys()
    assert b"Secret" not in content and b"Exif" not in content
    assert all(b"Secret" not in path.read_bytes() for path in own_storage.rglob("*") if path.is_file())


@pytest.mark.any_database
@pytest.mark.parametrize("frames", [1, 3])
def test_a_gif_loses_its_comments(bob, rooms, own_storage, frames):
    pages = [Image.new("RGB", (8, 8), (80 * number, 0, 0)) for number in range(frames)]
    content = io.BytesIO()
    pages[0].save(content, "GIF", save_all=True, append_images=pages[1:], comment=b"Secret place")
    assert b"Secret" in content.getvalue()
    made = uploaded(bob, rooms.lobby, content.getvalue(), name="moving.gif")
    assert getattr(Image.open(io.BytesIO(get(bob, made["id"]).body)), "n_frames", 1) == frames
    assert all(b"Secret" not in path.read_bytes() for path in own_storage.rglob("*") if path.is_file())


@pytest.mark.any_database
@pytest.mark.parametrize("hostile", FILES, ids=lambda hostile: hostile.name)
def test_a_hostile_file_is_refused_or_harmless(bob, rooms, own_storage, hostile):
    answer = upload(bob, rooms.lobby, hostile.content(), name=hostile.name)
    assert answer.status_code == hostile.status, answer.content
    if hostile.status != 200:
        assert answer.json()["detail"].endswith((".", "!"))
        assert not StoredFile.objects.exists() and stored_paths(own_storage) == []
        return
    made = answer.json()
    assert made["type"] == hostile.type
    shown = get(bob, made["id"])
    content = shown.body
    is_image = hostile.type in file_types.IMAGES
    assert shown["Content-Disposition"].startswith("inline" if is_image else "attachment")
    assert shown["Content-Type"] == (hostile.type if is_image else "application/octet-stream")
    assert not (is_image and MARKUP in content)


def test_limits_are_answered_with_a_sentence(bob, rooms, settings, own_storage):
    settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 0.002, "UPLOADS_AT_ONCE": 4, "UPLOADS_PER_SECOND": 1}
    assert upload(bob, rooms.lobby, b"x" * (2**20 + 1)).status_code == 413
    assert upload(bob, rooms.lobby, b"x" * 1500).status_code == 200
    refused = upload(bob, rooms.lobby, b"x" * 1500)
    assert (refused.status_code, refused.json()["error"]) == (413, "FILE_TOO_LARGE")
    settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 0, "FILES_MB": 0.002}
    assert "no more space" in upload(bob, rooms.lobby, b"x" * 1500).json()["detail"]
    assert upload(bob, rooms.lobby, b"x").status_code == 429
    assert len(stored_paths(own_storage)) == 1


@pytest.mark.any_database
def test_a_storage_that_is_full_or_away_is_answered_with_a_sentence(bob, rooms, monkeypatch):
    made = uploaded(bob, rooms.lobby)

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(default_storage._wrapped), "_save", fail)
    answer = upload(bob, rooms.lobby)
    assert (answer.status_code, answer.json()["error"]) == (503, "SERVER_UNAVAILABLE")
    assert StoredFile.objects.count() == 1 and RemovedFile.objects.count() == 1
    monkeypatch.setattr(type(default_storage._wrapped), "_open", fail)
    assert get(bob, made["id"]).status_code == 503


@pytest.mark.any_database
def test_a_form_of_another_site_uploads_nothing(bob, rooms):
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    path = f"/rooms/{rooms.lobby.pk}/files/?name=x"
    assert client.post(path, b"x", content_type="text/plain").status_code == 403
    assert not StoredFile.objects.exists()


@pytest.mark.any_database
def test_no_page_uploads_copies_or_removes_a_file_for_another_user_who_has_signed_in(bob, charlie, rooms, own_storage):
    made = uploaded(bob, rooms.lobby, headers={"X-Multichat-User": str(bob.pk)})["id"]
    theirs = {"X-Multichat-User": str(charlie.pk)}
    page = page_of(bob)
    for answer in (
        upload(bob, rooms.lobby, headers=theirs),
        page.post(f"/files/{made}/copy/?room={rooms.random.pk}", headers=theirs),
        page.delete(f"/files/{made}/", headers=theirs),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, "USER_HAS_TO_LOGIN")
    [stored] = StoredFile.objects.all()
    assert str(stored.pk) == made and stored_paths(own_storage) == [stored.pk.hex]


@pytest.fixture
def hidden(bob, charlie):
    """A file in a room of members, one in a direct room, and one in the room for staff, each with its readers."""
    alice = User.objects.create_user("alice", is_staff=True)
    members = room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk])
    direct = room_actions.open_direct([charlie.pk], by=bob.pk)
    staff = room_actions.create_room("Duty", who="staff")
    found = {}
    for room, author in ((members, bob), (direct, bob), (staff, alice)):
        made = uploaded(author, room, picture() if room is members else b"text")
        send(author, room, made["id"])
        found[room] = made["id"]
    return members, direct, staff, found


def test_nobody_else_sees_a_file(hidden, bob, charlie):
    members, direct, staff, found = hidden
    root = User.objects.create_superuser("root")
    dora = User.objects.create_user("dora")
    gone = User.objects.create_user("gone", is_active=False)
    may = {members: {bob, charlie}, direct: {bob, charlie}, staff: {root}}
    missing = get(root, uuid.uuid4())
    for room, file_id in found.items():
        for user in (bob, charlie, root, dora, gone, None):
            for part in ("", "thumbnail/") if room is members else ("",):
                answer = get(user, file_id, part)
                if user in may[room]:
                    assert answer.status_code == 200
                elif user in (None, gone):
                    assert answer.status_code == 403
                else:
                    assert (answer.status_code, answer.body) == (missing.status_code, missing.body)
                    assert answer.headers.keys() == missing.headers.keys()
    assert page_of(None).get(f"/files/{found[staff]}/", headers={"Accept": "text/html"}).status_code == 302
    room_actions.remove_member(members.pk, charlie.pk)
    assert get(charlie, found[members]).status_code == 404
    assert get(charlie, found[members], "thumbnail/").status_code == 404
    Room.objects.filter(pk=staff.pk).first().delete()
    assert get(root, found[staff]).status_code == 404


@pytest.mark.any_database
def test_files_go_up_only_where_their_author_may_write(bob, rooms, hidden):
    members, _, staff, _ = hidden
    dora = User.objects.create_user("dora")
    root = User.objects.create_superuser("root")
    before = StoredFile.objects.count()
    assert upload(None, rooms.lobby).status_code == 403
    assert upload(dora, staff).json()["error"] == "ROOM_ACCESS_DENIED"
    for user in (dora, root):
        hidden_room, missing = upload(user, members), upload(user, 987_654)
        assert (hidden_room.status_code, hidden_room.content) == (404, missing.content)
    room_actions.change_room(rooms.lobby.pk, is_archived=True)
    assert upload(bob, rooms.lobby).json()["error"] == "ROOM_READ_ONLY"
    assert StoredFile.objects.count() == before


def test_only_own_unposted_files_of_the_room_are_posted(bob, charlie, rooms):
    made, other = uploaded(bob, rooms.lobby)["id"], uploaded(charlie, rooms.lobby)["id"]
    assert get(charlie, made).status_code == 404  # before it is posted
    for ids, room in (([other], rooms.lobby), ([made], rooms.random), ([made, str(uuid.uuid4())], rooms.lobby)):
        with pytest.raises(ClientError, match="FILE_INVALID"):
            send(bob, room, *ids)
    client_id = uuid.uuid4()
    first = send(bob, rooms.lobby, made, client_id=client_id)
    again = send(bob, rooms.lobby, made, client_id=client_id)
    assert (first.seq, again.seq, again.logged) == (1, 1, None)
    with pytest.raises(ClientError, match="FILE_INVALID"):
        send(bob, rooms.lobby, made)
    assert Event.objects.count() == 1
    assert page_of(bob).delete(f"/files/{made}/").status_code == 200  # posted, so it stays
    assert StoredFile.objects.filter(pk=made).exists()
    assert page_of(bob).delete(f"/files/{other}/").status_code == 200
    assert StoredFile.objects.filter(pk=other).exists()
    page_of(charlie).delete(f"/files/{other}/")
    assert not StoredFile.objects.filter(pk=other).exists()


def test_copies_have_files_of_their_own_that_go_with_them(bob, charlie, rooms, settings, own_storage):
    plans = room_actions.create_room("Plans", who="members", members=[charlie.pk])
    settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 3 / 1024}
    across, content = uuid.uuid4(), b"x" * 1024
    made = {room: uploaded(bob, room, content)["id"] for room in (rooms.lobby, rooms.random)}
    # Each copy counts in the limit of its author, and none goes where its author may not write.
    assert uploaded(bob, rooms.lobby, content)["id"]
    assert upload(bob, rooms.lobby, content).json()["error"] == "FILE_TOO_LARGE"
    assert upload(bob, plans).status_code == 404
    with pytest.raises(ClientError, match="FILE_INVALID"):
        send(bob, rooms.random, made[rooms.lobby], across=across)
    seqs = {room: send(bob, room, file_id, body="look", across=across).seq for room, file_id in made.items()}
    room_actions.change_room(rooms.random.pk, is_archived=True)
    assert [get(charlie, file_id).body for file_id in made.values()] == [content, content]
    # Each goes with its own message.
    send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=seqs[rooms.lobby], across=across)
    assert get(charlie, made[rooms.lobby]).status_code == 404
    assert get(charlie, made[rooms.random]).status_code == 200


def copy(user, file_id, room, client_id=None):
    key = f"&client_id={client_id}" if client_id else ""
    return page_of(user).post(f"/files/{file_id}/copy/?room={getattr(room, 'pk', room)}{key}")


def test_an_upload_that_is_tried_again_stores_the_file_once(bob, charlie, rooms, settings, own_storage):
    key = uuid.uuid4()
    made = uploaded(bob, rooms.lobby, picture(), client_id=key)
    assert uploaded(bob, rooms.lobby, picture(), client_id=key) == made
    # Neither another user's key nor the same file without a key, with another key or in another room is this upload.
    others = [uploaded(bob, rooms.lobby), uploaded(bob, rooms.lobby, client_id=uuid.uuid4())]
    others += [uploaded(bob, rooms.random, client_id=key), uploaded(charlie, rooms.lobby, client_id=key)]
    assert len({made["id"], *(other["id"] for other in others)}) == 5
    # A retry after the file was posted is harmless. A size limit that the file itself reaches does not refuse it.
    send(bob, rooms.lobby, made["id"])
    settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 1 / 1024**2}
    assert uploaded(bob, rooms.lobby, picture(), client_id=key) == made
    assert StoredFile.objects.count() == 5 and not RemovedFile.objects.exists()
    assert len(stored_paths(own_storage)) == 6
    # The right to write in the room is asked again.
    room_actions.change_room(rooms.lobby.pk, is_archived=True)
    assert upload(bob, rooms.lobby, client_id=key).json()["error"] == "ROOM_READ_ONLY"
    assert upload(bob, rooms.random, client_id="x").json()["error"] == "FILE_INVALID"


def test_a_copy_that_is_tried_again_is_made_once(bob, rooms, own_storage):
    made, key = uploaded(bob, rooms.lobby)["id"], uuid.uuid4()
    copied = copy(bob, made, rooms.random, client_id=key).json()
    page_of(bob).delete(f"/files/{made}/")
    assert copy(bob, made, rooms.random, client_id=key).json() == copied
    assert copy(bob, made, rooms.random).json()["error"] == "FILE_INVALID"
    assert StoredFile.objects.count() == 1


def test_the_newest_of_two_tries_that_overlap_stores_the_file(bob, rooms, own_storage, monkeypatch):
    key, save, answers = uuid.uuid4(), file_storage.save, []

    def save_twice(path, content):
        if not answers:
            answers.append(None)
            answers[0] = upload(bob, rooms.lobby, client_id=key)
        save(path, content)

    monkeypatch.setattr(file_storage, "save", save_twice)
    overtaken = upload(bob, rooms.lobby, client_id=key)
    # It may be tried again, and then finds what the other try has stored.
    assert (overtaken.status_code, overtaken.json()["error"]) == (503, "SERVER_UNAVAILABLE")
    [stored] = StoredFile.objects.filter(is_complete=True)
    assert answers[0].json()["id"] == str(stored.pk) == uploaded(bob, rooms.lobby, client_id=key)["id"]
    assert StoredFile.objects.count() == 1
    # The janitor removes the bytes of the other one.
    [removed] = RemovedFile.objects.all()
    assert janitor._remove_bytes(removed.pk)
    assert stored_paths(own_storage) == [stored.pk.hex]


def test_a_try_that_failed_or_never_ended_does_not_stop_the_next_one(bob, rooms, monkeypatch):
    key = uuid.uuid4()
    page_of(bob).delete(f"/files/{uploaded(bob, rooms.lobby)['id']}/")

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(default_storage._wrapped), "_save", fail)
        assert upload(bob, rooms.lobby, client_id=key).status_code == 503
    # As a process that was killed leaves it.
    files.begin(files.UploadKey(bob.pk, rooms.lobby.pk, key), "notes.txt", files.Judged("text/plain", 4))
    made = uploaded(bob, rooms.lobby, client_id=key)
    [stored] = StoredFile.objects.all()
    assert (str(stored.pk), stored.is_complete) == (made["id"], True)


def test_a_try_takes_the_space_of_the_one_before_it(bob, rooms, settings):
    key = uuid.uuid4()
    judged = files.Judged("text/plain", 800)
    # As after the process was killed while it stored the first try.
    files.begin(files.UploadKey(bob.pk, rooms.lobby.pk, key), "a.txt", judged)
    for limit in ("FILES_MB_PER_USER", "FILES_MB"):
        settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 0, "FILES_MB": 0, limit: 1 / 1024}
        assert upload(bob, rooms.lobby, b"x" * 800, client_id=uuid.uuid4()).status_code == 413
        files.check_may_upload(files.UploadKey(bob.pk, rooms.lobby.pk, key), 800)
    assert uploaded(bob, rooms.lobby, b"x" * 800, client_id=key)


@pytest.mark.django_db(transaction=True)
def test_tries_at_the_same_moment_store_one_file(bob, rooms):
    key = uuid.uuid4()
    clients = [Client() for _ in range(4)]
    for client in clients:
        client.force_login(bob)
    path = f"/rooms/{rooms.lobby.pk}/files/?name=a.txt&client_id={key}"

    def try_until_stored(client):
        while (answer := client.post(path, b"text", content_type="application/octet-stream")).status_code == 503:
            pass
        return answer.json()["id"]

    ids = in_threads(*(lambda client=client: try_until_stored(client) for client in clients))
    [stored] = StoredFile.objects.all()
    assert stored.is_complete and set(ids) == {str(stored.pk)}


def test_the_server_copies_a_file_into_another_room(bob, charlie, rooms, settings, own_storage, monkeypatch):
    made = uploaded(bob, rooms.lobby, picture(), name="cat.png")
    copied = copy(bob, made["id"], rooms.random).json()
    assert copied["id"] != made["id"] and copied | {"id": ""} == made | {"id": ""}
    with pytest.raises(ClientError, match="FILE_INVALID"):
        send(bob, rooms.lobby, copied["id"])
    send(bob, rooms.random, copied["id"])
    for part in ("", "thumbnail/"):
        assert get(charlie, copied["id"], part).body == get(bob, made["id"], part).body
    # It does not depend on the file that it is a copy of, and counts in the limits like an upload.
    page_of(bob).delete(f"/files/{made['id']}/")
    assert janitor._remove_bytes(uuid.UUID(made["id"]))
    assert get(charlie, copied["id"]).status_code == 200 and len(stored_paths(own_storage)) == 2
    content = uploaded(bob, rooms.lobby, b"x" * 1024)["id"]
    for limit, size in (("FILES_MB_PER_USER", 1.5 / 1024), ("FILES_MB", 1.5 / 1024), ("FILE_MB", 0.5 / 1024)):
        settings.LIMITS = {**settings.LIMITS, "FILES_MB_PER_USER": 0, "FILES_MB": 0, "FILE_MB": 1, limit: size}
        assert copy(bob, content, rooms.random).json()["error"] == "FILE_TOO_LARGE"
    settings.LIMITS = {**settings.LIMITS, "FILE_MB": 1, "UPLOADS_AT_ONCE": 1, "UPLOADS_PER_SECOND": 1}
    assert copy(bob, content, rooms.random).status_code == 429
    assert StoredFile.objects.count() == 2
    # The copy of a large file counts as several uploads, because its user need not send it.
    monkeypatch.setattr(file_views, "COPY_BYTES", 256)
    # A file that counts as more than the burst passes when the bucket is full.
    for burst, status in ((3, 429), (9, 429), (10, 200)):
        limits.uploads.clear()
        settings.LIMITS = {**settings.LIMITS, "UPLOADS_AT_ONCE": burst}
        assert copy(bob, content, rooms.random).status_code == 200
        assert copy(bob, content, rooms.random).status_code == status


@pytest.mark.any_database
def test_a_copy_needs_the_right_to_see_the_file_and_to_write_in_the_room(bob, charlie, rooms, hidden):
    members, direct, staff, found = hidden
    dora = User.objects.create_user("dora")
    before = StoredFile.objects.count()
    missing = copy(dora, uuid.uuid4(), rooms.lobby)
    assert (missing.status_code, missing.json()["error"]) == (400, "FILE_INVALID")
    unposted = uploaded(bob, rooms.lobby)["id"]
    for file_id in (*found.values(), unposted):
        # What the user may not see does not exist, whatever the room is.
        for room in (rooms.lobby, members, 987_654, "x", ""):
            refused = copy(dora, file_id, room)
            assert (refused.status_code, refused.content) == (400, missing.content)
    own = uploaded(dora, rooms.lobby)["id"]
    for room in (members, direct):
        refused, unknown = copy(dora, own, room), copy(dora, own, 987_654)
        assert (refused.status_code, refused.content) == (404, unknown.content)
    assert copy(dora, own, staff).json()["error"] == "ROOM_ACCESS_DENIED"
    assert copy(None, own, rooms.lobby).status_code == 403
    room_actions.change_room(rooms.random.pk, is_archived=True)
    assert copy(dora, own, rooms.random).json()["error"] == "ROOM_READ_ONLY"
    assert page_of(dora).get(f"/files/{own}/copy/?room={rooms.lobby.pk}").status_code == 405
    client = Client(enforce_csrf_checks=True)
    client.force_login(dora)
    assert client.post(f"/files/{own}/copy/?room={rooms.lobby.pk}").status_code == 403
    assert StoredFile.objects.count() == before + 2
    # A message that others posted can be copied too, by users who see it.
    copied = copy(charlie, found[members], rooms.lobby).json()
    assert StoredFile.objects.get(pk=copied["id"]).author_id == charlie.pk


@pytest.mark.any_database
def test_an_image_without_a_thumbnail_is_copied_without_one(bob, rooms, own_storage, monkeypatch):
    made = uploaded(bob, rooms.lobby, picture())
    default_storage.delete(file_storage.path_of(uuid.UUID(made["id"]), is_thumbnail=True))
    copied = copy(bob, made["id"], rooms.random)
    assert (copied.status_code, copied.json()["width"]) == (200, made["width"])
    assert get(bob, copied.json()["id"]).body == get(bob, made["id"]).body
    assert len(stored_paths(own_storage)) == 2

    # A storage that is away is another matter: the thumbnail may be there.
    def fail(*args, **options):
        raise OSError(5, "Input/output error")

    made, storage = uploaded(bob, rooms.lobby, picture()), type(default_storage._wrapped)
    opened = storage._open
    monkeypatch.setattr(storage, "_open", lambda *args: fail() if "thumb" in args[1] else opened(*args))
    assert copy(bob, made["id"], rooms.random).status_code == 503


def test_a_source_that_is_deleted_during_its_copy_is_answered_like_one_that_is_gone(bob, rooms, monkeypatch):
    made = uploaded(bob, rooms.lobby)["id"]
    seq = send(bob, rooms.lobby, made).seq
    missing = copy(bob, uuid.uuid4(), rooms.random)
    begin = files.begin

    def begin_late(*args):
        send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=seq)
        file_storage.remove(uuid.UUID(made))
        return begin(*args)

    monkeypatch.setattr(files, "begin", begin_late)
    refused = copy(bob, made, rooms.random)
    assert (refused.status_code, refused.content) == (400, missing.content)
    assert not StoredFile.objects.exists()


def test_an_image_that_is_deleted_before_its_thumbnail_is_copied_is_not_copied(bob, rooms, own_storage, monkeypatch):
    made = uploaded(bob, rooms.lobby, picture())["id"]
    seq = send(bob, rooms.lobby, made).seq
    open_file = file_storage.open_file

    def open_late(path):
        if path.endswith(".thumbnail"):
            send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=seq)
            file_storage.remove(uuid.UUID(made))
        return open_file(path)

    monkeypatch.setattr(file_storage, "open_file", open_late)
    refused = copy(bob, made, rooms.random)
    assert (refused.status_code, refused.json()["error"]) == (400, "FILE_INVALID")
    assert not StoredFile.objects.exists()


def test_a_copy_of_bytes_that_are_gone_leaves_nothing(bob, rooms, own_storage):
    made = uploaded(bob, rooms.lobby)["id"]
    file_storage.remove(uuid.UUID(made))
    refused = copy(bob, made, rooms.random)
    assert (refused.status_code, refused.json()["error"]) == (503, "SERVER_UNAVAILABLE")
    assert StoredFile.objects.count() == 1 and RemovedFile.objects.count() == 1 and stored_paths(own_storage) == []


def test_two_messages_of_one_batch_cannot_have_the_same_file(bob, rooms):
    made = uuid.UUID(uploaded(bob, rooms.lobby)["id"])
    drafts = [Draft(room=rooms.lobby.pk, author=bob.pk, body=body, files=(made,)) for body in ("one", "two")]
    first, second = actions.commit(drafts)
    assert (first.seq, second.code.value) == (1, "FILE_INVALID")
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 1


def test_files_without_a_text_are_named_in_it_and_mention_nobody(bob, charlie, rooms):
    ids = [uploaded(bob, rooms.lobby, b"text", name=name)["id"] for name in ("@charlie", "b.txt")]
    assert send(bob, rooms.lobby, *ids).logged.event.message == "@charlie, b.txt"
    assert not Mention.objects.exists()
    ids = [uploaded(bob, rooms.lobby, b"text", name="c.txt")["id"]]
    send(bob, rooms.lobby, *ids, body="for @charlie")
    assert Mention.objects.get().user_id == charlie.pk


def test_a_file_goes_with_its_message(bob, rooms, own_storage):
    made = uploaded(bob, rooms.lobby, picture())["id"]
    seq = send(bob, rooms.lobby, made, body="look").seq
    send(bob, rooms.lobby, kind=Kind.EDITED, target_seq=seq, body="changed")
    assert Event.objects.get(seq=seq).files and get(bob, made).status_code == 200
    send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=seq)
    assert Event.objects.get(seq=seq).files is None
    assert get(bob, made).status_code == 404
    assert [row.pk for row in RemovedFile.objects.all()] == [uuid.UUID(made)]
    assert janitor._remove_bytes(uuid.UUID(made)) and stored_paths(own_storage) == []
    assert janitor._remove_bytes(uuid.UUID(made))  # it may be tried twice
    kept = uploaded(bob, rooms.lobby)["id"]
    send(bob, rooms.lobby, kept)
    unposted = uploaded(bob, rooms.lobby)["id"]
    rooms.lobby.delete()
    assert {row.pk for row in RemovedFile.objects.all()} >= {uuid.UUID(kept), uuid.UUID(unposted)}
    assert not StoredFile.objects.exists()


def test_a_file_goes_with_a_message_that_expired(bob, rooms, own_storage):
    old, new = (uploaded(bob, rooms.lobby, picture())["id"] for _ in range(2))
    send(bob, rooms.lobby, old)
    send(bob, rooms.lobby, new)
    Event.objects.filter(seq=1).update(at=timezone.now() - timedelta(days=9))
    Room.objects.filter(pk=rooms.lobby.pk).update(retention_days=7)
    assert retention.prune_room(rooms.lobby.pk) == 1
    assert (get(bob, old).status_code, get(bob, new).status_code) == (404, 200)
    assert [row.pk for row in RemovedFile.objects.all()] == [uuid.UUID(old)]


def test_a_posted_file_stays_when_its_author_is_deleted(bob, charlie, rooms):
    posted, unposted = uploaded(bob, rooms.lobby)["id"], uploaded(bob, rooms.lobby)["id"]
    send(bob, rooms.lobby, posted)
    bob.delete()
    assert get(charlie, posted).status_code == 200
    StoredFile.objects.update(at=timezone.now() - files.UNPOSTED - timedelta(seconds=1))
    assert files.remove_unposted() == 1
    assert not StoredFile.objects.filter(pk=unposted).exists() and StoredFile.objects.filter(pk=posted).exists()
    assert [row.pk for row in RemovedFile.objects.all()] == [uuid.UUID(unposted)]


@pytest.mark.django_db(transaction=True)
async def test_the_janitor_removes_the_bytes_of_what_is_gone(bob, rooms, own_storage, monkeypatch):
    monkeypatch.setattr(janitor, "LOOK_SECONDS", 0.01)

    def prepare():
        made = uploaded(bob, rooms.lobby, picture())["id"]
        send(bob, rooms.lobby, made)
        kept = uploaded(bob, rooms.lobby, b"kept")["id"]
        send(bob, rooms.lobby, kept)
        send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=1)
        return kept

    kept = await database.write(prepare)
    at_work = janitor.Janitor()
    assert await at_work._work()
    assert not await at_work._work()
    await at_work.stop()
    assert stored_paths(own_storage) == [uuid.UUID(kept).hex]
    assert not await database.read(RemovedFile.objects.exists)
    await database.close()


def test_a_backup_has_the_files_and_a_restore_brings_them_back(bob, rooms, own_storage, tmp_path):
    made = uploaded(bob, rooms.lobby, picture())["id"]
    send(bob, rooms.lobby, made)
    archive = tmp_path / "archive"
    assert stored_files.save(archive) == 2
    before = {path.name: path.read_bytes() for path in own_storage.rglob("*") if path.is_file()}
    file_storage.remove(uuid.UUID(made))
    stored_files.check(archive)
    stored_files.load(archive)
    stored_files.load(archive)
    assert {path.name: path.read_bytes() for path in own_storage.rglob("*") if path.is_file()} == before


@pytest.mark.any_database
@pytest.mark.parametrize("name", ["../../escaped", "/etc/passwd", "files/aa/" + "b" * 32, "files/" + "b" * 32])
def test_an_archive_restores_nothing_but_files(tmp_path, own_storage, name):
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"text"))
    for work in (stored_files.check, stored_files.load):
        with pytest.raises(FilesError, match="not an archive of Multichat"):
            work(archive)
    assert stored_paths(own_storage) == []


def test_messages_are_found_by_their_files(bob, rooms):
    made = uploaded(bob, rooms.lobby, b"text", name="Quarterly report.txt")["id"]
    send(bob, rooms.lobby, made, body="have a look")
    actions.post_message(rooms.lobby, bob, "no report here")

    def found(query):
        asked = search_query.parse(query, now=timezone.now(), zone=timezone.get_current_timezone())
        return [message.seq for message in search.find(bob, asked).messages]

    assert found("has:file") == found("has:file report") == found("quarterly") == [1]
    assert found("report") == [2, 1]
    assert found("has:file nothing") == []
    send(bob, rooms.lobby, kind=Kind.DELETED, target_seq=1)
    assert found("has:file") == []


def test_has_file_reads_the_index_of_messages_with_files(bob, rooms):
    sql, params = search_plans.statement(
        Room.objects.enterable_by(bob),
        None,
        search_query.Query(terms=["report"], has_file=True),
        search_plans.Ids(),
        limit=20,
    )
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            plan = [row[-1] for row in cursor.fetchall()]
            assert plan[0].startswith("SCAN event USING INDEX event_with_files"), plan
            assert not [line for line in plan if line.startswith("SCAN found") or "B-TREE FOR ORDER" in line], plan
        else:
            cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = [row[0] for row in cursor.fetchall()]
            assert any("event_with_files" in line for line in plan), plan


def test_an_upload_whose_room_was_deleted_meanwhile_leaves_nothing(bob, rooms, own_storage, monkeypatch):
    save = file_storage.save

    def save_and_delete(path, content):
        save(path, content)
        StoredFile.objects.all().delete()

    monkeypatch.setattr(file_storage, "save", save_and_delete)
    assert upload(bob, rooms.lobby, b"text").status_code == 404
    assert RemovedFile.objects.count() == 1 and not StoredFile.objects.exists()
