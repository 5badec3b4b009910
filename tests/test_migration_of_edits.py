"""The migration of edits of earlier versions removes texts that were edited away from the database."""

import importlib
import uuid

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from chat.models import Event, Room
from chat.store import actions, log
from chat.store.actions import Draft

pytestmark = pytest.mark.django_db(transaction=True)
Kind = Event.Kind


@pytest.fixture
def mark(monkeypatch):
    """A function that runs the migration that removes the texts of overtaken edits, three rows at a time."""
    migration = importlib.import_module("chat.migrations.0009_overtaken_texts")
    monkeypatch.setattr(migration, "PIECE", 3)

    def mark():
        with connection.schema_editor() as editor:
            migration.mark_overtaken_edits(apps, editor)

    return mark


def write_as_before(room, author, *events):
    """Write events as versions without `edit_seq` did; each is (kind, body, target)."""
    now = timezone.now()
    edited = {target for kind, _, target in events if kind == Kind.EDITED}
    deleted = {target for kind, _, target in events if kind == Kind.DELETED}
    for seq, (kind, body, target) in enumerate(events, start=1):
        is_gone = (target or seq) in deleted
        Event.objects.create(
            room=room,
            seq=seq,
            kind=kind,
            author=author,
            username=author.username,
            body="" if is_gone else body,
            target_seq=target,
            client_id=uuid.uuid4(),
            at=now,
            edited_at=now if seq in edited else None,
            deleted_at=now if is_gone and kind != Kind.DELETED else None,
        )
    Room.objects.filter(pk=room.pk).update(head_seq=len(events))


OLD = [
    (Kind.POSTED, "last of 1", None),
    (Kind.POSTED, "last of 2", None),
    (Kind.EDITED, "secret", 1),
    (Kind.POSTED, "never edited", None),
    (Kind.EDITED, "secret too", 1),
    (Kind.EDITED, "last of 2", 2),
    (Kind.EDITED, "last of 1", 1),
    (Kind.POSTED, "gone", None),
    (Kind.EDITED, "gone", 8),
    (Kind.EDITED, "gone too", 8),
    (Kind.DELETED, "", 8),
]


def test_the_migration_removes_texts_that_were_edited_away(bob, rooms, mark):
    write_as_before(rooms.lobby, bob, *OLD)
    for _ in range(2):  # the second time as after an interrupted upgrade
        mark()
        assert not Event.objects.filter(body__contains="secret").exists()
        edits = dict(Event.objects.filter(edit_seq__isnull=False).values_list("seq", "edit_seq"))
        assert edits == {1: 7, 2: 6, 3: 7, 5: 7, 8: 10, 9: 10}
    events = [logged.event for logged in log.read(rooms.lobby.pk, after=0, limit=20)]
    assert [type(event).__name__[0] for event in events] == list("PPOPOEEPOED")
    assert [getattr(event, "message", None) for event in events if event.seq in (1, 2, 4, 6, 7)] == [
        "last of 1",
        "last of 2",
        "never edited",
        "last of 2",
        "last of 1",
    ]
    # A new edit removes the text of the last one.
    change = {"room": rooms.lobby.pk, "author": bob.pk, "target_seq": 1}
    actions.commit([Draft(**change, kind=Kind.EDITED, body="newer")])
    assert Event.objects.get(seq=7).body == ""


def test_with_keep_edited_text_the_migration_keeps_texts_until_their_message_is_deleted(bob, rooms, mark, settings):
    settings.KEEP_EDITED_TEXT = True
    write_as_before(rooms.lobby, bob, *OLD)
    mark()
    assert Event.objects.get(seq=3).body == "secret"
    assert "secret" not in str([logged.frame.text for logged in log.read(rooms.lobby.pk, after=0, limit=20)])
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, kind=Kind.DELETED, target_seq=1)])
    assert not Event.objects.filter(body__contains="secret").exists()


def test_the_migration_works_on_an_empty_database(db, mark):
    mark()
