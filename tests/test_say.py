"""`manage.py say`: a message from the command line."""

import io

import pytest
from django.core.management import CommandError, call_command

from chat.models import Event, Room

pytestmark = pytest.mark.django_db


def say(*arguments, **options):
    output = io.StringIO()
    call_command("say", *arguments, stdout=output, **options)
    return output.getvalue().strip()


@pytest.mark.parametrize(("name", "msg_type"), [("message", 0), ("warning", 1), ("ALERT", 2), ("muted", 3)])
def test_it_posts_any_type_and_prints_room_and_number(rooms, name, msg_type):
    assert say("LOBBY", "Backup tonight", type=name) == "Posted in Lobby as message 1."
    event = Event.objects.get()
    assert (event.room, event.body, event.msg_type, event.username) == (rooms.lobby, "Backup tonight", msg_type, "")


def test_it_posts_as_a_user(bob, rooms):
    say("Staff", "hi", user="bob")
    assert Event.objects.get().author == bob


def test_a_room_is_found_by_its_id_unless_another_room_has_it_as_title(rooms):
    assert say(str(rooms.random.pk), "hi").startswith("Posted in Random")
    Room.objects.create(title=str(rooms.random.pk))
    assert say(str(rooms.random.pk), "hi").startswith(f"Posted in {rooms.random.pk} ")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["Nowhere", "hi"], {}, "There is no room 'Nowhere'. Rooms: Lobby, Random, Staff."),
        (["Lobby", " "], {}, "This message is empty. Add some text."),
        (["Lobby", "x" * 4001], {}, "at most 4000 characters"),
        (["Lobby", "hi"], {"type": "enter"}, "Use one of: message, warning, alert, muted."),
        (["Lobby", "hi"], {"user": "stranger"}, "There is no user 'stranger'."),
        (["9" * 40, "hi"], {}, "There is no room"),
        (["Lobby", "caf\udce9"], {}, "The text is not valid UTF-8"),
        (["caf\udce9", "hi"], {}, "The room is not valid UTF-8"),
        (["Lobby", "hi"], {"user": "\udcff"}, "The user is not valid UTF-8"),
        (["Lobby", "hi"], {"type": "\udcff"}, "The type is not valid UTF-8"),
    ],
)
def test_an_invalid_argument_is_refused_with_a_reason(rooms, arguments, options, words):
    with pytest.raises(CommandError) as caught:
        say(*arguments, **options)
    assert words in str(caught.value)
    assert not Event.objects.exists()
