"""The tasks of tests.servers.database that make users with a right, and take it away in each possible way."""

import time
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from chat.models import Room


def make_target(name, is_staff=False, members_only=False, expires_in=None):
    """Make a user with a session, and a room named after them, for staff only if they are on the staff.

    They are a member of the room if it has members.
    """
    user = User.objects.create_user(name, is_staff=is_staff)
    room = Room.objects.create(title=f"{name}'s room", staff_only=is_staff, members_only=members_only)
    if members_only:
        room.add_member(user)
    client = Client()
    client.force_login(user)
    session = client.session.session_key
    if expires_in is not None:
        Session.objects.filter(pk=session).update(expire_date=timezone.now() + timedelta(seconds=expires_in))
    return {"user": user.pk, "room": room.pk, "session": session, "cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}


def staff_flag_taken(target):
    user = User.objects.get(pk=target["user"])
    user.is_staff = False
    user.save()


def made_staff_only(target):
    room = Room.objects.get(pk=target["room"])
    room.staff_only = True
    room.save()


def removed_from_members(target):
    Room.objects.get(pk=target["room"]).remove_member(User.objects.get(pk=target["user"]))


def room_deleted(target):
    Room.objects.get(pk=target["room"]).delete()


def deactivated(target):
    user = User.objects.get(pk=target["user"])
    user.is_active = False
    user.save()


def user_deleted(target):
    User.objects.get(pk=target["user"]).delete()


def password_changed(target):
    user = User.objects.get(pk=target["user"])
    user.set_password("five other words, hard to guess")
    user.save()


def signed_out(target):
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = target["session"]
    assert client.post("/accounts/logout/", headers={"Host": "localhost"}).status_code == 302


def session_deleted(target):
    Session.objects.get(pk=target["session"]).delete()


CAUSES = {
    cause.__name__: cause
    for cause in (
        staff_flag_taken,
        made_staff_only,
        removed_from_members,
        room_deleted,
        deactivated,
        user_deleted,
        password_changed,
        signed_out,
        session_deleted,
    )
}


def revoke(cause, target):
    """Take a right away by one of CAUSES; return when that began and when it was committed."""
    began = time.monotonic()
    CAUSES[cause](target)
    # The monotonic clock is the same in all processes of the machine.
    return {"began": began, "done": time.monotonic()}


def post_to(target):
    """Post a message into the target's room, unless it was deleted."""
    for room in Room.objects.filter(pk=target["room"]):
        room.send_message("hi", None)
