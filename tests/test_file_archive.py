"""`manage.py export` and `import` with files: the same bytes come back, and no other archive is read."""

import io
import json
import tarfile
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from chat.models import Event, Room, StoredFile
from tests.hostile_files import picture
from tests.test_files import get, own_clients, own_storage, pictures_once, send, uploaded
from tests.test_records import empty, is_empty_enough

__all__ = ["is_empty_enough", "own_clients", "own_storage", "pictures_once"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("is_empty_enough")]


class Export(NamedTuple):
    lines: Path
    archive: Path
    # The stored files that it was made of, by name; the storage and the database are empty now.
    before: dict[str, bytes]
    picture: str


def files_in(root):
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def export(bob, charlie, rooms, own_storage, own_clients, tmp_path, monkeypatch):
    # The rows of a test are in a transaction that no other connection sees.
    monkeypatch.setattr("chat.records.exporting.snapshot", lambda: nullcontext("default"))
    ids = [uploaded(bob, rooms.lobby, picture(), name="Été.png")["id"], uploaded(bob, rooms.lobby, b"notes")["id"]]
    send(bob, rooms.lobby, *ids)
    send(bob, rooms.random, uploaded(bob, rooms.random, b"\x00\x01" * 5000, name="data")["id"], body="for you")
    uploaded(bob, rooms.random, b"never posted")
    gone = uploaded(bob, rooms.random, b"deleted")["id"]
    send(bob, rooms.random, gone)
    # Its message was deleted after the export's snapshot.
    (own_storage / f"files/{gone[:2]}/{gone.replace('-', '')}").unlink()
    lines = tmp_path / "site.jsonl"
    said = io.StringIO()
    call_command("export", output=lines, stdout=said, stderr=said)
    assert "3 files in" in said.getvalue() and "1 file left out" in said.getvalue()
    before = {name: content for name, content in files_in(own_storage).items() if content != b"never posted"}
    assert len(before) == 4, "with a thumbnail"
    StoredFile.objects.all().delete()
    empty()
    for path in own_storage.rglob("*"):
        if path.is_file():
            path.unlink()
    return Export(lines, tmp_path / "site.jsonl.files.tar", before, ids[0])


def test_files_come_back_byte_for_byte_and_are_exported_as_the_same_bytes(export, own_storage, tmp_path):
    call_command("import", export.lines)
    assert files_in(own_storage) == export.before
    call_command("export", output=tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == export.lines.read_bytes()
    assert (tmp_path / "again.jsonl.files.tar").stat().st_size == export.archive.stat().st_size
    # An export can leave the files out.
    call_command("export", output=tmp_path / "alone.jsonl", without_files=True)
    assert (tmp_path / "alone.jsonl").read_bytes() == export.lines.read_bytes()
    assert not (tmp_path / "alone.jsonl.files.tar").exists()
    message = Event.objects.get(room__title="Lobby")
    assert [file["name"] for file in json.loads(message.files)] == ["Été.png", "notes.txt"]
    # They are seen by those who may enter the room, as before.
    charlie = User.objects.get(username="charlie")
    assert charlie.is_active
    assert (get(charlie, export.picture).status_code, get(charlie, export.picture, "thumbnail/").status_code) == (
        200,
        200,
    )
    Room.objects.update(staff_only=True)
    assert get(charlie, export.picture).status_code == 404


def with_members(export, change):
    """Write the archive anew with other members: (name, bytes)."""
    with tarfile.open(export.archive) as tar:
        members = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
    with tarfile.open(export.archive, "w") as tar:
        for name, content in change(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def in_lines(export, old, new):
    text = export.lines.read_bytes()
    assert old in text
    export.lines.write_bytes(text.replace(old, new, 1))


FOREIGN = "files/ab/ab" + "0" * 30
HOSTILE = {
    "a path name": (lambda members: [*members, ("files/../../escaped", b"x")], "is not an archive of Multichat"),
    "a file of no message": (lambda members: [*members, (FOREIGN, b"x")], "which no message of the export has"),
    "a file twice": (lambda members: [*members, members[0]], "has it twice"),
    "a missing file": (lambda members: members[:-1], "lacks data"),
    "another size": (lambda members: [*members[:-1], (members[-1][0], b"x")], "has 1 bytes for data"),
    "another type": (
        lambda members: [*members[:-1], (members[-1][0], b"<html>".ljust(len(members[-1][1])))],
        "The content of data .* is text/html and not",
    ),
    "a thumbnail that is none": (
        lambda members: [(name, b"<html>" if "thumb" in name else content) for name, content in members],
        "not those that were exported",
    ),
}


IMPOSSIBLE = [
    (b'"name":"data"', b'"name":"../data"'),
    (b'"size":10000', b'"size":99999999999999999999'),
    (b'"type":"application/octet-stream"', b'"type":"text/html","width":1,"height":1'),
    (b'"width":64', b'"width":-64'),
]


def test_an_archive_that_is_missing_or_does_not_fit_the_lines_is_refused_and_leaves_nothing(export, own_storage):
    archive, lines = export.archive.read_bytes(), export.lines.read_bytes()
    for name, (change, reason) in HOSTILE.items():
        with_members(export, change)
        with pytest.raises(CommandError, match=f"Nothing was imported.*{reason}"):
            call_command("import", export.lines)
        assert files_in(own_storage) == {} and not StoredFile.objects.exists() and not Room.objects.exists(), name
        export.archive.write_bytes(archive)
    for old, new in IMPOSSIBLE:
        in_lines(export, old, new)
        with pytest.raises(CommandError, match="name, a type or a size that is not valid"):
            call_command("import", export.lines)
        export.lines.write_bytes(lines)
    # Without the archive, the messages can be imported alone.
    export.archive.unlink()
    with pytest.raises(CommandError, match=r"has 3 files, and there is no site\.jsonl\.files\.tar .* --without-files"):
        call_command("import", export.lines)
    call_command("import", export.lines, without_files=True)
    assert not StoredFile.objects.exists() and files_in(own_storage) == {}
    message = Event.objects.get(room__title="Lobby")
    assert (message.body, message.files) == ("Été.png, notes.txt", None)
