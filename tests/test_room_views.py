"""Rooms and their members over HTTP: what the page may ask for, and what it is answered."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chat import limits
from chat.models import Room, RoomMember
from chat.store import people, room_actions

pytestmark = pytest.mark.django_db


class Page:
    """A signed-in user who asks as the page's script does."""

    def __init__(self, user):
        self.client = Client()
        self.client.force_login(user)

    def post(self, path, **body):
        answer = self.client.post(path, json.dumps(body), content_type="application/json")
        return answer.status_code, answer.json()

    def get(self, path):
        answer = self.client.get(path)
        return answer.status_code, answer.json()


def test_staff_make_a_room_with_members(alice, bob, charlie):
    made = Page(alice).post("/rooms/", title=" Plans ", topic="Next", who="members", people=["bob"])
    room = Room.objects.get()
    assert made == (
        200,
        {"id": str(room.pk), "title": "Plans", "staff_only": False, "kind": "members", "topic": "Next"},
    )
    status, shown = Page(bob).get(f"/rooms/{room.pk}/members/")
    assert (status, shown["manage"], shown["archived"]) == (200, False, False)
    assert shown["members"] == [{"username": "alice", "owner": True}, {"username": "bob", "owner": False}]
    status, shown = Page(bob).post(f"/rooms/{room.pk}/members/", add=["charlie"])
    assert (status, len(shown["members"])) == (200, 3)
    assert Page(charlie).post(f"/rooms/{room.pk}/members/", remove="bob")[0] == 403
    # Without a name, because a page may not know yet that its user was renamed.
    assert Page(charlie).post(f"/rooms/{room.pk}/members/", leave=True) == (200, {"left": True})
    assert Page(alice).post(f"/rooms/{room.pk}/members/", remove="bob")[0] == 200
    assert RoomMember.objects.count() == 1


def test_owners_rename_and_archive_their_room(alice):
    room = room_actions.create_room("Plans", who="members", by=alice.pk)
    status, changed = Page(alice).post(f"/rooms/{room.pk}/", title="Ideas", topic="Any")
    assert (status, changed["title"], changed["topic"]) == (200, "Ideas", "Any")
    assert Page(alice).post(f"/rooms/{room.pk}/", archived=True)[0] == 200
    assert Page(alice).get(f"/rooms/{room.pk}/members/")[1]["archived"]
    assert str(room.pk) not in [shown["id"] for shown in Page(alice).client.get("/").context["config"]["rooms"]]
    page = Page(alice).client.get(f"/?rooms={room.pk}")
    opened = next(shown for shown in page.context["config"]["rooms"] if shown["id"] == str(room.pk))
    assert opened["archived"]


@pytest.mark.parametrize("path", ["", "members/"])
def test_a_room_of_others_is_answered_like_a_missing_one(alice, bob, path):
    room = room_actions.create_room("Plans", who="members", members=[bob.pk])
    for body in ({}, {"title": "x"}, {"add": ["alice"]}, {"remove": "bob"}):
        hidden = Page(alice).post(f"/rooms/{room.pk}/{path}", **body)
        assert hidden == Page(alice).post(f"/rooms/98765/{path}", **body)
        assert hidden[0] in (400, 404)
    assert Page(alice).get(f"/rooms/{room.pk}/members/") == Page(alice).get("/rooms/98765/members/")


def test_a_number_that_no_room_can_have_is_answered_like_a_missing_room(alice):
    missing = Page(alice).get("/rooms/98765/members/")
    assert missing[0] == 404
    assert Page(alice).get(f"/rooms/{2**63}/members/") == missing
    assert Page(alice).post(f"/rooms/{10**30}/", title="x") == missing


def test_a_direct_room_is_opened_by_name(alice, bob):
    status, room = Page(alice).post("/direct/", people=["bob"])
    assert (status, room["kind"], room["title"], room["people"]) == (200, "direct", "bob", ["bob"])
    status, again = Page(bob).post("/direct/", people=["alice"])
    assert (again["id"], again["title"]) == (room["id"], "alice")
    assert Page(bob).post("/direct/", people=["nobody"])[0] == 400
    assert Page(bob).post(f"/rooms/{room['id']}/", title="Ours")[0] == 403


def test_names_are_completed_for_the_signed_in(alice, bob, charlie):
    User.objects.create_user("bert")
    User.objects.create_user("bernd", is_active=False)
    assert Page(alice).get("/people/?q=B") == (200, {"people": ["bert", "bob"]})
    assert Page(bob).get("/people/") == (200, {"people": ["alice", "bert", "charlie"]})
    assert Page(bob).get("/people/?q=%00") == (200, {"people": []})
    assert people.MOST_NAMES >= 3


INVALID = [
    ("/rooms/", b""),
    ("/rooms/", b"\xff"),
    ("/rooms/", b"[]"),
    ("/rooms/", b'{"title":1}'),
    ("/rooms/", b'{"title":"x","who":"nobody"}'),
    ("/rooms/", b'{"title":"x","owner":true}'),
    ("/rooms/", json.dumps({"title": "x" * 300}).encode()),
    ("/rooms/", json.dumps({"title": "x", "who": "members", "people": ["\x00"]}).encode()),
    ("/direct/", json.dumps({"people": ["bob"] * 500}).encode()),
    ("/direct/", b'{"people":[]}'),
    ("/direct/", b'{"people":["alice"]}'),
]


def test_an_invalid_request_is_refused_with_a_sentence(alice, bob):
    client = Page(alice).client
    for path, body in INVALID:
        limits.clear()
        answer = client.post(path, body, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]) == (400, "COMMAND_INVALID"), body
        assert answer.json()["detail"]
        assert not Room.objects.exists()


def test_nothing_is_answered_to_a_visitor_or_without_a_csrf_token(bob):
    for path in ("/rooms/", "/rooms/1/", "/rooms/1/members/", "/direct/"):
        assert Client().post(path, "{}", content_type="application/json").status_code == 403
        checked = Client(enforce_csrf_checks=True)
        checked.force_login(bob)
        assert checked.post(path, "{}", content_type="application/json").status_code == 403
    assert Client().get("/people/").json()["error"] == "USER_HAS_TO_LOGIN"


@pytest.mark.parametrize("path", ["/rooms/", "/direct/", "/push/", "/accounts/workspaces/", "/accounts/picture/"])
def test_a_page_changes_nothing_for_another_user_who_has_signed_in(alice, bob, path):
    def ask(user):
        headers = {"X-Multichat-User": user and str(user.pk)}
        return Page(bob).client.post(path, "{}", content_type="application/json", headers=headers)

    refused = ask(alice)
    assert (refused.status_code in (401, 403), refused.json()["detail"]) == (True, "You are signed out. Sign in again.")
    # The page's own user, and a client that names none, learn that the request itself is invalid.
    for user in (bob, ""):
        assert ask(user).status_code == 400


def test_requests_are_limited_like_messages(bob, settings):
    settings.LIMITS = settings.LIMITS | {"MESSAGES_AT_ONCE": 1, "MESSAGES_PER_SECOND": 0.01}
    page = Page(bob)
    assert page.post("/direct/", people=["bob"])[0] == 400
    assert page.post("/direct/", people=["bob"])[0] == 429
