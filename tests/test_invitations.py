"""Invitations: links by which staff let new users in."""

import logging
import threading
from datetime import timedelta

import pytest
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone

from chat import audit
from chat.models import Invitation, Membership, Room, RoomMember
from chat.store import invitations, room_actions

pytestmark = pytest.mark.django_db
CHOSEN = "five other words, hard to guess"
User = get_user_model()


def browser(user):
    client = Client()
    client.force_login(user)
    return client


def fields(name="dora", password=CHOSEN):
    return {"username": name, "password1": password, "password2": password}


def invite(inviter, *, days=7, uses=1, rooms=()):
    """Return the address of a new invitation."""
    _, code = invitations.create(inviter, days=days, uses=uses, room_ids=[room.pk for room in rooms])
    return f"/invite/{code}/"


@pytest.fixture
def written(monkeypatch):
    """The events of the security log."""
    written = []
    monkeypatch.setattr(audit, "write", lambda event, **fields: written.append({"event": event, **fields}))
    return written


def test_a_new_user_chooses_a_name_and_a_password_and_is_in_with_the_rooms_open(client, alice, rooms):
    address = invite(alice, rooms=[rooms.random, rooms.lobby])
    assert '<b dir="auto">alice</b> invited you' in client.get(address).content.decode()
    response = client.post(address, fields())
    assert response["Location"] == f"/?rooms={rooms.lobby.pk},{rooms.random.pk}"
    dora = User.objects.get(username="dora")
    assert client.get("/accounts/session/").json() == {"user": dora.pk}
    assert dora.check_password(CHOSEN)
    assert (dora.is_staff, dora.is_superuser) == (False, False)
    positions = Membership.objects.filter(user=dora, position__isnull=False).order_by("position")
    assert [row.room_id for row in positions] == [rooms.lobby.pk, rooms.random.pk]


def test_only_staff_make_links(alice, bob):
    page = browser(alice).post("/invite/", {"days": "7", "uses": "2"}).content.decode()
    assert "/invite/" in page
    assert 'aria-label="QR code of the link"' in page
    for client in (browser(bob), Client()):
        assert client.get("/invite/").status_code in (302, 403)
        assert client.post("/invite/", {"days": "7", "uses": "2"}).status_code in (302, 403)
    assert Invitation.objects.count() == 1
    with pytest.raises(PermissionDenied):
        invitations.create(bob, days=1, uses=1)


def test_following_a_link_uses_nothing_up(client, alice):
    address = invite(alice)
    for _ in range(3):
        assert client.get(address).status_code == 200
        assert client.head(address).status_code == 200
    assert client.post(address, fields(password="123")).status_code == 200  # refused by the rules for passwords
    assert Invitation.objects.get().uses_left == 1
    assert User.objects.count() == 1


def test_a_link_ends_by_its_uses_its_time_and_by_being_revoked(client, alice):
    used = invite(alice)
    Client().post(used, fields())
    late = invite(alice)
    Invitation.objects.order_by("pk").filter(uses_left=1).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked = invite(alice)
    pk = Invitation.objects.latest("pk").pk
    assert browser(alice).post(f"/invite/{pk}/revoke/").status_code == 302
    for number, address in enumerate([used, late, revoked, "/invite/invented/"]):
        for response in (client.get(address), client.post(address, fields(f"user{number}"))):
            assert response.status_code == 404
            assert "doesn't work" in response.content.decode()
    assert User.objects.count() == 2


def test_users_who_are_not_staff_cannot_revoke(alice, bob):
    address = invite(alice)
    assert browser(bob).post(f"/invite/{Invitation.objects.get().pk}/revoke/").status_code == 403
    assert Client().get(address).status_code == 200


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}, None])
def test_a_link_ends_when_its_inviter_may_no_longer_invite(client, alice, change):
    address = invite(alice, uses=5)
    if change is None:
        alice.delete()
    else:
        User.objects.filter(pk=alice.pk).update(**change)
    assert client.get(address).status_code == 404
    assert client.post(address, fields()).status_code == 404
    assert not User.objects.filter(username="dora").exists()


def test_an_inviter_who_loses_the_right_while_the_form_is_sent_lets_no_user_in(alice):
    address = invite(alice)
    invitation = invitations.find(address.split("/")[2])
    User.objects.filter(pk=alice.pk).update(is_staff=False)
    with pytest.raises(invitations.UsedUpError):
        invitations.accept(invitation, User(username="dora"))
    assert not User.objects.filter(username="dora").exists()
    assert Invitation.objects.get().uses_left == 1


def test_a_link_opens_no_room_for_staff_and_never_makes_staff(client, alice, rooms):
    address = invite(alice, rooms=[rooms.staff, rooms.lobby])
    response = client.post(address, fields() | {"is_staff": "on", "is_superuser": "on"})
    assert response["Location"] == f"/?rooms={rooms.lobby.pk}"
    dora = User.objects.get(username="dora")
    assert not (dora.is_staff or dora.is_superuser)
    assert not Membership.objects.filter(user=dora, room=rooms.staff).exists()


def test_the_rooms_are_those_that_may_be_entered_when_the_link_is_used(client, alice, rooms):
    address = invite(alice, rooms=[rooms.random, rooms.lobby])
    rooms.random.staff_only = True
    rooms.random.save()
    assert client.post(address, fields())["Location"] == f"/?rooms={rooms.lobby.pk}"


def test_a_link_into_a_room_of_members_makes_the_new_user_a_member_while_the_inviter_is_one(client, alice, bob, rooms):
    plans = room_actions.create_room("Plans", who="members", members=[alice.pk, bob.pk])
    left = room_actions.create_room("Left", who="members", members=[alice.pk, bob.pk])
    others = room_actions.create_room("Others", who="members", members=[bob.pk])
    direct = room_actions.open_direct([bob.pk], by=alice.pk)
    old = Room.objects.create(title="Old")
    room_actions.change_room(old.pk, is_archived=True)
    client.force_login(alice)
    offered = client.get("/invite/").context["rooms"]
    assert {room.title for room in offered} == {"Plans", "Left", "Lobby", "Random"}
    address = invite(alice, rooms=[plans, left, others, direct, old, rooms.lobby])
    room_actions.remove_member(left.pk, alice.pk, by=alice.pk)
    client.logout()
    assert set(client.post(address, fields())["Location"].removeprefix("/?rooms=").split(",")) == {
        str(plans.pk),
        str(rooms.lobby.pk),
    }
    dora = User.objects.get(username="dora")
    assert list(RoomMember.objects.filter(user=dora).values_list("room", "is_owner")) == [(plans.pk, False)]


def test_a_full_room_of_members_does_not_stop_a_link(client, alice, bob, rooms, monkeypatch):
    plans = room_actions.create_room("Plans", who="members", members=[alice.pk, bob.pk])
    address = invite(alice, rooms=[plans, rooms.lobby])
    monkeypatch.setattr(room_actions, "MAX_MEMBERS", 2)
    assert client.post(address, fields())["Location"] == f"/?rooms={rooms.lobby.pk}"
    assert not RoomMember.objects.filter(room=plans, user__username="dora").exists()


def test_a_deleted_room_does_not_stop_a_link(client, alice, rooms):
    address = invite(alice, rooms=[rooms.random])
    rooms.random.delete()
    assert client.post(address, fields())["Location"] == "/"


def test_the_database_does_not_have_the_code(alice):
    address = invite(alice)
    code = address.split("/")[2]
    stored = Invitation.objects.values().get()
    assert len(code) >= 24
    assert code not in str(stored)
    assert invitations.find(stored["code_hash"]) is None


def test_a_taken_name_keeps_the_link(client, alice, bob):
    address = invite(alice)
    assert "already exists" in client.post(address, fields("BOB")).content.decode()
    assert Invitation.objects.get().uses_left == 1
    assert client.post(address, fields()).status_code == 302


def test_a_name_that_is_taken_meanwhile_keeps_the_link(client, alice, monkeypatch):
    address = invite(alice)
    accept = invitations.accept

    def overtaken(invitation, user, **kwargs):
        User.objects.create_user("dora")
        return accept(invitation, user, **kwargs)

    monkeypatch.setattr(invitations, "accept", overtaken)
    assert "already exists" in client.post(address, fields()).content.decode()
    assert Invitation.objects.get().uses_left == 1


@pytest.fixture
def log_texts():
    """The messages of Django's loggers, which write each refused request."""
    texts = []

    class Keeper(logging.Handler):
        def emit(self, record):
            texts.append(self.format(record))

    keeper = Keeper()
    logging.getLogger("django").addHandler(keeper)
    yield texts
    logging.getLogger("django").removeHandler(keeper)


def test_the_page_of_a_link_sends_no_referer_and_no_log_has_the_code(client, alice, log_texts):
    address = invite(alice)
    code = address.split("/")[2]
    for path in (address, f"/invite/{code}x/"):
        for response in (client.get(path), client.post(path, fields(password="1"))):
            assert response["Referrer-Policy"] == "no-referrer"
            assert "no-store" in response["Cache-Control"]
    assert code not in "".join(log_texts)
    client.get("/invented/")
    assert "/invented/" in "".join(log_texts)


def test_log_lines_hide_codes():
    from multichat.hints import HiddenCodes

    record = logging.LogRecord("django.request", 40, "", 0, "Internal Server Error: %s", ("/invite/abc-_123/",), None)
    assert HiddenCodes().filter(record) is True
    assert record.getMessage() == "Internal Server Error: /invite/…"


def test_browsers_send_the_origin_null_from_this_page_and_other_pages_stay_strict(alice):
    strict = Client(enforce_csrf_checks=True)
    address = invite(alice)
    strict.get(address)
    token = strict.cookies["csrftoken"].value
    null = {"origin": "null"}
    assert strict.post(address, fields(), headers=null).status_code == 403
    foreign = {"origin": "https://evil.example"}
    assert strict.post(address, fields() | {"csrfmiddlewaretoken": token}, headers=foreign).status_code == 403
    assert not User.objects.filter(username="dora").exists()
    assert strict.post(address, fields() | {"csrfmiddlewaretoken": token}, headers=null).status_code == 302
    strict.get("/accounts/")
    token = strict.cookies["csrftoken"].value
    path, form = "/accounts/sign_out_everywhere/", {"csrfmiddlewaretoken": token}
    assert strict.post(path, form, headers=null).status_code == 403


def test_guessing_codes_is_limited_and_a_team_behind_one_address_is_not(client, alice, settings):
    settings.LIMITS = {**site.LIMITS, "INVITATIONS_AT_ONCE": 3, "INVITATIONS_PER_SECOND": 0.01}
    address = invite(alice, uses=10)
    assert {Client().get(address).status_code for _ in range(10)} == {200}
    assert [client.get(f"/invite/guess{n}/").status_code for n in range(4)] == [404, 404, 404, 429]
    # A guess that is right is not answered either.
    assert client.get(address).status_code == 429
    assert client.get(address, REMOTE_ADDR="10.0.0.2").status_code == 200


def test_the_security_log_names_each_use(client, alice, written):
    client.post(invite(alice), fields())
    invite(alice)
    last = Invitation.objects.latest("pk").pk
    browser(alice).post(f"/invite/{last}/revoke/")
    dora = User.objects.get(username="dora")
    lines = [line for line in written if line["event"].startswith("invitation")]
    assert [line["event"] for line in lines] == [
        "invitation_created",
        "invitation_used",
        "invitation_created",
        "invitation_revoked",
    ]
    assert (lines[1]["user"], lines[1]["address"]) == (dora.pk, "127.0.0.1")
    assert lines[1]["invitation"] == lines[0]["invitation"]


def test_a_logged_in_user_uses_nothing_up(alice, bob):
    address = invite(alice)
    client = browser(bob)
    assert "You have an account already" in client.get(address).content.decode()
    client.post(address, fields())
    assert Invitation.objects.get().uses_left == 1


def test_signing_up_without_an_invitation_needs_the_setting(client, db, settings):
    assert client.post("/accounts/sign_up/", fields()).status_code == 404
    assert User.objects.count() == 0
    settings.SIGN_UP = True
    assert client.get("/accounts/sign_up/").status_code == 200
    assert client.post("/accounts/sign_up/", fields())["Location"] == "/"
    assert not User.objects.get().is_staff


@pytest.mark.django_db(transaction=True)
def test_simultaneous_users_do_not_exceed_the_uses(alice):
    invitation, _ = invitations.create(alice, days=1, uses=3)
    start = threading.Barrier(8)
    outcomes = []

    def sign_up(number):
        try:
            start.wait(10)
            invitations.accept(invitation, User(username=f"user{number}", password="!"))
            outcomes.append("in")
        except invitations.UsedUpError:
            outcomes.append("used up")
        finally:
            connection.close()

    threads = [threading.Thread(target=sign_up, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["in"] * 3 + ["used up"] * 5
    assert User.objects.filter(username__startswith="user").count() == 3
    assert Invitation.objects.get().uses_left == 0
