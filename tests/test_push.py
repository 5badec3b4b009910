"""Web Push reaches users who are away, once, with what they may see; a right that ended ends it."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat.live import database
from chat.live.pusher import Pusher
from chat.models import Event, Membership, PushDelivery, PushSubscription
from chat.store import levels, memberships, notifications, push, room_actions
from chat.store.memberships import Move
from chat.store.room_user import RoomUser
from tests.push_service import Browser, PushService
from tests.sockets import connected, login_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def service(settings):
    settings.OUTGOING_LOOPBACK = True
    settings.PUSH_SECONDS = 0
    service = PushService()
    yield service
    service.stop()


class Device:
    """A user's browser that is signed in and has subscribed."""

    def __init__(self, service, user, name, **wanted):
        self.client = Client()
        self.client.force_login(user)
        self.browser = Browser(service, name)
        self.answer = self.post(**wanted)

    def post(self, **wanted):
        body = json.dumps(self.browser.subscription() | wanted)
        return self.client.post("/push/", body, content_type="application/json")

    @property
    def messages(self):
        return self.browser.messages()


def deliver(rooms, here=()):
    """Queue the newest messages of rooms and send what is due, as a Pusher does."""
    push.queue({room.pk: Event.objects.filter(room=room).latest("seq").seq for room in rooms})
    send_due(here)


def send_due(here=()):
    for message in push.take_due(here):
        push.finish(message, push.send(message))


def test_a_message_without_its_text_reaches_each_device_once(service, alice, bob, rooms):
    phone, laptop = Device(service, bob, "phone"), Device(service, bob, "laptop", shows_text=True)
    assert phone.answer.json()["key"] == laptop.client.get("/push/").json()["key"]
    rooms.lobby.send_message("the secret plan", alice)
    deliver([rooms.lobby])
    deliver([rooms.lobby])
    room = str(rooms.lobby.pk)
    assert phone.messages == [{"room": room, "seq": 1}]
    shown = {"room": room, "seq": 1, "title": "Lobby", "author": "alice", "text": "the secret plan", "alert": False}
    assert laptop.messages == [shown]
    # The author gets none.
    own = Device(service, alice, "own")
    deliver([rooms.lobby])
    assert own.messages == []


def test_a_right_that_ended_ends_the_push(service, alice, bob, charlie, rooms):
    device, others = Device(service, charlie, "device", shows_text=True), Device(service, bob, "other")
    room = room_actions.create_room("Plans", who="members", members=[alice.pk, charlie.pk], by=alice.pk)
    room.send_message("secret", alice)
    rooms.staff.send_message("for staff", alice)
    push.queue({room.pk: 1, rooms.staff.pk: 1})
    # Neither is queued for users who may not enter, and a right that ends after that is asked for again.
    assert set(PushDelivery.objects.values_list("subscription__user_id", "room_id")) == {(charlie.pk, room.pk)}
    room_actions.remove_member(room.pk, charlie.pk)
    send_due()
    assert device.messages == others.messages == []
    assert not PushDelivery.objects.filter(due_at__isnull=False).exists()


@pytest.mark.parametrize("is_direct", [pytest.param(False, marks=pytest.mark.any_database), True])
def test_flags_bring_no_push_of_a_hidden_room(service, bob, charlie, is_direct):
    """Not even of a message that mentions the superuser."""
    root = User.objects.create_superuser("root")
    device, members = Device(service, root, "root", shows_text=True), Device(service, charlie, "charlie")
    if is_direct:
        room = room_actions.open_direct([charlie.pk], by=bob.pk)
    else:
        room = room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk])
    room.send_message("secret @root @all", bob)
    deliver([room])
    assert (device.messages, len(members.messages)) == ([], 1)


@pytest.mark.parametrize(
    "end", ["sign_out", *(pytest.param(end, marks=pytest.mark.any_database) for end in ("password", "deactivate"))]
)
def test_a_device_that_is_signed_out_gets_nothing_more(end, service, alice, bob, rooms):
    device = Device(service, bob, "device")
    rooms.lobby.send_message("hello", alice)
    push.queue({rooms.lobby.pk: 1})
    if end == "sign_out":
        device.client.post("/accounts/logout/")
        assert not PushSubscription.objects.exists()
    elif end == "password":
        bob.set_password("another one")
        bob.save()
    else:
        bob.is_active = False
        bob.save()
    send_due()
    assert device.messages == []
    assert not PushSubscription.objects.exists()


def test_the_level_a_pause_and_reading_elsewhere_end_a_delivery(service, alice, bob, rooms):
    device = Device(service, bob, "device")
    lobby = RoomUser(rooms.lobby.pk, bob.pk)
    levels.store_levels({lobby: Membership.Level.MENTIONS})
    rooms.lobby.send_message("hello all", alice)
    deliver([rooms.lobby])
    rooms.lobby.send_message("hello @bob", alice)
    push.queue({rooms.lobby.pk: 2})
    memberships.store_moves(memberships.check_moves({lobby: Move(login_of(bob), 2)}))
    send_due()
    # A page of the user has shown it.
    rooms.lobby.send_message("again @bob", alice)
    assert notifications.take(login_of(bob), rooms.lobby.pk, 0, 3)
    deliver([rooms.lobby])
    assert device.messages == []
    device.post(paused_until=timezone.now().timestamp() + 600)
    rooms.lobby.send_message("paused @bob", alice)
    deliver([rooms.lobby])
    assert device.messages == []
    device.post()
    rooms.lobby.send_message("now @bob", alice)
    deliver([rooms.lobby])
    assert [message["seq"] for message in device.messages] == [5]


def test_a_user_with_an_open_page_gets_it_only_when_they_have_gone(service, alice, bob, rooms):
    device = Device(service, bob, "device")
    rooms.lobby.send_message("hello", alice)
    deliver([rooms.lobby], here={bob.pk})
    assert device.messages == []
    PushDelivery.objects.update(due_at=timezone.now())
    send_due()
    assert len(device.messages) == 1
    # What waited too long is no news.
    rooms.lobby.send_message("later", alice)
    push.queue({rooms.lobby.pk: 2})
    Event.objects.update(at=timezone.now() - push.FRESH)
    send_due()
    assert len(device.messages) == 1


def test_a_subscription_that_is_gone_is_removed_and_a_failure_is_tried_again(service, alice, bob, rooms):
    gone, failing = Device(service, bob, "gone"), Device(service, bob, "failing")
    service.answers |= {"gone": 410, "failing": 503}
    rooms.lobby.send_message("hello", alice)
    deliver([rooms.lobby])
    assert [row.endpoint for row in PushSubscription.objects.all()] == [failing.browser.endpoint]
    assert len(gone.messages) == 1
    due = PushDelivery.objects.get().due_at
    assert timedelta(seconds=5) < due - timezone.now() < timedelta(seconds=11)
    send_due()
    assert len(failing.messages) == 1
    for tries in range(2, push.TRIES + 1):
        PushDelivery.objects.update(due_at=timezone.now())
        send_due()
        assert len(failing.messages) == tries
        if tries < push.TRIES:
            wait = (PushDelivery.objects.get().due_at - timezone.now()).total_seconds()
            assert 0 <= 10 * 2 ** (tries - 1) - wait < 5
    assert PushDelivery.objects.get().due_at is None


@pytest.mark.any_database
def test_a_redirect_of_a_push_service_is_not_followed(service, alice, bob, rooms):
    Device(service, bob, "moved")
    other = Device(service, alice, "other")
    service.answers["moved"], service.locations["moved"] = 307, other.browser.endpoint
    rooms.lobby.send_message("hello", None)
    deliver([rooms.lobby])
    assert [len(service.received["moved"]), len(service.received["other"])] == [1, 1]
    assert not PushDelivery.objects.filter(due_at__isnull=False).exists()


@pytest.mark.any_database
def test_a_subscription_to_a_private_address_is_refused(service, bob, settings):
    settings.OUTGOING_LOOPBACK = False
    assert Device(service, bob, "device").answer.status_code == 400
    device = Device(service, bob, "device")
    device.browser.service = type("Service", (), {"url": "https://10.0.0.1", "received": {}})
    assert device.post().status_code == 200, "the name is resolved when a message is sent"
    [row] = PushSubscription.objects.all()
    assert push.send(push.Push(0, 1, row.endpoint, b"", {})) is None


@pytest.mark.any_database
def test_a_user_cannot_end_anothers_subscription_and_has_a_bounded_number(service, alice, bob):
    device = Device(service, bob, "device")
    body = json.dumps({"endpoint": device.browser.endpoint})
    other = Client()
    other.force_login(alice)
    assert other.post("/push/end/", body, content_type="application/json").status_code == 200
    assert PushSubscription.objects.count() == 1
    assert Client().get("/push/").status_code == 403
    for number in range(push.MOST_BROWSERS + 2):
        Device(service, bob, f"device{number}")
    assert PushSubscription.objects.filter(user=bob).count() == push.MOST_BROWSERS
    assert device.client.post("/push/end/", body, content_type="application/json").status_code == 200


async def test_the_task_of_a_server_sends_to_users_without_a_socket(service, alice, bob, rooms, settings):
    settings.PUSH_LOOK_SECONDS = 3600
    device = await database.read(Device, service, bob, "device")
    watching = await database.read(Device, service, alice, "watching")
    pusher = Pusher()
    try:
        async with connected(alice):
            await database.write(rooms.lobby.send_message, "hello", None)
            await pusher.look()
            await pusher.send_due()
            assert [len(device.messages), len(watching.messages)] == [1, 0]
            await pusher.look()
            await pusher.send_due()
            assert len(device.messages) == 1
    finally:
        await pusher.stop()
