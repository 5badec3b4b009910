"""Files in a bucket, against a real server that speaks S3's protocol: moto's, on loopback (docs/testing.md)."""

from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.core.files.storage import default_storage

from chat.backups import stored_files
from chat.models import RemovedFile
from chat.store import actions, file_storage, files
from chat.store.actions import Draft
from chat.store.log import Kind
from multichat import file_storage_url
from tests.hostile_files import picture
from tests.test_files import copy, get, own_clients, page_of, send, upload, uploaded

pytest.importorskip("storages", reason="needs pip install -r requirements-s3.lock 'moto[server]'")
moto = pytest.importorskip("moto.server", reason="needs pip install 'moto[server]'")
__all__ = ["own_clients"]
# The server takes its time for the first request, and its libraries warn.
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def server():
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def bucket(server, settings, tmp_path):
    host, port = server.get_host_and_port()
    url = f"s3://key:a%2Fsecret@files-of-chat/folder?endpoint=http://{host}:{port}&region=eu-central-1"
    settings.STORAGES = {**settings.STORAGES, "default": file_storage_url.parse("FILES_URL", url, tmp_path)}
    assert urlsplit(url).hostname == default_storage.bucket_name
    settings.LIMITS = {**settings.LIMITS, "FILE_MB": 2}
    bucket = default_storage.bucket
    bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


def names_in(bucket):
    return sorted(entry.key.rpartition("/")[2] for entry in bucket.objects.all())


def test_files_are_stored_served_with_ranges_and_removed_in_a_bucket(bob, charlie, rooms, bucket):
    image = uploaded(bob, rooms.lobby, picture(), name="Été.png")
    content = bytes(range(256)) * 4096
    large = uploaded(bob, rooms.lobby, content, name="data.bin")
    seq = send(bob, rooms.lobby, image["id"], large["id"]).seq
    assert len(names_in(bucket)) == 3 and all(entry.key.startswith("folder/files/") for entry in bucket.objects.all())
    shown = get(charlie, image["id"])
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/png")
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert get(charlie, image["id"], "thumbnail/").body[8:12] == b"WEBP"
    whole = get(charlie, large["id"])
    assert whole.body == content and whole["Content-Disposition"].startswith("attachment; ")
    part = get(charlie, large["id"], Range="bytes=500000-500099")
    assert (part.status_code, part.body) == (206, content[500000:500100])
    assert part["Content-Range"] == f"bytes 500000-500099/{len(content)}"
    assert get(charlie, large["id"], Range="bytes=-10").body == content[-10:]
    rooms.lobby.staff_only = True
    rooms.lobby.save()
    assert get(charlie, large["id"]).status_code == 404
    rooms.lobby.staff_only = False
    rooms.lobby.save()
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, kind=Kind.DELETED, target_seq=seq)])
    assert get(charlie, large["id"]).status_code == 404
    for file_id in files.removed():
        file_storage.remove(file_id)
    assert names_in(bucket) == [] and RemovedFile.objects.count() == 2


def test_files_in_a_bucket_are_copied_into_other_rooms_there(bob, charlie, rooms, bucket):
    image = uploaded(bob, rooms.lobby, picture(), name="cat.png")
    content = bytes(range(256)) * 4096
    large = uploaded(bob, rooms.lobby, content, name="data.bin")
    ids = [copy(bob, file["id"], rooms.random).json()["id"] for file in (image, large)]
    send(bob, rooms.random, *ids)
    for file in (image, large):
        page_of(bob).delete(f"/files/{file['id']}/")
    for file_id in files.removed():
        file_storage.remove(file_id)
    assert len(names_in(bucket)) == 3
    assert get(charlie, ids[0], "thumbnail/").body[8:12] == b"WEBP"
    assert get(charlie, ids[1]).body == content
    # An image whose thumbnail is missing, and bytes that are gone.
    default_storage.delete(file_storage.path_of(UUID(ids[0]), is_thumbnail=True))
    assert copy(charlie, ids[0], rooms.lobby).status_code == 200
    default_storage.delete(file_storage.path_of(UUID(ids[1])))
    assert copy(charlie, ids[1], rooms.lobby).status_code == 503


def test_a_backup_of_a_bucket_is_restored_into_it(bob, rooms, bucket, tmp_path):
    send(bob, rooms.lobby, uploaded(bob, rooms.lobby, picture())["id"])
    before = {entry.key: entry.get()["Body"].read() for entry in bucket.objects.all()}
    assert stored_files.save(tmp_path / "archive") == len(before) == 2
    bucket.objects.all().delete()
    stored_files.load(tmp_path / "archive")
    assert {entry.key: entry.get()["Body"].read() for entry in bucket.objects.all()} == before


def test_a_bucket_that_is_gone_is_answered_with_a_sentence(bob, rooms, bucket):
    made = uploaded(bob, rooms.lobby)["id"]
    bucket.objects.all().delete()
    bucket.delete()
    try:
        refused = upload(bob, rooms.lobby)
        assert refused.status_code == 503 and "could not store this file" in refused.json()["detail"]
        assert get(bob, made).status_code == 503
    finally:
        bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
