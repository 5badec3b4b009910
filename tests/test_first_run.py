"""`manage.py first_run` makes rooms and an admin in an empty installation, once."""

import io
import re

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import QuerySet

from chat.models import Room

pytestmark = pytest.mark.django_db


def first_run(*arguments):
    output = io.StringIO()
    call_command("first_run", *arguments, stdout=output)
    return output.getvalue()


def printed_password(output):
    return re.search(r"Password +(\S+)", output)[1]


def test_an_empty_installation_gets_rooms_and_an_admin():
    output = first_run()
    assert list(Room.objects.values_list("title", "staff_only").order_by("title")) == [
        ("Lobby", False),
        ("Random", False),
        ("Staff", True),
    ]
    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, True)
    assert admin.check_password(printed_password(output))
    assert "http://127.0.0.1:8000/" in output


def test_the_password_is_printed_in_a_box_and_is_new_each_time():
    output = first_run()
    assert len({len(line) for line in output.splitlines() if line}) == 1
    User.objects.all().delete()
    Room.objects.all().delete()
    assert printed_password(first_run()) != printed_password(output)


def test_a_second_run_changes_and_prints_nothing():
    first_run()
    assert first_run() == ""
    assert (User.objects.count(), Room.objects.count()) == (1, 3)


def test_nothing_is_made_if_there_is_a_user(bob):
    assert first_run() == ""
    assert not Room.objects.exists()


def test_nothing_is_made_if_there_is_a_room():
    Room.objects.create(title="Ours")
    assert first_run() == ""
    assert not User.objects.exists()


def test_beyond_loopback_nothing_is_made_unless_asked(settings):
    settings.FIRST_RUN = False
    assert first_run() == ""
    assert not User.objects.exists()
    assert "Password" in first_run("--beyond-loopback")


def test_the_second_of_two_simultaneous_runs_makes_nothing(monkeypatch):
    first_run()
    # The second run checked before the rows of the first were committed.
    monkeypatch.setattr(QuerySet, "exists", lambda self: False)
    assert first_run() == ""
    assert (User.objects.count(), Room.objects.count()) == (1, 3)
