"""A long-lived shell beside the servers, on their database: python -m tests.servers.shell, a line of JSON each way."""

import json
import sys
import time
import traceback
from datetime import timedelta

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from chat.models import Room  # noqa: E402

# An answer's line begins so: whatever else is printed is none.
MARK = "answer: "


def make(name, *, staff_only=False, is_staff=False, expires_in=None):
    """Make somebody with a session, and a room of their own."""
    user = User.objects.create_user(name, is_staff=is_staff)
    room = Room.objects.create(title=f"{name}'s room", staff_only=staff_only)
    client = Client()
    client.force_login(user)
    session = client.session.session_key
    if expires_in is not None:
        Session.objects.filter(pk=session).update(expire_date=timezone.now() + timedelta(seconds=expires_in))
    return {"user": user.pk, "room": room.pk, "session": session, "cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}


def staff_flag_taken(one):
    user = User.objects.get(pk=one["user"])
    user.is_staff = False
    user.save()


def made_staff_only(one):
    room = Room.objects.get(pk=one["room"])
    room.staff_only = True
    room.save()


def room_deleted(one):
    Room.objects.get(pk=one["room"]).delete()


def deactivated(one):
    user = User.objects.get(pk=one["user"])
    user.is_active = False
    user.save()


def user_deleted(one):
    User.objects.get(pk=one["user"]).delete()


def password_changed(one):
    user = User.objects.get(pk=one["user"])
    user.set_password("five words that nobody guesses")
    user.save()


def signed_out(one):
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = one["session"]
    assert client.post("/accounts/logout/", headers={"Host": "localhost"}).status_code == 302


def session_deleted(one):
    Session.objects.get(pk=one["session"]).delete()


CAUSES = {
    work.__name__: work
    for work in (
        staff_flag_taken,
        made_staff_only,
        room_deleted,
        deactivated,
        user_deleted,
        password_changed,
        signed_out,
        session_deleted,
    )
}


def answer(asked):
    match asked:
        case {"make": name, **options}:
            return make(name, **options)
        case {"cause": cause, "to": one}:
            began = time.monotonic()
            CAUSES[cause](one)
            # The clock of the machine: the same in every process.
            return {"began": began, "done": time.monotonic()}


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception:
            said = {"failed": traceback.format_exc()}
        print(MARK + json.dumps(said), flush=True)
