"""`manage.py export` and `import`: what is written is what is read, byte for byte; and Slack's export."""

import io
import json
import re
import sqlite3
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat.conf import conf
from chat.models import Confirmation, Event, Membership, Mention, Reaction, Room, RoomMember, SearchText, UsernameKey
from chat.records import RecordError, exporting, importing, slack, time_order
from chat.store import actions, display_names, own_mentions, room_actions, search, search_query
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.sockets import login_of

pytestmark = pytest.mark.django_db
DERIVED = (Reaction, Confirmation, Mention, SearchText)


def exported(room=None):
    out = io.BytesIO()
    exporting.write(out, room=room)
    return out.getvalue()


def change(room, author, kind, **fields):
    [done] = actions.commit([Draft(room=room.pk, author=author.pk, kind=kind, **fields)])
    return done.seq


@pytest.fixture
def site(alice, bob, charlie):
    """Rooms of all kinds, with every kind of event."""
    bob.first_name, bob.last_name = "Bob", "Miller"
    bob.save()
    lobby = Room.objects.create(title="Lobby", topic="All of us", retention_days=90)
    lobby.send_message("hello @bob and @all", alice)
    lobby.send_message("deleted later", bob)
    lobby.send_message("on fire 🔥", alice, conf.MSG_TYPE_ALERT)
    change(lobby, bob, Kind.EDITED, target_seq=2, body="better")
    change(lobby, bob, Kind.DELETED, target_seq=2)
    change(lobby, bob, Kind.REACTED, target_seq=1, body="👍")
    change(lobby, charlie, Kind.REACTED, target_seq=1, body="👍")
    change(lobby, bob, Kind.REACTED, target_seq=1, body="👍", is_on=False)
    change(lobby, bob, Kind.CONFIRMED, target_seq=3)
    change(lobby, alice, Kind.RESOLVED, target_seq=3)
    change(lobby, bob, Kind.POSTED, body="an answer", reply_to=1)
    hidden = room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk])
    hidden.send_message("hush", charlie)
    direct = room_actions.open_direct([charlie.pk], by=bob.pk)
    direct.send_message("just us", bob)
    Room.objects.create(title="Empty", staff_only=True)
    gone = User.objects.create_user("dora", password="x")
    lobby.send_message("from a user who is gone", gone)
    gone.delete()
    return lobby


def rows_of(model):
    fields = [field.attname for field in model._meta.concrete_fields if not field.primary_key and field.name != "event"]
    event = {"event__room", "event__seq"} if any(field.name == "event" for field in model._meta.fields) else set()
    return sorted(map(repr, model.objects.values_list(*fields, *sorted(event))))


def shown_names():
    return {shown.username: shown.name for shown in display_names.load_users(User.objects.values_list("pk", flat=True))}


def empty():
    for model in (*DERIVED, Event, RoomMember, Membership):
        model.objects.all().delete()
    Room.all_objects.all()._raw_delete("default")
    UsernameKey.objects.all().delete()
    User.objects.all()._raw_delete("default")


@pytest.fixture
def is_empty_enough(monkeypatch):
    """The tests' database has rows of other tables, such as the record of a deleted user."""
    monkeypatch.setattr("chat.backups.copying.check_empty", lambda: None)


def test_an_import_into_an_empty_database_is_exported_as_the_same_bytes(site, is_empty_enough):
    before = exported()
    derived = {model: rows_of(model) for model in DERIVED}
    names = shown_names()
    assert "Bob Miller" in names.values()
    epoch = site.epoch
    assert b"deleted later" not in before and b"better" not in before
    assert b"password" not in before
    empty()
    rooms, messages = importing.load(before.splitlines(keepends=True))
    assert (rooms, messages) == (4, 7)
    assert exported() == before
    # Mentions, reactions, confirmations and the index of the search are those of the log.
    assert {model: rows_of(model) for model in DERIVED} == derived
    assert shown_names() == names
    room = Room.objects.get(title="Lobby")
    assert room.epoch != epoch, "another site's cursors must not be taken for this one's"
    bob = User.objects.get(username="bob")
    assert not bob.check_password("x") and bob.has_usable_password(), "a new password by mail is possible"
    assert UsernameKey.objects.filter(user=bob, key="bob", is_exempt=False).exists()
    # The log goes on, and new rows get new ids.
    assert room.send_message("after the import", bob) == room.head_seq + 1
    assert Room.objects.create(title="New").pk > max(Room.objects.exclude(title="New").values_list("pk", flat=True))
    assert User.objects.create_user("erik").pk > bob.pk


def test_a_room_is_exported_alone_with_the_names_of_its_people(site, is_empty_enough, bob):
    alone = exported("Plans")
    lines = [json.loads(line) for line in alone.splitlines()]
    assert [line["type"] for line in lines] == ["multichat-export", "user", "user", "room", "event"]
    assert {name for line in lines[1:3] for name in line} == {"type", "id", "username"}
    assert b"hello" not in alone and b"alice" not in alone
    number = str(Room.objects.get(title="Plans").pk)
    assert exported(number) == alone
    empty()
    importing.load(alone.splitlines(keepends=True))
    assert exported("Plans") == alone
    assert not User.objects.get(username="bob").is_active


def test_an_export_names_a_room_that_does_not_exist(site):
    with pytest.raises(RecordError, match=r"There is no room Nowhere\. Give its title or its number\."):
        exported("Nowhere")


DAMAGES = [
    (lambda lines: lines[1:], "its first line has to be the header"),
    (lambda lines: lines[:-1], "incomplete"),
    (lambda lines: [line for line in lines if b'"seq":3,' not in line], "incomplete"),
    (lambda lines: [*lines[:2], b"{\n"], "Line 3 is not a line of an export"),
    (lambda lines: [lines[0].replace(b'"format":1', b'"format":2'), *lines[1:]], "has format 2"),
    (lambda lines: [*lines, lines[-1].replace(b'"seq"', b'"sneaky":1,"seq"')], "Line"),
    (
        lambda lines: [re.sub(rb'"at":"[^"]*"', b'"at":"0001-01-01T00:00:00"', line) for line in lines],
        "no time zone",
    ),
]


def test_a_damaged_export_changes_nothing(site, is_empty_enough):
    lines = exported("Lobby").splitlines(keepends=True)
    empty()
    for damage, reason in DAMAGES:
        with pytest.raises(RecordError, match=reason):
            importing.load(damage(lines))
        assert not Room.objects.exists() and not User.objects.exists() and not Event.objects.exists(), reason


def test_an_import_needs_an_empty_database(site):
    with pytest.raises(RecordError, match="not empty"):
        importing.load(exported().splitlines(keepends=True))


def test_the_commands_say_what_is_missing(site, tmp_path):
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import", str(tmp_path / "nothing"))
    with pytest.raises(CommandError, match=r"Nothing was imported.* not empty"):
        (tmp_path / "some").write_bytes(exported())
        call_command("import", str(tmp_path / "some"))


SLACK = {
    "users.json": [
        {"id": "U1", "name": "ann", "real_name": "Ann Lee", "profile": {"email": "ann@example.com"}},
        {"id": "U2", "name": "Ann", "deleted": True, "profile": {}},
        {"id": "U3", "name": "deploys", "is_bot": True},
    ],
    "channels.json": [
        {"id": "C1", "name": "general", "created": 1700000000, "members": ["U1", "U2"],
         "topic": {"value": "Any\nthing"}},
        {"id": "C2", "name": "o\u202eld", "is_archived": True},
    ],
    "groups.json": [{"id": "G1", "name": "secret", "members": ["U1"]}],
    "dms.json": [{"id": "D1", "created": 1700000000, "members": ["U1", "U2"]}],
    "general/2023-11-14.json": [
        {"type": "message", "user": "U1", "ts": "1700000001.000200",
         "text": "see <https://a.example/x|the page> &amp; <@U2>"},
        {"type": "message", "subtype": "channel_join", "user": "U2", "ts": "1700000002.000000", "text": "joined"},
    ],
    "general/2023-11-15.json": [
        {"type": "message", "user": "U2", "ts": "1700090000.5", "text": "yes", "thread_ts": "1700000001.000200"},
        {"type": "message", "subtype": "bot_message", "username": "ann", "ts": "1700090001.5", "text": "in <#C2>"},
        {"type": "message", "user": "U1", "ts": "1700090002.5", "text": "", "files": [{"name": "plan.pdf"}]},
    ],
    "secret/2023-11-14.json": [{"type": "message", "user": "U1", "ts": "1700000001.5", "text": "hush"}],
    "D1/2023-11-14.json": [{"type": "message", "user": "U2", "ts": "1700000001.5", "text": "hi"}],
}  # fmt: skip


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return path


def test_an_export_from_slack_becomes_rooms_users_messages_and_replies(tmp_path, is_empty_enough):
    assert slack.load(zipped(tmp_path / "slack.zip", SLACK)) == (4, 6)
    ann, second, bot = User.objects.order_by("pk")
    assert (ann.username, ann.first_name, ann.last_name, ann.email) == ("ann", "Ann", "Lee", "ann@example.com")
    assert [user.is_active for user in (ann, second, bot)] == [True, False, False]
    assert shown_names() == {"ann": "Ann Lee", "Ann-2": "", bot.username: ""}
    assert second.username == "Ann-2", "no two names that are taken for each other"
    general = Room.objects.get(title="general")
    assert (general.topic, general.members_only, general.kind) == ("Any thing", False, "")
    rows = list(general.events.order_by("seq").values_list("username", "body", "reply_to"))
    assert rows == [
        ("ann", "see the page (https://a.example/x) & @Ann-2", None),
        ("Ann-2", "yes", 1),
        ("ann (bot)", "in #old", None),
        ("ann", "[plan.pdf]", None),
    ]
    assert general.events.get(seq=1).at == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    archived = Room.objects.get(title="old")  # without the character that turns text
    assert archived.archived_at <= timezone.now()
    secret = Room.objects.get(title="secret")
    assert [member.user for member in secret.members.all()] == [ann]
    assert Room.objects.get(direct_key__isnull=False).members.count() == 2


def found_texts(user, text, limit):
    """Return what a search finds, page by page."""
    query = search_query.parse(text, now=timezone.now(), zone=UTC)
    page = search.find(user, query, limit=limit)
    pages = [page]
    while page.cursor is not None:
        page = search.find(user, query, before=page.cursor, limit=limit)
        pages.append(page)
    return [message.message for page in pages for message in page.messages]


def test_search_and_mentions_show_the_newest_of_all_rooms_first_after_an_import(is_empty_enough, alice, bob):
    rooms = [Room.objects.create(title=title) for title in ("First", "Second", "Third")]
    begin = timezone.now() - timedelta(days=1)
    User.objects.update(date_joined=begin)  # otherwise these messages came before the user
    # The rooms take turns, and the last messages come at the same time.
    for number in range(12):
        seq = rooms[number % 3].send_message(f"needle {number:02} for @bob", alice)
        at = begin + timedelta(minutes=min(number, 9))
        Event.objects.filter(room=rooms[number % 3], seq=seq).update(at=at)
    lines = exported().splitlines(keepends=True)
    empty()
    importing.load(lines)
    bob, newest = User.objects.get(username="bob"), [f"needle {number:02} for @bob" for number in range(11, -1, -1)]
    for limit in (2, 5, 20):
        found = found_texts(bob, "needle", limit)
        assert sorted(found) == sorted(newest) and found[3:] == newest[3:]
    page = own_mentions.read(login_of(bob), before=None, limit=5, max_bytes=10_000)
    mentioned = page.mentioned
    while page.next is not None:
        page = own_mentions.read(login_of(bob), before=page.next, limit=5, max_bytes=10_000)
        mentioned += page.mentioned
    assert [message.message for message in mentioned] == found
    # What is written from now on is newer.
    Room.objects.get(title="First").send_message("needle after the import", bob)
    assert found_texts(bob, "needle", 20)[0] == "needle after the import"


def test_an_import_whose_temporary_file_has_no_space_says_what_to_do(site, is_empty_enough, monkeypatch):
    lines = exported().splitlines(keepends=True)
    empty()
    connect = sqlite3.connect

    def connect_to_a_full_disk(*args):
        database = connect(*args)
        database.execute("PRAGMA max_page_count = 2")
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_full_disk)
    with pytest.raises(RecordError, match=r"temporary file: database or disk is full\. Free space .* SQLITE_TMPDIR"):
        importing.load(lines)
    assert not Room.objects.exists() and not User.objects.exists()
    monkeypatch.undo()
    # Also while the sorted ids are read.
    with pytest.raises(RecordError, match="disk I/O error"), time_order.ids_by_time([]):
        raise sqlite3.OperationalError("disk I/O error")


def test_search_shows_the_newest_of_all_channels_first_after_an_import_from_slack(tmp_path, is_empty_enough):
    messages = {
        f"{folder}/2023-11-{14 + number // 4}.json": []
        for number in range(12)
        for folder in ("general", "old", "secret")
    }
    for number in range(12):
        folder = ("secret", "general", "old")[number % 3]
        sent = {"type": "message", "user": "U1", "ts": f"{1700000000 + number}.5", "text": f"needle {number}"}
        messages[f"{folder}/2023-11-{14 + number // 4}.json"].append(sent)
    files = {name: content for name, content in SLACK.items() if "/" not in name}
    files["channels.json"] = [{"id": "C1", "name": "general"}, {"id": "C2", "name": "old"}]
    assert slack.load(zipped(tmp_path / "slack.zip", files | messages)) == (4, 12)
    found = found_texts(User.objects.get(username="ann"), "needle", 5)
    assert found == [f"needle {number}" for number in range(11, -1, -1)]


def test_an_export_that_grows_while_it_is_read_is_refused(site, is_empty_enough):
    lines = exported().splitlines(keepends=True)
    empty()
    *_, last = (line for line in lines if b'"type":"event"' in line)
    versions = [[line for line in lines if line != last], lines]

    def read():
        return importing._decoded(versions.pop(0))

    with pytest.raises(RecordError, match="grew while it was read"):
        importing.store(read)
    assert not Room.objects.exists()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.txt": "x"}, "not an export from Slack"),
        ({"users.json": "[", "channels.json": []}, "users.json in the ZIP file can't be read"),
        (
            {**SLACK, "general/2023-11-14.json": [{"type": "message", "user": "U1", "ts": "soon", "text": "x"}]},
            "the time 'soon'",
        ),
    ],
)
def test_a_damaged_export_from_slack_changes_nothing(tmp_path, is_empty_enough, files, reason):
    with pytest.raises(RecordError, match=reason):
        slack.load(zipped(tmp_path / "slack.zip", files))
    assert not Room.objects.exists() and not User.objects.exists()
