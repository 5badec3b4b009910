"""A database of the last published version (chat.0004) is upgraded with all its data, and back."""

import uuid
from datetime import timedelta
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from chat.checks import check_names
from chat.models import AccessChange, Event, Membership, Mention, Presence, Process, Room, Visit
from chat.store import access, actions, deletion, layouts, log, memberships, names, presence, unread
from chat.store.actions import Draft
from chat.store.concerns import about
from chat.store.layouts import Panes
from chat.store.room_user import RoomUser
from chat.store.unread import Unread
from tests.fakes import expire_dead_processes
from tests.sockets import login_of

# Each walks through all migrations, some of them both ways.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
Kind = Event.Kind
LAST = "0004_reading"


def migrate(*targets):
    """Migrate the database, and return its app registry after that."""
    executor = MigrationExecutor(connection)
    return executor.migrate(list(targets) or executor.loader.graph.leaf_nodes()).apps


def upgrade_in_steps():
    """Migrate one migration after the other, as an upgrade that was interrupted after each of them."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    assert len(plan) >= 5
    state = None
    for step in plan:
        state = executor.migrate(None, plan=[step], state=state)


@pytest.fixture
def upgraded():
    """Migrate to the current version after the test, however it ends."""
    yield
    migrate()


def drop_tables():
    """Remove our tables, as if no migration of ours had been applied. To migrate back takes much longer."""
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table.startswith("chat_"):
                cursor.execute(f"DROP TABLE IF EXISTS {table} {'CASCADE' if connection.vendor == 'postgresql' else ''}")
    MigrationRecorder(connection).migration_qs.filter(app="chat").delete()


@pytest.fixture
def old(upgraded, alice, bob, charlie):
    """Make an empty database of the last version. Returns a function from a model's name to its manager."""
    drop_tables()
    models = migrate(("chat", LAST))
    return lambda name: models.get_model("chat", name).objects


BEFORE = timezone.now() - timedelta(days=1)


class OldRoom:
    """A room of the last version."""

    def __init__(self, old, title, **fields):
        self._old = old
        self._room = old("Room").create(title=title, **fields)
        self.pk = self._room.pk

    def write(self, *events):
        """Write events; each is (kind, author, body, target). An edited message has the text of its last edit."""
        edited = {target for kind, _, _, target in events if kind == Kind.EDITED}
        deleted = {target for kind, _, _, target in events if kind == Kind.DELETED}
        for seq, (kind, author, body, target) in enumerate(events, start=1):
            is_gone = kind != Kind.DELETED and (target or seq) in deleted
            event = self._old("Event").create(
                room_id=self.pk,
                seq=seq,
                kind=kind,
                author_id=author and author.pk,
                username=author.username if author else "dora",
                body="" if is_gone else body,
                target_seq=target,
                client_id=author and uuid.uuid4(),
                client_id_given=author is not None,
                at=BEFORE,
                edited_at=BEFORE if seq in edited else None,
                deleted_at=BEFORE if is_gone else None,
            )
            for user in User.objects.all() if kind == Kind.POSTED and not is_gone else ():
                if f"@{user.username}" in body:
                    self._old("Mention").create(event=event, user_id=user.pk)
        self._old("Room").filter(pk=self.pk).update(head_seq=len(events))


def counts(user, *rooms):
    """Return for each room the user's read position, unread messages, and unread mentions."""
    counted = unread.count({RoomUser(room.pk, user.pk): None for room in rooms})
    return [counted[room.pk, user.pk][1:4] for room in rooms]


# Titles that were different by the rule of the last version.
TITLES = ("x", "\uff58", "\uff59", "y")


def write_names_that_collide(old):
    """Make users and rooms whose names are the same by today's rule: BOB and bob, System, and two pairs of titles."""
    User.objects.bulk_create([User(username=name) for name in ("BOB", "System")])
    rooms = old("Room")
    for title in TITLES:
        # The field of a title's key computes it by today's rule.
        room = rooms.create(title=f"room {ord(title)}")
        rooms.filter(pk=room.pk).update(title=title, title_key=title)


@pytest.fixture
def site(old, alice, bob, charlie):
    """The rooms of a site that has been used for a while."""
    lobby, random, staff = OldRoom(old, "Lobby"), OldRoom(old, "Räume"), OldRoom(old, "Staff", staff_only=True)
    lobby.write(
        (Kind.POSTED, alice, "hello @bob", None),
        (Kind.POSTED, alice, "last", None),
        (Kind.EDITED, alice, "secret", 2),
        (Kind.EDITED, alice, "last", 2),
        (Kind.POSTED, alice, "gone", None),
        (Kind.EDITED, alice, "gone too", 5),
        (Kind.DELETED, alice, "", 5),
        # The author of this message was deleted.
        (Kind.POSTED, None, "I was dora", None),
        (Kind.POSTED, bob, "mine @charlie", None),
    )
    random.write(*[(Kind.POSTED, alice, text, None) for text in ("@bob", "hi", "hi")])
    staff.write((Kind.POSTED, alice, "among us", None))
    write_names_that_collide(old)
    # Bob has read a room, and another room was made later; charlie was here and never watched; alice was never here.
    old("Membership").create(user_id=bob.pk, room_id=lobby.pk, read_seq=1, position=0, is_wide=True, is_here=True)
    old("Membership").create(user_id=charlie.pk, room_id=lobby.pk)
    # Presence of a server that was killed.
    dead = old("Process").create(id="dead", expires_at=BEFORE)
    old("Presence").create(room_id=lobby.pk, user_id=bob.pk, process_id=dead.pk)
    old("AccessCounter").create(changes=7)
    upgrade_in_steps()
    return Room.objects.get(title="Lobby"), Room.objects.get(title="Räume"), Room.objects.get(title="Staff")


def test_an_upgrade_in_steps_keeps_messages_counts_rights_and_names(site, alice, bob, charlie):
    check_counts(site, alice, bob, charlie)
    check_texts(site)
    check_names_that_collide()
    check_changes(site, alice, bob, charlie)


def check_counts(site, alice, bob, charlie):
    lobby, random, staff = site
    others = [Room.objects.get(title=title) for title in TITLES]
    assert list(Room.objects.enterable_by(alice)) == [lobby, random, staff, *others]
    assert list(Room.objects.enterable_by(bob)) == [lobby, random, *others]
    assert Room.objects.titled("RÄUME").get() == random
    assert [room.head_seq for room in site] == [9, 3, 1]
    assert counts(bob, lobby, random) == [(1, 2, 0), (0, 3, 1)]
    assert counts(charlie, lobby, random) == [(9, 0, 0), (3, 0, 0)]
    assert layouts.load_layout(bob.pk) == Panes([lobby.pk], lobby.pk)
    assert set(Mention.objects.values_list("user_id", "room_id", "seq")) == {
        (bob.pk, lobby.pk, 1),
        (charlie.pk, lobby.pk, 9),
        (bob.pk, random.pk, 1),
    }
    visits = dict(Visit.objects.values_list("user_id", "at"))
    assert visits.keys() == {bob.pk, charlie.pk}
    assert visits[bob.pk] == import_module("chat.migrations.0005_unread").LONG_AGO < BEFORE < visits[charlie.pk]


def check_texts(site):
    events = [logged.event for logged in log.read(site[0].pk, after=0, limit=20)]
    assert [(type(event).__name__, getattr(event, "message", "")) for event in events] == [
        ("Posted", "hello @bob"),
        ("Posted", "last"),
        ("Overtaken", ""),
        ("Edited", "last"),
        ("Posted", None),
        ("Edited", None),
        ("Deleted", ""),
        ("Posted", "I was dora"),
        ("Posted", "mine @charlie"),
    ]
    assert not Event.objects.filter(body__contains="secret").exists()


def check_names_that_collide():
    """Users and rooms whose names collide keep them, and the first of each is found by its name."""
    assert [key.user.username for key in names.collisions()] == ["BOB", "System"]
    assert tuple(room.title for room in Room.objects.order_by("pk")[3:]) == TITLES
    found = check_names(databases=["default"])
    assert [warning.id for warning in found] == ["chat.W004"] * 4
    assert "'BOB'" in found[0].msg
    # They go on working: saved, and not as another's name.
    for name in ("bob", "BOB", "System"):
        user = User.objects.get(username=name)
        user.save()
    with pytest.raises(IntegrityError):
        User.objects.create_user("Bob")
    for room in Room.objects.filter(title__in=TITLES):
        room.staff_only = True
        room.save()
    assert Room.objects.titled("X").get().title == "x"
    # The checks that follow look at their own changes of rights.
    AccessChange.objects.all().delete()


def check_changes(site, alice, bob, charlie):
    lobby = site[0]
    # Users who were here leave with the dead process, and can enter again.
    assert expire_dead_processes() == [(lobby.pk, "bob", False)]
    presence.begin_lease("alive")
    assert presence.update_presence("alive", came={RoomUser(lobby.pk, bob.pk)}, went=()) == [(lobby.pk, "bob", True)]
    # The client_id of a message that is sent again is still known.
    login = login_of(alice)
    known = Event.objects.get(room=lobby, seq=1).client_id
    again = Draft(room=lobby.pk, author=alice.pk, login=login, body="hello", client_id=known)
    new = Draft(room=lobby.pk, author=alice.pk, login=login, body="new @bob")
    edit = Draft(room=lobby.pk, author=alice.pk, login=login, kind=Kind.EDITED, target_seq=2, body="newer")
    delete = Draft(room=lobby.pk, author=alice.pk, login=login, kind=Kind.DELETED, target_seq=1)
    assert [outcome.seq for outcome in actions.commit([again, new, edit, delete])] == [1, 10, 11, 12]
    assert Event.objects.get(room=lobby, seq=4).body == ""
    assert counts(bob, lobby) == [(1, 3, 1)]
    move = memberships.Move(login_of(bob), 10)
    memberships.store_moves(memberships.check_moves({RoomUser(lobby.pk, bob.pk): move}))
    pair = RoomUser(lobby.pk, bob.pk)
    assert unread.count({pair: None})[pair]._replace(epoch="") == Unread(12, 10, 0, 0)
    # Changes of rights, and deletions.
    alice.is_staff = False
    alice.save()
    assert access.concern_of(access.recent_changes()) == about(users=[alice.pk])
    charlie.delete()
    bob.delete()
    lobby.delete()
    assert Event.objects.count() == 4
    assert not (Membership.objects.exists() or Mention.objects.exists() or Visit.objects.exists())
    assert not Presence.objects.exists()
    assert Room.objects.create(title="lobby").send_message("hi", alice) == 1


# The upgrade above walks through the same migrations on PostgreSQL. Going back takes twice as long.
@pytest.mark.any_database
def test_a_database_with_deleted_users_and_rooms_can_be_downgraded(upgraded, alice, bob, rooms, monkeypatch):
    gone = User.objects.create_user("gone")
    for room in rooms:
        for author in (alice, gone):
            room.send_message("hi @bob @gone", author)
    memberships.store_first_visits([alice.pk, bob.pk, gone.pk])
    login = login_of(alice)
    for body in ("secret", "last"):
        edit = Draft(room=rooms.lobby.pk, author=alice.pk, login=login, kind=Kind.EDITED, target_seq=1, body=body)
        actions.commit([edit])
    reaction = Draft(room=rooms.lobby.pk, author=alice.pk, login=login, kind=Kind.REACTED, target_seq=1, body="👍")
    alert = Draft(room=rooms.lobby.pk, author=alice.pk, login=login, body="Disk full", msg_type=2)
    confirm, resolve = (
        Draft(room=rooms.lobby.pk, author=alice.pk, login=login, kind=kind, target_seq=6)
        for kind in (Kind.CONFIRMED, Kind.RESOLVED)
    )
    assert [outcome.seq for outcome in actions.commit([reaction, alert, confirm, resolve])] == [5, 6, 7, 8]
    presence.begin_lease("one")
    number = gone.pk
    gone.delete()
    # Rows that were written while the user was being deleted.
    Visit.objects.create(user_id=number, at=timezone.now())
    Membership.objects.create(room=rooms.lobby, user_id=number)
    Presence.objects.create(room=rooms.lobby, user_id=number, process_id="one")
    Presence.objects.create(room=rooms.random, user=bob, process_id="one")
    Membership.objects.create(room=rooms.random, user=bob, read_seq=1)
    # A deleted room whose rows are not removed yet, and a new room with its title.
    deletion.close_rooms([rooms.random.pk])
    Room.objects.create(title="Random")

    models = migrate(("chat", LAST))
    old = {name: models.get_model("chat", name).objects for name in ("Room", "Event", "Membership", "Mention")}
    assert sorted(old["Room"].values_list("title", "head_seq")) == [("Lobby", 8), ("Random", 0), ("Staff", 2)]
    # The numbers of new kinds of events are still used, by edits that this version passes over.
    new = old["Event"].filter(room_id=rooms.lobby.pk, seq__in=(5, 7, 8))
    assert list(new.values_list("kind", "body")) == [(Kind.EDITED, "")] * 3
    messages = old["Event"].filter(room_id=rooms.staff.pk).order_by("seq")
    assert list(messages.values_list("author_id", "username")) == [(alice.pk, "alice"), (None, "gone")]
    assert set(old["Mention"].values_list("user_id", flat=True)) == {bob.pk}
    assert not old["Membership"].exists()
    # The constraints exist again.
    connection.check_constraints()
    models.get_model("chat", "AccessCounter").objects.create(changes=1)

    migrate()
    assert Room.objects.count() == 3
    assert Process.objects.count() == 1
    assert counts(bob, rooms.lobby, rooms.staff) == [(0, 3, 1), (0, 2, 2)]
