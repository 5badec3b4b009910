"""Display names: users are shown by the names that they chose, live, and never by one like another user's."""

import pytest
from django.contrib.auth import get_user_model

from chat.live import database, display_names, runtime
from chat.models import UsernameKey
from chat.store import display_names as store
from chat.store.names import NameRefused
from tests.fakes import until
from tests.sockets import connected

User = get_user_model()
pytestmark = pytest.mark.django_db(transaction=True)


def rename(user, first, last=""):
    user.first_name, user.last_name = first, last
    user.save(update_fields=["first_name", "last_name"])


def shown(user):
    [found] = store.load_users([user.pk])
    return found.name


async def test_a_page_gets_the_names_it_asks_for_and_each_change(alice, bob, charlie):
    await database.write(rename, bob, "Bob", "Builder")
    async with connected(alice) as alices, connected(charlie) as charlies:
        answer = await alices.ask(command="users", names=["bob", "charlie", "ghost", "a\x00b"])
        assert answer == {"users": {"bob": {"user": bob.pk, "name": "Bob Builder"}, "charlie": {"user": charlie.pk}}}
        await database.write(rename, bob, "Robert")
        assert await alices.next() == {"users": {"bob": {"user": bob.pk, "name": "Robert"}}}
        # From memory, which the change has reached.
        assert await charlies.ask(command="users", names=["bob"]) == {
            "users": {"bob": {"user": bob.pk, "name": "Robert"}}
        }
        bob.username = "rob"
        await database.write(bob.save)
        frame = await alices.next()
        assert frame == {"users": {"bob": {}, "rob": {"user": bob.pk, "name": "Robert"}}}
        await database.write(charlie.delete)
        assert {"users": {"charlie": {}}} in await alices.until(lambda frame: "charlie" in frame.get("users", {}))


async def test_a_change_while_no_page_shows_names_is_in_the_next_answer(alice, bob, charlie):
    # This page keeps the process awake, and asks for no names.
    async with connected(charlie) as charlies:
        async with connected(alice) as alices:
            answer = await alices.ask(command="users", names=["bob"])
            assert answer == {"users": {"bob": {"user": bob.pk}}}
        names = runtime.current().hub.display_names
        await until(lambda: not names._sessions)
        await database.write(rename, bob, "Bob")
        await until(lambda: not names._known)
        answer = await charlies.ask(command="users", names=["bob"])
        assert answer == {"users": {"bob": {"user": bob.pk, "name": "Bob"}}}


async def test_a_socket_that_asked_for_nobody_hears_of_nobody(alice, bob, charlie):
    async with connected(alice) as alices, connected(charlie) as charlies:
        await alices.ask(command="users", names=["bob"])
        await database.write(rename, bob, "Bob")
        assert await alices.next() == {"users": {"bob": {"user": bob.pk, "name": "Bob"}}}
        assert await charlies.rest() == []
        # Nor is a user sent for whom no page here has asked.
        await database.write(rename, charlie, "Charles")
        assert await alices.rest() == []


async def test_a_frame_has_names_alone(alice, bob):
    bob.email, bob.is_staff = "bob@example.com", True
    await database.write(bob.save)
    async with connected(alice) as alices:
        answer = await alices.ask(command="users", names=["bob"])
        assert answer == {"users": {"bob": {"user": bob.pk}}}


async def test_strangers_and_users_whose_rights_ended_get_no_names(bob):
    async with connected() as stranger:
        assert await stranger.ask(command="users", names=["bob"]) == {"error": "USER_HAS_TO_LOGIN"}
    async with connected(bob) as bobs:
        await bobs.ask(command="users", names=["bob"])
        bob.is_active = False
        bob.first_name = "Late"
        await database.write(bob.save)
        frames = await bobs.until(lambda frame: "error" in frame)
        assert frames[-1] == {"error": "USER_HAS_TO_LOGIN"}
        assert await bobs.next() is None


async def test_a_socket_that_missed_signals_asks_again(alice, bob):
    async with connected(alice) as alices:
        await alices.ask(command="users", names=["bob"])
        from chat.live import hub

        running = hub.running()
        [session] = running.sessions
        running.display_names.resend(session)
        assert await alices.next() == {"users": {}, "reset": True}


async def test_a_process_remembers_a_bounded_number_and_still_sends_each_change(alice, bob, charlie, monkeypatch):
    monkeypatch.setattr(display_names, "MAX_KNOWN", 1)
    async with connected(alice) as alices:
        await alices.ask(command="users", names=["bob", "charlie"])
        await database.write(rename, bob, "Bob")
        assert await alices.next() == {"users": {"bob": {"user": bob.pk, "name": "Bob"}}}
        await database.write(rename, charlie, "Charles")
        assert await alices.next() == {"users": {"charlie": {"user": charlie.pk, "name": "Charles"}}}


async def test_names_are_found_by_display_name_too(alice, bob, rooms):
    await database.write(rename, bob, "Zoë", "Builder")
    async with connected(alice) as alices:
        await alices.ask(command="join", room=rooms.lobby.pk)
        await alices.rest()
        await alices.send(command="people", room=rooms.lobby.pk, prefix="ZO")
        assert await alices.rest() == [
            {"users": {"bob": {"user": bob.pk, "name": "Zoë Builder"}}},
            {"people": str(rooms.lobby.pk), "prefix": "ZO", "names": ["bob"]},
        ]


@pytest.mark.parametrize("name", ["alice", "ALICE", "\uff21lice", "System", "Ann\u202ea", "\u3164"])
def test_no_user_is_shown_by_a_name_like_another_users(alice, bob, client, name):
    rename(bob, name)
    assert shown(bob) == ""
    rename(bob, "")
    client.force_login(bob)
    assert client.post("/accounts/", {"first_name": name, "last_name": "", "email": ""}).status_code == 200
    bob.refresh_from_db()
    assert bob.first_name == ""


def test_display_names_are_unlike_each_other_and_usernames_unlike_them(alice, bob, charlie):
    rename(bob, "Ann", "Miller")
    rename(charlie, "ann", "miller ")
    assert (shown(bob), shown(charlie)) == ("Ann Miller", "")
    rename(bob, "bob")
    rename(charlie, "Ann", "Miller")
    # Their own username is theirs.
    assert (shown(bob), shown(charlie)) == ("bob", "Ann Miller")
    rename(charlie, "Annie")
    with pytest.raises(NameRefused, match="taken"):
        User.objects.create_user("annie")
    charlie.delete()
    User.objects.create_user("annie")
    # Taken at the same moment, so no check has seen it: the username counts.
    UsernameKey.objects.filter(user=bob.pk).update(display_key="annie")
    User.objects.filter(pk=bob.pk).update(first_name="Annie")
    assert shown(bob) == ""


@pytest.mark.parametrize(("exempt", "owner"), [((True, False), 1), ((True, True), 0)])
def test_an_imported_name_that_is_a_username_of_two_users_is_shown_for_one(alice, bob, charlie, exempt, owner):
    """It is the one whose username is not exempt from being unique, or the oldest. The third only has the name."""
    users = [alice, bob, charlie]
    User.objects.update(first_name="Ann")
    for user, is_exempt in zip(users, exempt, strict=False):
        UsernameKey.objects.filter(user=user.pk).update(key="ann", is_exempt=is_exempt)
    store.keep_imported_names()
    assert [shown(user) for user in users] == ["Ann" if number == owner else "" for number in range(3)]


def test_a_name_that_was_changed_behind_djangos_back_is_not_shown(alice, bob):
    rename(bob, "Bob")
    User.objects.filter(pk=bob.pk).update(first_name="Alice")
    assert shown(bob) == ""


def test_many_names_take_few_queries(bob, django_assert_max_num_queries):
    rename(bob, "Bob")
    User.objects.bulk_create([User(username=f"user{n}", password="!") for n in range(199)])
    with django_assert_max_num_queries(4):
        assert len(store.load_users_named([f"user{n}" for n in range(199)] + ["bob"])) == 200


def test_people_are_found_by_display_name_for_dialogs(alice, bob, client):
    rename(bob, "Zo\u00eb", "Builder")
    client.force_login(alice)
    assert client.get("/people/?q=zo").json() == {"people": ["bob"], "shown": {"bob": "Zo\u00eb Builder"}}
    bob.is_active = False
    bob.save()
    assert client.get("/people/?q=zo").json() == {"people": []}
