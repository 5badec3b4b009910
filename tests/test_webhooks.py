"""Webhooks send what is written in a room to an address outside: signed, in order, at least once, while one may."""

import asyncio
import base64
import hashlib
import hmac
import http.server
import json
import re
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from chat.exceptions import ClientError
from chat.live import database
from chat.live.webhook_sender import WebhookSender
from chat.models import Event, Room, Webhook
from chat.store import actions, bots, log, retention, room_actions, webhooks
from chat.store.actions import Draft
from chat.store.bots import Post
from chat.store.log import Kind
from tests.fakes import translate

pytestmark = pytest.mark.django_db(transaction=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        receiver.requests.append((dict(self.headers), body))
        self.send_response(receiver.answer(body))
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Receiver:
    """A program outside, with the answers that a test wants."""

    def __init__(self):
        self.requests, self.status, self.headers = [], 204, {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.receiver = self
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/in?key=topsecret"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, body):
        return self.status

    @property
    def events(self):
        return [json.loads(body) for _, body in self.requests]

    @property
    def texts(self):
        return [event["message"] for event in self.events]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(settings):
    settings.OUTGOING_LOOPBACK = True
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def made(receiver, alice, rooms):
    return webhooks.create(rooms.lobby.pk, receiver.url, by=alice.pk)


def send_due():
    """Send all that is due, as a WebhookSender of a server does."""

    async def work():
        sender = WebhookSender()
        try:
            await sender.drain()
        finally:
            await sender.stop()
            await database.close()

    asyncio.run(work())


def commit(**fields):
    [outcome] = actions.commit([Draft(**fields)])
    assert not isinstance(outcome, ClientError), outcome
    return outcome


def test_each_event_is_sent_once_in_order_as_the_socket_has_it_and_signed(made, receiver, alice, bob, rooms):
    room = rooms.lobby.pk
    first = rooms.lobby.send_message("disk füll", bob, msg_type=2)
    commit(room=room, author=alice.pk, kind=Kind.CONFIRMED, target_seq=first)
    commit(room=room, author=alice.pk, kind=Kind.RESOLVED, target_seq=first)
    rooms.random.send_message("elsewhere", bob)
    second = rooms.lobby.send_message("typo", bob)
    wanted = [event.frame.payload for event in log.read(room, after=0, limit=100)]
    send_due()
    commit(room=room, author=bob.pk, kind=Kind.EDITED, target_seq=second, body="text")
    commit(room=room, author=alice.pk, kind=Kind.REACTED, target_seq=second, body="👍", is_on=True)
    commit(room=room, author=bob.pk, kind=Kind.DELETED, target_seq=first)
    send_due()
    send_due()
    wanted += [event.frame.payload for event in log.read(room, after=4, limit=100)]
    assert [body for _, body in receiver.requests] == [*wanted[:5], wanted[6]], "without the reaction"
    assert [event["seq"] for event in receiver.events] == [1, 2, 3, 4, 5, 7]
    ids = [headers["Webhook-Id"] for headers, _ in receiver.requests]
    assert len(set(ids)) == 6
    for headers, body in receiver.requests:
        assert abs(int(headers["Webhook-Timestamp"]) - time.time()) < 60
        assert headers["Webhook-Signature"] == sign(made.secret, headers, body)


def sign(secret, headers, body):
    """Return the signature as the standard has it."""
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_what_was_deleted_or_edited_away_or_expired_before_its_turn_is_not_sent(made, receiver, bob, rooms):
    room = rooms.lobby
    Webhook.objects.update(due_at=timezone.now() + timedelta(hours=1))
    room.send_message("expired secret", bob)
    deleted, edited = room.send_message("deleted secret", bob), room.send_message("edited secret", bob)
    for text in ("second secret", "final"):
        commit(room=room.pk, author=bob.pk, kind=Kind.EDITED, target_seq=edited, body=text)
    commit(room=room.pk, author=bob.pk, kind=Kind.DELETED, target_seq=deleted)
    Event.objects.filter(seq=1).update(at=timezone.now() - timedelta(days=3))
    Room.objects.filter(pk=room.pk).update(retention_days=2)
    assert retention.prune_room(room.pk) == 1
    Webhook.objects.update(due_at=timezone.now())
    send_due()
    assert "secret" not in str(receiver.events)
    assert [event["seq"] for event in receiver.events] == [3, 5, 6]
    assert receiver.events[0]["message"] == "final"


def test_a_receiver_that_fails_is_asked_again_later_with_the_same_id(made, receiver, bob, rooms):
    receiver.status, receiver.headers = 500, {"X-Secret": "of the receiver"}
    rooms.lobby.send_message("one", bob)
    rooms.lobby.send_message("two", bob)
    send_due()
    send_due()
    assert receiver.texts == ["one"], "not before its time, and nothing overtakes it"
    hook = Webhook.objects.get()
    assert timedelta(seconds=5) < hook.due_at - timezone.now() < timedelta(seconds=11)
    assert webhooks.state_of(hook) == "Failing, will be tried again. The receiver answered 500."
    receiver.status, receiver.headers = 429, {"Retry-After": "300"}
    Webhook.objects.update(due_at=timezone.now())
    send_due()
    hook.refresh_from_db()
    assert timedelta(seconds=290) < hook.due_at - timezone.now() < timedelta(seconds=301)
    receiver.status = 204
    Webhook.objects.update(due_at=timezone.now())
    send_due()
    assert receiver.texts == ["one", "one", "one", "two"]
    assert len({headers["Webhook-Id"] for headers, _ in receiver.requests}) == 2
    hook.refresh_from_db()
    assert (hook.tries, hook.failing_since, webhooks.state_of(hook)) == (0, None, "On")


def test_the_wait_between_tries_doubles_up_to_a_limit(made, receiver, bob, rooms):
    receiver.status = 500
    rooms.lobby.send_message("one", bob)
    tries_and_waits = [(0, 10), (1, 20), (2, 40), (50, webhooks.MAX_WAIT)]
    for tries, wait in tries_and_waits:
        Webhook.objects.update(due_at=timezone.now(), tries=tries)
        send_due()
        left = (Webhook.objects.get().due_at - timezone.now()).total_seconds()
        assert wait - 5 < left <= wait
    assert receiver.texts == ["one"] * len(tries_and_waits)


def test_a_redirect_is_not_followed_and_nothing_goes_to_a_private_address(
    made, receiver, alice, bob, rooms, settings, monkeypatch
):
    receiver.status, receiver.headers = 307, {"Location": "/elsewhere"}
    rooms.lobby.send_message("one", bob)
    send_due()
    assert receiver.texts == ["one"]
    assert webhooks.state_of(Webhook.objects.get()).endswith("The receiver answered 307.")
    settings.OUTGOING_LOOPBACK = False
    connected = []
    monkeypatch.setattr(socket, "create_connection", lambda *arguments: connected.append(arguments))
    with pytest.raises(ClientError, match="https://"):
        webhooks.create(rooms.random.pk, receiver.url, by=alice.pk)
    # A name may lead elsewhere when the event is sent, so it is resolved only then.
    hook = webhooks.create(rooms.random.pk, "https://localhost/in", by=alice.pk).webhook
    rooms.random.send_message("secret", bob)
    send_due()
    hook.refresh_from_db()
    assert webhooks.state_of(hook).endswith("The host is not on the public internet.")
    assert (hook.tries, connected, receiver.texts) == (1, [], ["one"])


def test_a_failure_is_stored_in_english_and_shown_in_the_language_of_the_reader(made, monkeypatch):
    sentences = {
        "Failing, will be tried again.": "Schlägt fehl.",
        "The receiver answered %(status)s.": "Antwort: %(status)s.",
        "The host was not found.": "Host unbekannt.",
        "There was no answer: %(error)s.": "Keine Antwort: %(error)s.",
    }
    translate(monkeypatch, "de", sentences | {("Paused. It was more than %(count)s event behind.", 1): "%(count)s!"})
    with translation.override("de"):
        for error, shown in (
            ("The receiver answered 500.", "Antwort: 500."),
            ("The host was not found.", "Host unbekannt."),
            ("There was no answer: OSError.", "Keine Antwort: OSError."),
        ):
            made.webhook.last_error = error
            assert webhooks.state_of(made.webhook) == f"Schlägt fehl. {shown}"
        made.webhook.paused_at, made.webhook.pause = timezone.now(), webhooks.Pause.BEHIND
        assert webhooks.state_of(made.webhook) == "10.000!"
    assert webhooks.state_of(made.webhook) == "Paused. It was more than 10,000 events behind."


def test_a_webhook_that_fails_for_a_day_is_paused_and_says_so(made, receiver, alice, bob, rooms, caplog):
    receiver.status = 302
    rooms.lobby.send_message("one", bob)
    send_due()
    Webhook.objects.update(due_at=timezone.now(), failing_since=timezone.now() - webhooks.MAX_FAILING)
    send_due()
    hook = Webhook.objects.get()
    assert webhooks.state_of(hook) == "Paused. It failed for a day. The receiver answered 302."
    warning = Event.objects.get(room=rooms.lobby, msg_type=1)
    assert warning.author is None and "webhook" in warning.body
    assert "topsecret" not in warning.body + caplog.text + str(vars(hook)) and made.secret not in str(vars(hook))
    send_due()
    assert len(receiver.requests) == 2
    receiver.status = 204
    webhooks.resume(rooms.lobby.pk, hook.pk, from_now=False, by=alice.pk)
    send_due()
    assert receiver.texts[2:] == ["one", warning.body], "nothing was lost"
    webhooks.pause(rooms.lobby.pk, hook.pk, by=alice.pk)
    rooms.lobby.send_message("two", bob)
    send_due()
    webhooks.resume(rooms.lobby.pk, hook.pk, from_now=True, by=alice.pk)
    rooms.lobby.send_message("three", bob)
    send_due()
    assert receiver.texts[4:] == ["three"]


def test_a_pause_is_announced_in_the_language_of_the_site(made, receiver, bob, rooms, settings):
    settings.LANGUAGE_CODE = "de"
    receiver.status = 410
    rooms.lobby.send_message("one", bob)
    send_due()
    warning = Event.objects.get(room=rooms.lobby, msg_type=1)
    assert warning.body.startswith("Ein Webhook dieses Raums wurde angehalten")


def test_a_receiver_that_is_gone_or_too_far_behind_ends_it(made, receiver, bob, rooms, monkeypatch):
    monkeypatch.setattr(webhooks, "MAX_BACKLOG", 2)
    for _ in range(3):
        rooms.lobby.send_message("x", bob)
    send_due()
    assert Webhook.objects.get().pause == "behind" and receiver.requests == []
    receiver.status = 410
    Webhook.objects.update(paused_at=None, sent_seq=2)
    send_due()
    assert Webhook.objects.get().pause == "gone" and len(receiver.requests) == 1


@pytest.mark.parametrize("end", ["rights", "deactivate", "staff_only", "delete_room", "delete_user"])
def test_a_right_that_ended_ends_the_webhook(end, made, receiver, alice, bob, rooms):
    rooms.lobby.send_message("sent", bob)
    send_due()
    rooms.lobby.send_message("not sent", bob)
    if end == "rights":
        alice.is_staff = False
        alice.save()
    elif end == "deactivate":
        alice.is_active = False
        alice.save()
    elif end == "staff_only":
        rooms.lobby.staff_only = True
        rooms.lobby.save()
    elif end == "delete_room":
        rooms.lobby.delete()
    else:
        alice.delete()
    send_due()
    assert receiver.texts == ["sent"]
    reasons = [hook.pause for hook in Webhook.objects.all()]
    wanted = {"rights": ["maker"], "deactivate": ["maker"], "staff_only": ["audience"]}
    assert reasons == wanted.get(end, [])


def test_a_member_who_no_longer_owns_a_room_ends_its_webhook_and_another_resumes_it(receiver, alice, bob, charlie):
    room = room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk])
    for user, refusal in ((alice, "ROOM_INVALID"), (charlie, "ROOM_ACCESS_DENIED")):
        with pytest.raises(ClientError, match=refusal):
            webhooks.create(room.pk, receiver.url, by=user.pk)
    made = webhooks.create(room.pk, receiver.url, by=bob.pk)
    for work in (
        lambda user: webhooks.rotate(room.pk, made.webhook.pk, by=user.pk),
        lambda user: webhooks.pause(room.pk, made.webhook.pk, by=user.pk),
        lambda user: webhooks.resume(room.pk, made.webhook.pk, from_now=True, by=user.pk),
        lambda user: webhooks.remove(room.pk, made.webhook.pk, by=user.pk),
        lambda user: webhooks.list_webhooks(room.pk, by=user.pk),
    ):
        with pytest.raises(ClientError, match="ROOM_INVALID"):
            work(alice)
        with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
            work(charlie)
    room_actions.remove_member(room.pk, bob.pk)
    room.send_message("later", charlie)
    send_due()
    assert receiver.requests == [] and Webhook.objects.get().pause == "maker"
    webhooks.resume(room.pk, made.webhook.pk, from_now=False, by=charlie.pk)
    send_due()
    assert receiver.texts[0] == "later"


def test_what_a_bot_writes_is_sent_only_to_a_webhook_that_wants_it(made, receiver, alice, rooms):
    bot = bots.create_bot(rooms.lobby.pk, "robot", by=alice.pk)
    other = Receiver()
    try:
        webhooks.create(rooms.lobby.pk, other.url, with_bots=True, by=alice.pk)
        bots.post(bots.find_by_token(bot.token), rooms.lobby.pk, [Post("beep", 0)])
        rooms.lobby.send_message("hi", alice)
        send_due()
        assert [receiver.texts, other.texts] == [["hi"], ["beep", "hi"]]
        for target in (1, 2):
            commit(room=rooms.lobby.pk, author=alice.pk, kind=Kind.DELETED, target_seq=target)
        send_due()
        assert [event["deleted"] for event in receiver.events[1:]] == [2], "not that of the bot's message"
        assert [event["deleted"] for event in other.events[2:]] == [1, 2]
    finally:
        other.stop()


def test_a_restored_backup_sends_nothing_again(made, receiver, bob, rooms):
    rooms.lobby.send_message("before", bob)
    send_due()
    Room.objects.filter(pk=rooms.lobby.pk).update(epoch="another")
    Webhook.objects.update(sent_seq=0)
    send_due()
    rooms.lobby.send_message("after", bob)
    send_due()
    assert receiver.texts == ["before", "after"]


def test_one_process_sends_and_one_that_stood_still_does_not_move_it_back(made, receiver, bob, rooms):
    rooms.lobby.send_message("one", bob)
    [slow] = webhooks.take_due(8)
    assert webhooks.take_due(8) == [] and not webhooks.has_due()
    Webhook.objects.update(taken_until=timezone.now() - timedelta(seconds=1))
    send_due()
    webhooks.finish(slow, webhooks.Place(rooms.lobby.epoch, 0), is_sent=False, failure=webhooks.Failure("late"))
    hook = Webhook.objects.get()
    assert (hook.sent_seq, hook.last_error) == (1, "")


def test_a_turn_that_is_cancelled_notes_what_it_has_sent_and_releases_the_webhook(made, receiver, bob, rooms):
    for text in ("one", "two"):
        rooms.lobby.send_message(text, bob)
    is_asked, is_over = threading.Event(), threading.Event()

    def answer(body):
        if b"two" in body:
            is_asked.set()
            is_over.wait(20)
        return 204

    receiver.answer = answer

    async def work():
        sender = WebhookSender()
        await sender.begin_due()
        await asyncio.to_thread(is_asked.wait, 20)
        for turn in sender._turns:
            turn.cancel()
        await sender.stop()
        is_over.set()
        await database.close()

    asyncio.run(work())
    hook = Webhook.objects.get()
    assert (hook.sent_seq, hook.taken_until) == (1, None)


def test_a_turn_that_ends_by_an_error_notes_what_it_has_sent_and_waits(made, receiver, bob, rooms, monkeypatch):
    rooms.lobby.send_message("one", bob)
    rooms.lobby.send_message("two", bob)
    real = webhooks.next_step

    def next_step(taken, place):
        if place is not None:
            raise RuntimeError("ours")
        return real(taken, place)

    monkeypatch.setattr(webhooks, "next_step", next_step)
    send_due()
    hook = Webhook.objects.get()
    assert (receiver.texts, hook.sent_seq, hook.taken_until, hook.last_error) == (["one"], 1, None, "")
    assert hook.due_at > timezone.now() + timedelta(seconds=30), "not at once again"


def test_a_sender_that_is_stopped_while_it_takes_webhooks_releases_them(made, bob, rooms, monkeypatch):
    rooms.lobby.send_message("one", bob)
    is_taken, may_go_on = threading.Event(), threading.Event()
    real = webhooks.take_due

    def take_due(most):
        taken = real(most)
        is_taken.set()
        may_go_on.wait(20)
        return taken

    monkeypatch.setattr(webhooks, "take_due", take_due)

    async def work():
        sender = WebhookSender()
        await asyncio.to_thread(is_taken.wait, 20)
        stopping = asyncio.ensure_future(sender.stop())
        await asyncio.sleep(0)
        may_go_on.set()
        await stopping
        await database.close()

    asyncio.run(work())
    assert is_taken.is_set() and webhooks.has_due()


def test_nothing_is_sent_when_the_time_of_a_turn_is_nearly_over(made, receiver, bob, rooms, monkeypatch):
    monkeypatch.setattr(webhooks, "TAKEN", timedelta(seconds=14))
    rooms.lobby.send_message("one", bob)
    [taken] = webhooks.take_due(8)
    assert not webhooks.has_time(taken), "a request may take ten seconds"
    webhooks.finish(taken, None, is_sent=False)

    async def work():
        sender = WebhookSender()
        await sender.begin_due()
        await asyncio.wait(sender._turns)
        await sender.stop()
        await database.close()

    asyncio.run(work())
    assert receiver.requests == []


def test_resuming_with_a_skip_ends_a_turn_that_is_under_way(made, receiver, alice, bob, rooms):
    for text in ("one", "two"):
        rooms.lobby.send_message(text, bob)
    [taken] = webhooks.take_due(8)
    step = webhooks.next_step(taken, None)
    webhooks.pause(rooms.lobby.pk, taken.pk, by=alice.pk)
    webhooks.resume(rooms.lobby.pk, taken.pk, from_now=True, by=alice.pk)
    assert webhooks.next_step(taken, step.place) is None
    webhooks.finish(taken, step.place, is_sent=True)
    assert Webhook.objects.get().sent_seq == 2


def test_a_reason_to_pause_that_is_over_does_not_pause_what_another_manager_resumed(made, alice, bob, rooms):
    rooms.lobby.send_message("one", bob)
    rooms.lobby.staff_only = True
    rooms.lobby.save()
    [taken] = webhooks.take_due(8)
    step = webhooks.next_step(taken, None)
    assert step.pause == "audience"
    webhooks.resume(rooms.lobby.pk, taken.pk, from_now=False, by=alice.pk)
    webhooks.finish(taken, step.place, is_sent=False, why=step.pause)
    assert Webhook.objects.get().paused_at is None


def test_the_webhooks_of_a_room_are_listed_without_its_lock(made, alice, rooms):
    with CaptureQueriesContext(connection) as captured:
        assert webhooks.list_webhooks(rooms.lobby.pk, by=alice.pk) == [made.webhook]
    assert not [query for query in captured if "FOR " in query["sql"] or query["sql"].startswith("BEGIN")]


def test_a_host_that_is_too_long_is_refused(receiver, alice, rooms):
    with pytest.raises(ClientError, match="COMMAND_INVALID"):
        webhooks.create(rooms.lobby.pk, f"https://{'a.' * 130}com/", by=alice.pk)


def test_two_senders_at_once_send_each_event_once(made, receiver, bob, rooms):
    for number in range(12):
        rooms.lobby.send_message(str(number), bob)

    async def work():
        senders = [WebhookSender(), WebhookSender()]
        async with asyncio.timeout(60):
            # On a busy machine a turn may be over before it has sent anything.
            while len(receiver.texts) < 12:
                await asyncio.gather(*(sender.drain() for sender in senders))
                await asyncio.sleep(0.05)
        for sender in senders:
            await sender.stop()
        await database.close()

    asyncio.run(work())
    assert receiver.texts == [str(number) for number in range(12)]


def test_the_page_makes_pauses_rotates_and_removes(client, alice, bob, rooms, receiver):
    address = f"/rooms/{rooms.lobby.pk}/webhooks/"

    def ask(status=200, **body):
        answer = client.post(address, json.dumps(body), content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    client.force_login(bob)
    assert client.get(address).status_code == 403
    ask(403, add=receiver.url)
    client.force_login(alice)
    assert "https://" in ask(400, add="http://example.com/")["detail"]
    made = ask(add=receiver.url, with_bots=True)
    assert made["made"]["secret"].startswith("whsec_")
    [shown] = made["webhooks"]
    assert shown == {"id": shown["id"], "host": receiver.host, "with_bots": True, "paused": False, "state": "On"}
    assert client.get(address).json() == {"webhooks": [shown], "made": None}
    assert ask(pause=shown["id"])["webhooks"][0]["state"] == "Paused. A user paused it."
    assert not ask(resume=shown["id"])["webhooks"][0]["paused"]
    old = made["made"]["secret"]
    new = ask(rotate=shown["id"])["made"]["secret"]
    rooms.lobby.send_message("hello", bob)
    send_due()
    [(headers, body)] = receiver.requests
    assert headers["Webhook-Signature"] == sign(new, headers, body) != sign(old, headers, body)
    assert ask(remove=shown["id"])["webhooks"] == []
    ask(400, pause=shown["id"])


def test_the_admin_shows_a_secret_once_and_only_rooms_of_the_user(client, alice, bob, rooms, receiver):
    alice.is_superuser = True
    alice.save()
    plans = room_actions.create_room("Plans", who="members", members=[bob.pk])
    client.force_login(alice)
    assert client.get("/admin/chat/webhook/add/").status_code == 200
    wanted = {"room": rooms.lobby.pk, "url": receiver.url}
    assert "whsec_" in client.post("/admin/chat/webhook/add/", wanted).content.decode()
    client.post("/admin/chat/webhook/add/", {"room": plans.pk, "url": receiver.url})
    assert "https://" in client.post("/admin/chat/webhook/add/", wanted | {"url": "ftp://a"}).content.decode()
    hook = Webhook.objects.get()
    listed = client.get("/admin/chat/webhook/").content.decode()
    assert hook.host in listed and "topsecret" not in listed and "whsec_" not in listed
    chosen = {"_selected_action": hook.pk}
    client.post("/admin/chat/webhook/", {"action": "pause", **chosen})
    assert Webhook.objects.get().paused_at
    client.post("/admin/chat/webhook/", {"action": "skip", **chosen})
    assert not Webhook.objects.get().paused_at
    assert "whsec_" in client.post("/admin/chat/webhook/", {"action": "new_secret", **chosen}).content.decode()
    client.post("/admin/chat/webhook/", {"action": "remove", **chosen})
    assert not Webhook.objects.exists()


def test_an_address_of_another_secret_key_is_named_as_the_reason(made, receiver, bob, rooms, settings):
    Webhook.objects.update(address="gAAAA")
    rooms.lobby.send_message("x", bob)
    send_due()
    assert Webhook.objects.get().pause == "key" and receiver.requests == []


def test_the_receiver_of_the_document_takes_signed_requests_and_no_others(made, receiver, bob, rooms):
    document = (Path(__file__).parent.parent / "docs/webhooks.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    assert len(code.strip().splitlines()) <= 14
    scope = {}
    exec(code.replace("whsec_…", made.secret), scope)
    rooms.lobby.send_message("hello", bob)
    send_due()
    [(headers, body)] = receiver.requests
    assert scope["is_genuine"](headers, body)
    assert not scope["is_genuine"](headers, body + b" ")
    assert not scope["is_genuine"](headers | {"Webhook-Timestamp": "1700000000"}, body)
    assert not scope["is_genuine"](headers | {"Webhook-Id": "2"}, body)
