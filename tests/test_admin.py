"""Rooms and users in Django's admin."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import admin as site
from chat import admin_lists
from chat.models import Event, Room
from chat.store import actions, deletion, explanations, room_actions
from chat.store.actions import Draft

pytestmark = pytest.mark.django_db
ROOMS = "/admin/chat/room/"
USERS = "/admin/auth/user/"


@pytest.fixture
def admin(client, alice):
    alice.is_superuser = True
    alice.save(update_fields=["is_superuser"])
    client.force_login(alice)
    return client


def test_rooms_are_listed_with_links_search_and_a_filter(admin, rooms):
    page = admin.get(ROOMS).content.decode()
    for room in rooms:
        assert page.count(f'href="{ROOMS}{room.pk}/change/"') == 2
    found = admin.get(ROOMS, {"q": "rand"}).context["cl"].queryset
    assert list(found) == [rooms.random]
    assert list(admin.get(ROOMS, {"staff_only__exact": 1}).context["cl"].queryset) == [rooms.staff]


def test_rooms_are_made_changed_and_deleted(admin):
    admin.post(f"{ROOMS}add/", {"title": " Kitchen "})
    room = Room.objects.get()
    assert (room.title, room.staff_only, room.head_seq) == ("Kitchen", False, 0)
    admin.post(f"{ROOMS}{room.pk}/change/", {"title": "KITCHEN", "staff_only": "on"})
    room.refresh_from_db()
    assert (room.title, room.staff_only) == ("KITCHEN", True)
    admin.post(f"{ROOMS}{room.pk}/delete/", {"post": "yes"})
    assert not Room.objects.exists()


def test_a_title_that_exists_is_refused_with_a_message(admin, rooms):
    answer = admin.post(f"{ROOMS}add/", {"title": "LOBBY"})
    assert "There is a room with this title already." in answer.content.decode()
    assert Room.objects.count() == 3


def test_a_room_with_messages_is_deleted_with_them(admin, bob, rooms):
    rooms.lobby.send_message("hi", bob)
    admin.post(ROOMS, {"action": "delete_selected", "_selected_action": [rooms.lobby.pk], "post": "yes"})
    assert Room.objects.count() == 2


def test_users_without_the_right_cannot_open_the_admin(client, bob, rooms):
    client.force_login(bob)
    assert client.get(ROOMS).status_code == 302


def fill(room, author, count):
    drafts = [Draft(room=room.pk, author=author.pk, body="hi", trusted=True) for _ in range(count)]
    actions.commit(drafts)


def test_a_room_on_legal_hold_is_not_deleted(admin, bob, rooms):
    rooms.lobby.send_message("evidence", bob)
    Room.objects.filter(pk=rooms.lobby.pk).update(legal_hold=True)
    alone = f"/admin/chat/room/{rooms.lobby.pk}/delete/"
    chosen = {"action": "delete_selected", "_selected_action": [rooms.lobby.pk, rooms.random.pk]}
    for address, form in ((alone, {}), ("/admin/chat/room/", chosen)):
        assert "Lobby (legal hold)" in admin.post(address, form).text
        admin.post(address, form | {"post": "yes"})
        assert {"Lobby", "Random"} <= {*Room.objects.values_list("title", flat=True)}
    Room.objects.filter(pk=rooms.lobby.pk).update(legal_hold=False)
    admin.post(alone, {"post": "yes"})
    assert not Room.objects.filter(title="Lobby").exists()


def test_deleting_a_room_is_confirmed_with_numbers(admin, bob, rooms, django_assert_max_num_queries):
    fill(rooms.lobby, bob, 1200)
    with django_assert_max_num_queries(8):
        page = admin.get(f"{ROOMS}{rooms.lobby.pk}/delete/").content.decode()
    assert "Lobby (1,200 messages)" in page
    assert "Messages: 1,200" in page
    assert len(page) < 20_000
    chosen = {"action": "delete_selected", "_selected_action": [room.pk for room in rooms]}
    page = admin.post(ROOMS, chosen).content.decode()
    assert "Rooms: 3" in page
    assert "Random (0 messages)" in page


def test_only_some_of_many_rooms_are_named(admin):
    rooms = Room.objects.bulk_create(Room(title=f"Room {number}") for number in range(30))
    chosen = {"action": "delete_selected", "_selected_action": [room.pk for room in rooms]}
    page = admin.post(ROOMS, chosen).content.decode()
    assert "and 10 more" in page
    assert "Rooms: 30" in page


def test_a_room_that_is_being_removed_is_not_shown(admin, bob, rooms, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    fill(rooms.lobby, bob, 50)
    admin.post(f"{ROOMS}{rooms.lobby.pk}/delete/", {"post": "yes"})
    assert deletion.unfinished().rooms == [rooms.lobby.pk]
    assert rooms.lobby not in admin.get(ROOMS).context["cl"].queryset
    assert admin.get(f"{ROOMS}{rooms.lobby.pk}/change/").status_code == 302


def test_deleting_users_is_confirmed_with_numbers_and_touches_no_message(admin, bob, charlie, rooms):
    fill(rooms.lobby, bob, 5)
    page = admin.get(f"{USERS}{bob.pk}/delete/").content.decode()
    assert "User: 1" in page
    chosen = {"action": "delete_selected", "_selected_action": [bob.pk, charlie.pk]}
    assert "Users: 2" in admin.post(USERS, chosen).content.decode()
    admin.post(USERS, {**chosen, "post": "yes"})
    assert list(User.objects.values_list("username", flat=True)) == ["alice"]
    assert set(Event.objects.values_list("author_id", flat=True)) == {bob.pk}


def test_many_users_are_deleted_a_hundred_at_a_time(admin, monkeypatch):
    monkeypatch.setattr("chat.admin.USERS_AT_ONCE", 10)
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(25))
    with CaptureQueriesContext(connection) as queries:
        admin.post(USERS, {"action": "delete_selected", "_selected_action": [user.pk for user in users], "post": "yes"})
    assert User.objects.count() == 1
    deletes = [
        query["sql"] for query in queries.captured_queries if query["sql"].startswith('DELETE FROM "auth_user" ')
    ]
    assert len(deletes) == 3


def test_a_user_without_the_right_to_delete_gets_403(client, alice, rooms):
    alice.user_permissions.set(Permission.objects.filter(codename__in=["view_room", "change_room"]))
    client.force_login(alice)
    assert client.get(f"{ROOMS}{rooms.lobby.pk}/delete/").status_code == 403


# What the lists and pages show


@pytest.fixture
def hidden(admin, bob, charlie):
    room = room_actions.create_room("Acquisition", who="members", members=[bob.pk, charlie.pk])
    room.send_message("the price is secret", bob)
    return room


def test_a_room_of_members_shows_its_title_and_size_and_never_its_messages(admin, hidden, alice):
    pages = admin.get(ROOMS).content.decode() + admin.get(f"{ROOMS}{hidden.pk}/change/").content.decode()
    pages += admin.get(f"{ROOMS}{hidden.pk}/history/").content.decode()
    assert "Acquisition" in pages and "bob, charlie" in pages and "the price" not in pages
    # The admin opens it to nobody: the flag of the room can't be changed, and no field adds a member.
    admin.post(f"{ROOMS}{hidden.pk}/change/", {"title": "Deal", "staff_only": "on", "members_only": "", "members": "1"})
    hidden.refresh_from_db()
    assert (hidden.title, hidden.members_only, hidden.staff_only) == ("Deal", True, False)
    assert not explanations.may_enter(alice, hidden)


def test_the_list_of_rooms_says_how_much_is_written_by_how_many_and_when(admin, rooms, hidden):
    found = {room.title: room for room in admin.get(ROOMS).context["cl"].result_list}
    columns = {
        title: (site.RoomAdmin.who(None, room), site.RoomAdmin.messages(None, room), site.RoomAdmin.people(None, room))
        for title, room in found.items()
    }
    assert columns == {
        "Lobby": ("Everybody", "0", "–"),
        "Random": ("Everybody", "0", "–"),
        "Staff": ("Staff", "0", "–"),
        "Acquisition": ("Members", "1", "2"),
    }
    assert found["Acquisition"].last_at == Event.objects.get().at and found["Lobby"].last_at is None


@pytest.mark.parametrize("count", [pytest.param(3, marks=pytest.mark.full_size), 60])
@pytest.mark.parametrize("address", [ROOMS, USERS])
def test_a_list_takes_the_same_queries_for_any_number_of_rows(admin, address, count, hidden):
    Room.objects.bulk_create([Room(title=f"Room {number}", title_key=f"room {number}") for number in range(count)])
    User.objects.bulk_create([User(username=f"user {number}") for number in range(count)])
    admin.get(address)  # reads content types once
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert admin.get(address).status_code == 200
    assert len(queries) <= 7, [query["sql"] for query in queries]


def test_a_long_table_is_estimated_and_not_counted(admin, monkeypatch):
    monkeypatch.setattr(admin_lists, "MAX_COUNTED", 5)
    users = User.objects.bulk_create([User(username=f"user {number}") for number in range(20)])
    with CaptureQueriesContext(connection) as queries:
        count = admin_lists.EstimatingPaginator(User.objects.order_by("pk"), 100).count
    assert count == max(user.pk for user in users)
    assert "LIMIT 6" in queries[0]["sql"]
    assert admin_lists.EstimatingPaginator(User.objects.filter(username="user 1").order_by("pk"), 100).count == 1


@pytest.mark.parametrize("kind", ["everybody", "staff", "members", "direct"])
def test_the_explanation_of_a_room_agrees_with_the_policy(alice, bob, charlie, kind):
    gone = User.objects.create_user("gone", is_active=False, is_staff=True)
    if kind == "direct":
        room = room_actions.open_direct([bob.pk], by=alice.pk)
    else:
        room = room_actions.create_room("Room", who=kind, members=[charlie.pk, gone.pk] if kind == "members" else [])
    told = {name: said.may_enter for said in explanations.explain_room(room) for name in said.names}
    assert told == {user.username: explanations.may_enter(user, room) for user in (alice, bob, charlie, gone)}


def test_the_explanation_of_a_user_has_the_rule_of_each_room_and_no_room_of_others(admin, alice, bob, rooms, hidden):
    other = room_actions.create_room("Elsewhere", who="members", members=[alice.pk])
    said = {name: (one.may_enter, one.rule) for one in explanations.explain_user(bob) for name in one.names}
    assert said["Lobby"] == (True, "For everybody who can sign in.")
    assert said["Acquisition"] == (True, "Member of these rooms.")
    assert said["Staff"][0] is False
    page = admin.get(f"{USERS}{bob.pk}/change/").content.decode()
    assert "Member of these rooms." in page and other.title not in page


def test_staff_without_permissions_see_what_they_may_do(client, bob):
    bob.is_staff = True
    bob.save()
    client.force_login(bob)
    page = client.get("/admin/").content.decode()
    assert "may delete any message" in page and "Back to the rooms" in page


def test_failed_logins_are_forgotten_from_the_list_of_users(admin, bob):
    AccessAttempt.objects.create(username="bob", ip_address="127.0.0.1", failures_since_start=50)
    assert "Access attempts" not in admin.get("/admin/").content.decode()
    answer = admin.post(USERS, {"action": "let_try_again", "_selected_action": [bob.pk]}, follow=True)
    assert "They can try again." in answer.content.decode()
    assert not AccessAttempt.objects.exists()


def test_roles_are_said_in_words(admin, bob):
    page = admin.get(USERS).content.decode()
    assert ">Admin<" in page and ">Member<" in page
    assert "They see no room of members that they are not in." in admin.get(f"{USERS}{bob.pk}/change/").content.decode()
