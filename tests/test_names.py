"""Names that people take for each other: of users, of rooms, and of the system."""

import threading

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from chat.live import database
from chat.models import Room, UsernameKey
from chat.names import MAX_KEY, name_key
from chat.store import names
from tests.sockets import connected

SAME = [
    ("bob", "BOB"),
    ("bob", "Bob"),
    ("bob", "b\u200bob"),
    ("bob", "\u202ebob\u202c"),
    ("bob", "bob\ufe0f"),
    ("bob", "bo\u00adb"),
    ("bob", " bob "),
    ("bob", "ｂｏｂ"),
    ("bob", "bo\u3164b"),
    ("caf\u00e9", "cafe\u0301"),
    ("two words", "two\u00a0\u2003words"),
    ("Straße", "STRASSE"),
]
SYSTEMS = ["System", "system", "SYSTEM", "Sys\u200dtem", " System", "Ｓystem"]


@pytest.mark.parametrize(("name", "other"), SAME)
def test_names_that_look_the_same_have_one_key(name, other):
    assert name_key(name) == name_key(other)


@pytest.mark.parametrize(("name", "other"), [("bob", "bobb"), ("cafe", "café"), ("ab", "a b"), ("İ", "i"), ("1", "l")])
def test_different_names_have_different_keys(name, other):
    assert name_key(name) != name_key(other)


def test_a_key_is_never_longer_than_its_column_and_stays_different():
    # One character that becomes eighteen.
    long, longer = "\ufdfa" * 149, "\ufdfa" * 150
    assert len(name_key(long)) <= MAX_KEY
    assert name_key(long) != name_key(longer)
    assert name_key(name_key("Straße")) == name_key("Straße")


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "other"), SAME)
def test_a_user_whose_name_looks_like_anothers_is_not_made(name, other):
    User.objects.create_user(name)
    with pytest.raises(IntegrityError):
        User.objects.create_user(other)
    with pytest.raises(ValidationError, match="looks like another"):
        User(username=other).save()
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", [*SYSTEMS, "\u200b", "\u3164"])
def test_no_user_is_called_system_or_has_an_invisible_name(name):
    with pytest.raises(ValidationError):
        User.objects.create_user(name)
    with pytest.raises(IntegrityError), transaction.atomic():
        UsernameKey.objects.create(user_id=1, key=name_key(name))
    bob = User.objects.create_user("bob")
    bob.username = name
    with pytest.raises(ValidationError):
        bob.save(update_fields=["username"])


@pytest.mark.django_db
def test_a_user_may_change_the_case_of_their_name_and_give_up_a_name():
    bob = User.objects.create_user("bob")
    bob.username = "Bob"
    bob.save()
    bob.username = "robert"
    bob.save(update_fields=["username"])
    other = User.objects.create_user("BOB")
    other.delete()
    User.objects.create_user("bob")
    # Deleted without a signal, so that the key stays behind.
    User.objects.filter(username="bob")._raw_delete("default")
    User.objects.create_user("bob")


@pytest.mark.django_db
def test_the_admin_says_beside_the_field_why_a_name_is_refused(client, alice, bob):
    alice.is_superuser = alice.is_staff = True
    alice.save()
    client.force_login(alice)
    page = client.get(f"/admin/auth/user/{bob.pk}/change/").context["adminform"].form
    as_shown = {key: value for key, value in page.initial.items() if isinstance(value, str)}
    for name in ("ALICE", "System", "ａlice"):
        answer = client.post("/admin/auth/user/add/", {"username": name, "usable_password": "false"})
        assert answer.status_code == 200
        assert "username" in answer.context["adminform"].form.errors, name
        answer = client.post(f"/admin/auth/user/{bob.pk}/change/", as_shown | {"username": name})
        assert "username" in answer.context["adminform"].form.errors, name
        bob.refresh_from_db()
        assert bob.username == "bob"


@pytest.mark.django_db(transaction=True)
def test_of_two_users_who_choose_a_name_at_the_same_moment_one_has_it():
    if connection.vendor == "sqlite":
        pytest.skip("one writer at a time")
    outcomes = []
    both = threading.Barrier(2)

    def create(name):
        user = User(username=name)
        try:
            # Both have passed the check before either is written.
            names.check_username(name)
            both.wait(10)
            user.save()
            outcomes.append(user.pk)
        except IntegrityError:
            outcomes.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=create, args=[name]) for name in ("carol", "CAROL")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcome is None for outcome in outcomes) == [False, True]
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_user_without_a_key_in_time_is_removed_again(monkeypatch):
    User.objects.create_user("carol")
    # As if both had asked before either was written.
    monkeypatch.setattr(names, "check_username", lambda name, user_id=None: None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("CAROL")
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("title", "other"), [("Lobby", "L\u200bobby"), ("Lobby", "ＬＯＢＢＹ"), ("a b", "a\u00a0 b")])
def test_rooms_whose_titles_look_the_same_are_refused(title, other):
    room = Room.objects.create(title=title)
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(title=other)
    with pytest.raises(ValidationError):
        Room(title=other).full_clean()
    assert Room.objects.titled(other).get() == room


@pytest.mark.django_db
@pytest.mark.parametrize("title", [*SYSTEMS, "\u200b"])
def test_a_title_that_is_the_systems_or_shows_nothing_is_refused(title):
    with pytest.raises(ValidationError):
        Room(title=title).full_clean()


def code(frame):
    return frame["error"], frame["command"], frame["room"]


@pytest.mark.django_db(transaction=True)
async def test_people_who_may_enter_a_room_are_found_by_the_beginning_of_their_name(alice, bob, rooms):
    make = User.objects.create_user
    for name in ("Bea", "BEN", "ｂｅｒｔ", "zoe"):
        await database.write(make, name)
    await database.write(make, "beginner", is_active=False)
    await database.write(make, "bestboss", is_staff=True)
    lobby, staff = str(rooms.lobby.pk), str(rooms.staff.pk)
    async with connected(bob) as bobs, connected(alice) as alices:
        # Without joining: of a room that may not be entered, and of any other.
        assert code(await bobs.ask(command="people", room=staff)) == ("ROOM_ACCESS_DENIED", "people", staff)
        assert code(await bobs.ask(command="people", room=lobby)) == ("ROOM_ACCESS_DENIED", "people", lobby)
        await bobs.ask(command="join", room=lobby)
        found = await bobs.ask(command="people", room=lobby, prefix="bE")
        assert found == {"people": lobby, "prefix": "bE", "names": ["Bea", "BEN", "bert", "bestboss"]}
        assert (await bobs.ask(command="people", room=lobby, prefix="x"))["names"] == []
        everybody = await bobs.ask(command="people", room=lobby)
        assert {"alice", "bob", "zoe"} <= set(everybody["names"])
        # In a small room everybody may mention all users.
        assert everybody["all"] is True
        assert (await bobs.ask(command="people", room=lobby, prefix="ALL"))["all"] is True
        await alices.ask(command="join", room=staff)
        assert (await alices.ask(command="people", room=staff, prefix="be"))["names"] == ["bestboss"]
        # Taken from the staff, without a signal: the question itself finds out.
        await database.write(User.objects.filter(pk=alice.pk).update, is_staff=False)
        refused = await alices.ask(command="people", room=staff, prefix="be")
        assert code(refused) == ("ROOM_ACCESS_DENIED", "people", staff)
        assert await bobs.rest() == []


@pytest.mark.django_db(transaction=True)
async def test_an_answer_has_at_most_twenty_names_whatever_the_rights_of_others(alice, rooms):
    many = [User(username=f"many{number:03}", password="!") for number in range(130)]
    await database.write(User.objects.bulk_create, many)
    keys = [UsernameKey(user_id=user.pk, key=user.username) for user in many]
    await database.write(UsernameKey.objects.bulk_create, keys)
    bob = await database.write(User.objects.create_user, "many999", is_staff=False)
    async with connected(bob) as socket:
        # In a large room only staff may mention all users.
        await socket.ask(command="join", room=rooms.lobby.pk)
        assert "all" not in await socket.ask(command="people", room=rooms.lobby.pk, prefix="her")
    await database.write(User.objects.filter(pk=bob.pk).update, is_staff=True)
    async with connected(alice) as socket:
        for room in (rooms.lobby.pk, rooms.staff.pk):
            await socket.ask(command="join", room=room)
        found = await socket.ask(command="people", room=rooms.lobby.pk, prefix="MANY")
        assert found["names"] == [f"many{number:03}" for number in range(20)]
        assert (await socket.ask(command="people", room=rooms.staff.pk, prefix="many"))["names"] == ["many999"]
        refused = await socket.ask(command="people", room=rooms.lobby.pk, prefix="x" * 151)
        assert refused["error"] == "COMMAND_INVALID"


@pytest.mark.django_db
def test_names_are_found_by_the_index():
    User.objects.bulk_create([User(username=f"user{number}") for number in range(2000)])
    UsernameKey.objects.bulk_create(
        [UsernameKey(user_id=user.pk, key=user.username) for user in User.objects.filter(username__startswith="user")]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for prefix in ("b", "B%", "b_b", "\\", "🎉"):
        plan = names.starting_with(prefix).values_list("user_id")[:20].explain()
        assert "chat_usernamekey_key" in plan or "username_key" in plan, (prefix, plan)
        assert "SCAN chat_usernamekey\n" not in plan and "Seq Scan" not in plan, (prefix, plan)
        assert list(names.starting_with(prefix)) == [], prefix
