"""Staff deactivate a colleague: never themselves, no admin unless they are one, and at once in all open pages."""

import json

import pytest
from django.contrib.auth import get_user_model

from chat.exceptions import ClientError
from chat.live import database
from chat.store import people
from tests.sockets import connected

User = get_user_model()
pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/people/deactivate/"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root")


def deactivate(client, user, name):
    client.force_login(user)
    answer = client.post(PATH, json.dumps({"username": name}), content_type="application/json")
    return answer.status_code, answer.json()


def is_active(user):
    return User.objects.get(pk=user.pk).is_active


def test_only_staff_deactivate_and_only_admins_an_admin(client, alice, bob, charlie, root):
    assert deactivate(client, bob, "charlie")[0] == 403
    assert deactivate(client, alice, "alice")[0] == 403
    assert deactivate(client, alice, "root")[0] == 403
    assert deactivate(client, root, "root")[0] == 403
    assert all(map(is_active, (alice, bob, charlie, root)))
    assert deactivate(client, alice, "charlie") == (200, {"deactivated": "charlie"})
    assert not is_active(charlie)
    # A second time, and a name that nobody has.
    assert [deactivate(client, alice, name)[0] for name in ("charlie", "ghost", "a\x00")] == [400, 400, 400]
    second = User.objects.create_superuser("second")
    assert deactivate(client, root, "second")[0] == 200
    assert not is_active(second)


def test_strangers_and_a_get_deactivate_nobody(client, alice, bob):
    assert client.post(PATH, json.dumps({"username": "bob"}), content_type="application/json").status_code == 403
    client.force_login(alice)
    assert client.get(PATH).status_code == 405
    assert is_active(bob)


def test_a_flag_that_was_taken_away_meanwhile_counts(alice, bob):
    User.objects.filter(pk=alice.pk).update(is_staff=False)
    with pytest.raises(ClientError):
        people.deactivate("bob", by=alice.pk)
    assert is_active(bob)


async def test_the_pages_of_the_user_close_at_once(alice, bob, rooms):
    async with connected(bob) as bobs:
        await bobs.ask(command="join", room=rooms.lobby.pk)
        await bobs.rest()
        await database.write(people.deactivate, "bob", by=alice.pk)
        frames = await bobs.until(lambda frame: "error" in frame)
        assert frames[-1] == {"error": "USER_HAS_TO_LOGIN"}
        assert (await bobs.next(), bobs.closed) == (None, 4401)
